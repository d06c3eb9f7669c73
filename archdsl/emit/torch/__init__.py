"""PyTorch: source text from a checked graph, and the module that the text makes."""
