"""The table of ops: complete, documented, and free of heavy imports."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from archdsl.language.records import Record
from archdsl.ops import OPS
from archdsl.ops.base import Op, op, parameters

NAMES = {
    "images": ["conv", "depthwise", "maxpool", "avgpool", "lppool", "adaptive_avgpool", "adaptive_maxpool", "upsample"],
    "weights": ["linear", "rbf", "batchnorm", "lrn", "layernorm", "groupnorm", "instancenorm"],
    "activations": ["relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh"],
    "bounded": ["softplus", "hardsigmoid", "hardswish", "hardtanh", "softmax", "log_softmax"],
    "shapes": ["dropout", "flatten", "reshape", "transpose", "pad", "slice", "split", "scale"],
    "channels": ["select", "pad_channels", "affine"],
    "merges": ["concat", "add", "mul", "max"],
}


def test_every_op_is_there() -> None:
    assert {name for names in NAMES.values() for name in names} <= set(OPS)


@pytest.mark.parametrize("cls", OPS.values(), ids=OPS)
def test_an_op_is_a_documented_frozen_record(cls: type[Op]) -> None:
    assert OPS[cls.name] is cls
    assert issubclass(cls, Record)
    assert cls.__doc__
    for field in parameters(cls):
        assert field.metadata["doc"], field.name
        assert (field.metadata["kind"] == "choice") == bool(field.metadata["choices"])


@pytest.mark.parametrize("cls", OPS.values(), ids=OPS)
def test_required_arguments_come_first(cls: type[Op]) -> None:
    optional = [field.default is not dataclasses.MISSING for field in parameters(cls)]
    assert optional == sorted(optional)


def test_a_name_is_taken_once() -> None:
    with pytest.raises(AssertionError, match="conv"):
        op("conv")(type("Other", (Op,), {}))


@pytest.mark.parametrize("module", ["archdsl.ops", "archdsl.ops.base"])
def test_ops_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'numpy', 'onnx', 'networkx') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
