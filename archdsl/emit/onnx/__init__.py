"""A checked graph as an ONNX model: `model.onnx_model` makes it, `writer.save` writes it."""
