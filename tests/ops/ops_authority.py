"""PyTorch as the outside authority on ops: the module each op stands for, run on meta tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import reduce

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from archdsl.ops import OPS
from archdsl.ops.base import Op, ShapeError, TensorType

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)
BATCH = 1
#: What torch raises where a module cannot be built, or cannot be applied.
REFUSALS = (RuntimeError, ValueError, AssertionError, IndexError, NotImplementedError)

Shapes = list[tuple[int, ...]]


def typed(*shape: int) -> TensorType:
    return TensorType(shape)


def call(name: str, **arguments: object) -> Op:
    return OPS[name](**arguments)


def inferred(op: Op, *inputs: TensorType) -> Shapes | None:
    """Shapes by our rule; None where it refuses."""
    try:
        return [output.shape for output in op.infer(inputs)]
    except ShapeError:
        return None


def in_torch(
    function: Callable[..., Tensor | tuple[Tensor, ...]], *inputs: TensorType, device: str = "meta"
) -> Shapes | None:
    """Shapes by torch on meta tensors with a batch in front, which is taken off again; None where it refuses."""
    tensors = [torch.zeros(BATCH, *value.shape, device=device) for value in inputs]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = function(*tensors)
    except REFUSALS:
        return None
    return [tuple(output.shape[1:]) for output in ((outputs,) if isinstance(outputs, Tensor) else outputs)]


def refusal(op: Op, *inputs: TensorType) -> ShapeError:
    """The error that the op raises; fails where it raises none."""
    try:
        op.infer(inputs)
    except ShapeError as error:
        return error
    raise AssertionError(f"{op} accepts {[str(value) for value in inputs]}")


def layer(kind: str, value: TensorType, *arguments: object, **keywords: object) -> nn.Module:
    """`torch.nn.<kind>1d`, `2d` or `3d` by the number of spatial axes, on the meta device."""
    return getattr(nn, f"{kind}{len(value.spatial)}d")(*arguments, **keywords).to("meta")


def padded(
    pairs: tuple[tuple[int, int], ...], mode: str = "constant", value: float = 0.0
) -> Callable[[Tensor], Tensor]:
    """`torch.nn.functional.pad`, whose numbers run from the last axis backwards."""
    numbers = [number for pair in reversed(pairs) for number in pair]
    return lambda x: functional.pad(x, numbers, mode=mode, value=value)


def folded(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """A binary function applied from left to right."""
    return lambda *tensors: reduce(function, tensors)


def weights_of(op: Op, *inputs: TensorType) -> dict[str, tuple[tuple[int, ...], str, bool]]:
    """Shape, element type and whether it is trained, of every weight by name in order."""
    return {weight.name: (weight.shape, weight.dtype, weight.trainable) for weight in op.weights(inputs)}


def state_of(module: nn.Module) -> dict[str, tuple[tuple[int, ...], str, bool]]:
    """The same of a torch module."""
    trained = dict(module.named_parameters())
    return {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), name in trained)
        for name, tensor in module.state_dict().items()
    }


def counts(op: Op, *inputs: TensorType) -> tuple[int, int]:
    """Multiply-accumulates and other operations."""
    outputs = op.infer(inputs)
    return op.macs(inputs, outputs), op.elementwise_ops(inputs, outputs)


def images(low: int = 1, high: int = 14, channels: int = 8) -> st.SearchStrategy[TensorType]:
    """`[C, ...]` with one to three spatial axes."""
    return st.builds(
        lambda c, spatial: typed(c, *spatial),
        st.integers(1, channels),
        st.lists(st.integers(low, high), min_size=1, max_size=3),
    )


def samples(max_rank: int = 4, high: int = 6) -> st.SearchStrategy[TensorType]:
    """Any shape of up to `max_rank` axes."""
    return st.lists(st.integers(1, high), min_size=1, max_size=max_rank).map(lambda shape: typed(*shape))


def sizes(rank: int, low: int, high: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    """One number, or one for each axis."""
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(*[number] * rank))


def paddings(rank: int, high: int) -> st.SearchStrategy[int | tuple[int, ...]]:
    """One number, one for each axis, or begins and then ends."""
    number = st.integers(0, high)
    return st.one_of(number, st.tuples(*[number] * rank), st.tuples(*[number] * (2 * rank)))


def pairs_of(pad: int | tuple[int, ...], rank: int) -> tuple[tuple[int, int], ...]:
    """What a padding argument says, as the design puts it: begins first, then ends."""
    if isinstance(pad, int):
        return ((pad, pad),) * rank
    begins, ends = pad[:rank], pad[-rank:]
    return tuple(zip(begins, ends, strict=True))
