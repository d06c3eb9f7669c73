"""Inputs for any ONNX model: the shapes that its file and the user leave it, filled with random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archdsl.language.diagnostics import ArchError, error
from archdsl.runtime.memory import room_for

Arrays = dict[str, np.ndarray]
Shape = tuple[int, ...]

ELEMENTS = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}


def batch_of(inputs: list[Any], asked: int | None, file: str) -> int:
    """The samples of one run: as asked, 1 where nobody says; a batch that the file fixes is what it is.

    `inputs` are onnxruntime's. Raises `ArchError` (`onnx-input`) where the file fixes another.
    """
    first = [item.shape[0] for item in inputs if item.shape]
    fixed = next(iter(first), 1)
    if not all(isinstance(size, int) for size in first):
        return asked or 1
    if fixed < 1:
        raise error("onnx-input", f"the batch of `{file}` is fixed at {fixed}, so there is nothing to run")
    if asked not in (None, fixed):
        help = "export it with a symbolic batch, or with this one"
        raise error("onnx-input", f"the batch of `{file}` is fixed at {fixed}, so it cannot be {asked}", help=help)
    return int(fixed)


def shapes_of(inputs: list[Any], batch: int, asked: Mapping[str, Shape], file: str) -> dict[str, Shape]:
    """The shape of every input, its batch included; `asked` gives shapes without the batch.

    Raises `ArchError` (`onnx-input`): an unknown name, a shape that the file does not allow, a size that nobody gives.
    """
    names = [item.name for item in inputs]
    for name in asked:
        if name not in names:
            raise error("onnx-input", f"`{file}` has no input `{name}`", notes=(f"it has {', '.join(names)}",))
    return {item.name: _shape(item, batch, asked.get(item.name), file) for item in inputs}


def _shape(item: Any, batch: int, asked: Shape | None, file: str) -> Shape:
    declared = list(item.shape)
    if declared and not isinstance(declared[0], int):
        declared[0] = batch
    wanted = declared if asked is None else [*declared[:1], *asked]
    fits = len(wanted) == len(declared) and all(
        size in (want, None) or isinstance(size, str) for size, want in zip(declared, wanted, strict=True)
    )
    if not fits:
        raise _unfit(f"`{item.name}` of `{file}` cannot be {_text(wanted[1:])}", item)
    if not all(isinstance(size, int) for size in wanted):
        raise _unfit(f"`{file}` leaves sizes of its input `{item.name}` open", item)
    if any(size < 1 for size in wanted):
        raise error("onnx-input", f"the input `{item.name}` of `{file}` has no numbers: it is {_text(wanted)}")
    return tuple(wanted)


def _unfit(message: str, item: Any) -> ArchError:
    example = "x".join(str(size) if isinstance(size, int) else "224" for size in item.shape[1:]) or "16"
    help = f"give its shape without the batch, e.g. `--input {item.name}={example}`"
    return error("onnx-input", message, notes=(f"it is declared as {_text(item.shape)}",), help=help)


def _text(shape: list[Any]) -> str:
    return "[" + ", ".join(str("?" if size is None else size) for size in shape) + "]"


def random_inputs(inputs: list[Any], shapes: Mapping[str, Shape], seed: int = 0) -> Arrays:
    """Standard normal numbers; zeros and ones for integers, which may be indices of anything.

    Raises `ArchError`: `onnx-input` for an input that is no tensor of numbers, `out-of-memory`.
    """
    generator = np.random.default_rng(seed)
    return {item.name: _draw(generator, item, shapes[item.name]) for item in inputs}


def _draw(generator: np.random.Generator, item: Any, shape: Shape) -> np.ndarray:
    if item.type not in ELEMENTS:
        raise error("onnx-input", f"the input `{item.name}` is a {item.type}, which has no random values here")
    dtype = np.dtype(ELEMENTS[item.type])
    with room_for(f"the random input `{item.name}` of {list(shape)}"):
        if dtype.kind == "f":
            return generator.standard_normal(shape).astype(dtype)
        return generator.integers(0, 2, shape).astype(dtype)
