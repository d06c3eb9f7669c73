"""Checked networks on onnxruntime: run on an image, and compared with PyTorch."""
