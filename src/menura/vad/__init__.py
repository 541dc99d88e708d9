"""Voice activity: detectors give a probability, one machine debounces it."""
