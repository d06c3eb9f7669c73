"""Which onnxruntime reads which opset."""

from __future__ import annotations

#: The first release of onnxruntime that reads an opset, by its compatibility table (opsets to 18) and, from 19 on, by
#: loading a model of each opset and its least IR version with every release from 1.15 to 1.32.
FIRST_RUNTIME = {
    13: "1.6", 14: "1.8", 15: "1.9", 16: "1.11", 17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18",
    22: "1.21", 23: "1.23", 24: "1.24", 25: "1.24", 26: "1.25", 27: "1.32", 28: "1.32",
}  # fmt: skip


def first_runtime(opset: int) -> str | None:
    """The first release of onnxruntime that reads the opset; None for those that none is known to read."""
    return FIRST_RUNTIME.get(opset)
