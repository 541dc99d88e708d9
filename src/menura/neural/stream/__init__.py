"""RVC voices as streams: settings, steps that a scheduler may run together, and the Stage of it all."""
