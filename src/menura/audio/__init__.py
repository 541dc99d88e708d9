"""Audio as data: format, blocks, PCM, G.711, files, streams as values."""
