"""What runs: sessions, strands, devices, conversion of files."""
