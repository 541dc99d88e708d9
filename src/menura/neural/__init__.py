"""Neural voices without PyTorch: model files read safely, the networks as graphs, their streams as Stages."""
