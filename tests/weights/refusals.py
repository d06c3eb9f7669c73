"""What the readers' tests share: a small ONNX model, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.weights.read import read_weights


def model_of(arrays: dict[str, np.ndarray]) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(value, key) for key, value in arrays.items()]
    return helper.make_model(helper.make_graph([], "g", [], [], tensors))


def refusal(path: Path) -> Diagnostic:
    """The one diagnostic that reading all of a file ends in."""
    with pytest.raises(ArchError) as caught:
        dict(read_weights(path))
    (found,) = caught.value.diagnostics
    assert found.code == "weights-unreadable"
    assert str(path) in found.message
    return found


def refused(path: Path) -> str:
    return refusal(path).message
