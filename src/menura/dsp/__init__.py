"""Signal processing as Stages: blocks in, blocks out, the same however the input is cut."""
