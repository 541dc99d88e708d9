"""The networks of RVC as ONNX graphs, built from a checkpoint's own sizes and weights.

Each graph is one function: configuration and weights in, a :class:`~menura.neural.nets.graph.Network` out, which
:mod:`menura.neural.runtime` runs. What is random or carried from block to block is an input: a graph keeps nothing.
Batch and time are open everywhere.
"""
