"""Model files, read without running anything they hold."""
