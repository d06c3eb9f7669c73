"""Inputs for any ONNX file: its own sizes, those asked for, and clear refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from archdsl.language.diagnostics import ArchError
from archdsl.runtime.feed import batch_of, random_inputs, shapes_of


def item(name: str, shape: list[Any], kind: str = "tensor(float)") -> SimpleNamespace:
    """An input as onnxruntime describes it."""
    return SimpleNamespace(name=name, shape=shape, type=kind)


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(ArchError) as caught:
        function(*arguments)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "onnx-input"
    return diagnostic.message


@pytest.mark.parametrize(
    ("shapes", "asked", "batch"),
    [
        ([["N", 3]], None, 1),
        ([["N", 3]], 4, 4),
        ([[None, 3]], 4, 4),
        ([[2, 3]], None, 2),
        ([[2, 3]], 2, 2),
        ([["N", 3], [7, 3]], 4, 4),  # an input besides the batch, such as a table
        ([], None, 1),
    ],
)
def test_batch(shapes: list[list[Any]], asked: int | None, batch: int) -> None:
    inputs = [item(f"x{i}", shape) for i, shape in enumerate(shapes)]
    assert batch_of(inputs, asked, "net.onnx") == batch


def test_a_fixed_batch_stays() -> None:
    assert "fixed at 2" in refusal(batch_of, [item("x", [2, 3])], 4, "net.onnx")


def test_shapes_are_the_files_with_what_it_leaves_open_given() -> None:
    inputs = [item("image", ["N", 3, "H", "W"]), item("scale", [])]
    assert shapes_of(inputs, 2, {"image": (3, 8, 9)}, "f") == {"image": (2, 3, 8, 9), "scale": ()}
    assert shapes_of([item("x", [None, 5])], 3, {}, "f") == {"x": (3, 5)}


def test_what_does_not_fit_is_refused() -> None:
    inputs = [item("image", ["N", 3, "H", "W"])]
    assert "open" in refusal(shapes_of, inputs, 1, {}, "f")
    assert "cannot be [4, 8, 8]" in refusal(shapes_of, inputs, 1, {"image": (4, 8, 8)}, "f")
    assert "cannot be [3, 8]" in refusal(shapes_of, inputs, 1, {"image": (3, 8)}, "f")
    assert "no input `photo`" in refusal(shapes_of, inputs, 1, {"photo": (3, 8, 8)}, "f")
    assert "open" in refusal(shapes_of, inputs, 1, {"image": (3, "H", 8)}, "f")


def test_nothing_to_run_is_refused() -> None:
    assert "fixed at 0" in refusal(batch_of, [item("x", [0, 3])], None, "f")
    assert "has no numbers: it is [1, 3, 0]" in refusal(shapes_of, [item("x", ["N", 3, 0])], 1, {}, "f")


def test_inputs_that_no_memory_holds_are_refused() -> None:
    with pytest.raises(ArchError, match="out-of-memory"):
        random_inputs([item("x", ["N", 3])], {"x": (2**31, 2**31)})


def test_numbers_are_of_the_declared_type() -> None:
    kinds = {"tensor(float)": "f4", "tensor(float16)": "f2", "tensor(int64)": "i8", "tensor(bool)": "?"}
    inputs = [item(kind, ["N", 50], kind) for kind in kinds]
    found = random_inputs(inputs, dict.fromkeys(kinds, (2, 50)))
    assert {kind: array.dtype for kind, array in found.items()} == {
        kind: np.dtype(code) for kind, code in kinds.items()
    }
    assert set(found["tensor(int64)"].ravel()) == {0, 1}
    assert 0.5 < found["tensor(float)"].std() < 1.5
    again = random_inputs(inputs, dict.fromkeys(kinds, (2, 50)))
    assert all(np.array_equal(found[kind], again[kind]) for kind in kinds)
    assert "tensor(string)" in refusal(random_inputs, [item("x", [1], "tensor(string)")], {"x": (1,)})
