"""Ops that arrange elements: dropout, flatten, reshape, transpose, pad, slice, split, upsample, scale."""

from __future__ import annotations

import math
from typing import ClassVar

from archdsl.ops.axes import across, position, product
from archdsl.ops.base import GLOBAL, Global, Op, ShapeError, TensorType, Window, axis_names, only, op, param
from archdsl.ops.convolution import need_image
from archdsl.ops.dims import symbolic
from archdsl.ops.geometry import Padding, Pair, Sizes, resolve_padding


@op("dropout")
class Dropout(Op):
    """Zeroes elements at random while training (Srivastava et al., 2014); at inference the identity."""

    rate: float = param("number", 0.5, doc="share of elements that are zeroed")

    view: ClassVar[bool] = True
    identity: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        if not 0 <= self.rate <= 1:
            message = f"`rate` is the share of elements that are dropped, between 0 and 1, not {self.rate}"
            raise ShapeError("argument-value", message, argument="rate")
        return (only(inputs),)


@op("flatten")
class Flatten(Op):
    """All axes into one, `[C, H, W] -> [C*H*W]`, the last axis fastest."""

    view: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        return (TensorType((value.elements,), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(len(only(inputs).shape) - 1)


@op("reshape")
class Reshape(Op):
    """The same elements in the same order under another shape; one size may be -1, for what is left."""

    shape: tuple[int, ...] = param("integers", doc="sizes after the batch")

    view: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        _check_sizes(self.shape)
        known = math.prod(size for size in self.shape if size != -1)
        free = -1 in self.shape
        if value.elements % known if free else value.elements != known:
            raise _wrong_size(value, self.shape, known)
        return (TensorType(tuple(value.elements // known if size == -1 else size for size in self.shape), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return _same_space(only(inputs).shape, self.infer(inputs)[0].shape)


@op("reshape_as")
class ReshapeAs(Op):
    """The same elements in the same order under the shape of `like`, as `torch.Tensor.reshape_as`.

    That is how elements come back to sizes that are open: a `reshape` can only write numbers, and what is left.
    """

    operands: ClassVar[tuple[str, ...]] = ("input", "like")
    view: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value, like = inputs
        if value.elements != like.elements:
            message = f"{value} has {value.elements} elements, and `like`, {like}, has {like.elements}"
            raise ShapeError("reshape-size", message, argument="like")
        return (TensorType(like.shape, value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window | Global | None:
        return _same_space(inputs[0].shape, inputs[1].shape)


@op("transpose")
class Transpose(Op):
    """Axes in another order: axis `i` of the result is axis `order[i]` of the input, as `torch.permute`.

    Axes are numbered from 1, since 0 is the batch, which stays in front.
    """

    order: tuple[int, ...] = param("integers", doc="axis numbers 1, 2, ... in their new order")

    any_dtype: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        if sorted(self.order) != list(range(1, len(value.shape) + 1)):
            raise _not_a_permutation(value, self.order)
        return (TensorType(tuple(value.shape[axis - 1] for axis in self.order), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        kept = min(2, len(self.order) - 1)
        in_place = self.order[len(self.order) - kept :] == tuple(range(len(self.order) - kept + 1, len(self.order) + 1))
        return None if in_place else GLOBAL


@op("pad")
class Pad(Op):
    """A border around the spatial axes of `[C, ...]`, as `torch.nn.functional.pad`."""

    amount: Padding = param("padding", doc="one number, one for each axis, or all begins and then all ends")
    mode: str = param("choice", "zero", choices=("zero", "reflect", "replicate"), doc="what the border holds")
    value: float = param("number", 0.0, doc="what a `zero` border holds instead of 0")

    def pairs(self, inputs: tuple[TensorType, ...]) -> tuple[Pair, ...]:
        """(begin, end) of each spatial axis."""
        value = only(inputs)
        need_image(self.name, value)
        if isinstance(self.amount, str):
            message = f"`{self.amount}` depends on a kernel, which `pad` does not have"
            raise ShapeError("argument-value", message, argument="amount", help="give the numbers")
        ones = (1,) * len(value.spatial)
        return resolve_padding(value.spatial, ones, ones, ones, self.amount, "amount")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        pairs = self.pairs(inputs)
        self._check(value, pairs)
        spatial = (size + sum(pair) for size, pair in zip(value.spatial, pairs, strict=True))
        return (TensorType((value.shape[0], *spatial), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window:
        pairs = self.pairs(inputs)
        ones = (1,) * len(pairs)
        return Window(ones, ones, ones, pairs)

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        sizes = zip(only(inputs).spatial, self.pairs(inputs), strict=True)
        return tuple(f"{size} + {begin} + {end} = {size + begin + end}" for size, (begin, end) in sizes)

    def _check(self, value: TensorType, pairs: tuple[Pair, ...]) -> None:
        if self.mode != "zero" and self.value != 0:
            message = f"`value` means nothing where the border is `{self.mode}`"
            raise ShapeError("argument-value", message, argument="value")
        if self.mode == "reflect":
            _check_reflection(value, pairs)


@op("slice")
class Slice(Op):
    """Elements `start`, `start + step`, ... before `end` along one axis; negative numbers count from its end."""

    start: int = param("integer", 0, doc="first element")
    end: int | None = param("integer", None, doc="first element left out; the axis' end if not given")
    axis: int = param("axis", 1, doc="axis that is cut; 1 is the channels")
    step: int = param("count", 1, doc="distance between elements")

    any_dtype: ClassVar[bool] = True

    def bounds(self, inputs: tuple[TensorType, ...]) -> tuple[int, int]:
        """First element, and the one after the last, both counted from the front; raises `ShapeError`."""
        value = only(inputs)
        axis = position(value, self.axis)
        size = value.shape[axis]
        end = size if self.end is None else self.end
        for argument, number in (("start", self.start), ("end", end)):
            if not -size <= number <= size:
                raise _outside(value, axis, argument, number)
        begin, stop = (number + size if number < 0 else number for number in (self.start, end))
        if begin >= stop:
            raise _empty(value, axis, (self.start, end), (begin, stop))
        return begin, stop

    def written(self, inputs: tuple[TensorType, ...]) -> tuple[int, int | None]:
        """The bounds as any size of the axis allows: those that depend on an open size, counted from the end."""
        size = only(inputs).shape[position(only(inputs), self.axis)]
        start, end = (number if number is None else _from_end(number, size) for number in (self.start, self.end))
        return start or 0, end or None

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        axis = position(value, self.axis)
        begin, stop = self.bounds(inputs)
        count = -(-(stop - begin) // self.step)
        return (TensorType((*value.shape[:axis], count, *value.shape[axis + 1 :]), value.dtype),)

    def window(self, inputs: tuple[TensorType, ...]) -> Window | None:
        """A kernel of 1 that steps by `step`; what is cut off in front is negative padding."""
        value = only(inputs)
        axis = position(value, self.axis) - 1
        if axis < 0:
            return None
        begin, stop = self.bounds(inputs)
        ones, none = [1] * len(value.spatial), [(0, 0)] * len(value.spatial)
        stride, padding = list(ones), list(none)
        stride[axis], padding[axis] = self.step, (-begin, stop - value.spatial[axis])
        return Window(tuple(ones), tuple(stride), tuple(ones), tuple(padding))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        value = only(inputs)
        axis = position(value, self.axis) - 1
        if axis < 0:
            return ()
        begin, stop = self.bounds(inputs)
        cut = f"{stop} - {begin}" if self.step == 1 else f"ceil(({stop} - {begin}) / {self.step})"
        result = f"{cut} = {len(range(begin, stop, self.step))}"
        return tuple(result if index == axis else str(size) for index, size in enumerate(value.spatial))


def _from_end(number: int, size: int) -> int:
    """The number, or how far before the end it lies if only that is known; the end itself is 0."""
    gap = number - size
    return gap if symbolic(number) and not symbolic(gap) else number


@op("split")
class Split(Op):
    """Consecutive parts of one axis as several results `0`, `1`, ...: equal ones, or of the sizes listed."""

    parts: Sizes = param("sizes", doc="number of equal parts, or the list of their sizes")
    axis: int = param("axis", 1, doc="axis that is cut; 1 is the channels")

    any_dtype: ClassVar[bool] = True

    def sizes(self, inputs: tuple[TensorType, ...]) -> tuple[int, ...]:
        """Size of each part; raises `ShapeError`."""
        value = only(inputs)
        axis = position(value, self.axis)
        size = value.shape[axis]
        if isinstance(self.parts, int) and size % self.parts == 0:
            return (size // self.parts,) * self.parts
        if isinstance(self.parts, int) or sum(self.parts) != size:
            raise _uneven_parts(value, axis, self.parts)
        return self.parts

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        axis = position(value, self.axis)
        before, after = value.shape[:axis], value.shape[axis + 1 :]
        return tuple(TensorType((*before, size, *after), value.dtype) for size in self.sizes(inputs))

    def results(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        return tuple(map(str, range(len(self.sizes(inputs)))))

    def arithmetic(self, inputs: tuple[TensorType, ...]) -> tuple[str, ...]:
        value = only(inputs)
        axis = position(value, self.axis) - 1
        if axis < 0:
            return ()
        parts = f"{value.spatial[axis]} = " + " + ".join(map(str, self.sizes(inputs)))
        return tuple(parts if index == axis else str(size) for index, size in enumerate(value.spatial))


@op("scale")
class Scale(Op):
    """`factor * x + offset` with constants."""

    factor: float = param("number", 1.0, doc="what each element is multiplied by")
    offset: float = param("number", 0.0, doc="what is added to it then")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return (only(inputs),)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return ((self.factor != 1) + (self.offset != 0)) * outputs[0].elements


def _same_space(before: tuple[int, ...], after: tuple[int, ...]) -> Global | None:
    """None where a reshape regroups only what lies before height and width.

    That is how channels are shuffled, `[C, H, W] -> [g, C/g, H, W]` and back; everything else may move
    elements to other positions and counts as global.
    """
    kept = min(2, max(len(before), len(after)) - 1)
    if kept >= min(len(before), len(after)):
        return GLOBAL
    return None if before[len(before) - kept :] == after[len(after) - kept :] else GLOBAL


def _sizes_text(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def _check_sizes(shape: tuple[int, ...]) -> None:
    if not shape:
        raise ShapeError("argument-value", "`shape` is empty", argument="shape")
    for size in shape:
        if size == -1 or size > 0:
            continue
        message = f"a size is a positive number, or -1 for what is left, not {size}"
        raise ShapeError("argument-value", message, argument="shape")
    if shape.count(-1) > 1:
        message = f"{_sizes_text(shape)} leaves {shape.count(-1)} sizes open; one -1 can be filled in"
        raise ShapeError("argument-value", message, argument="shape")


def _wrong_size(value: TensorType, shape: tuple[int, ...], known: int) -> ShapeError:
    need = f"a multiple of {known}" if -1 in shape else f"{known}"
    sums = [f"{product(value.shape)} = {value.elements}"] if len(value.shape) > 1 else []
    fixed = tuple(size for size in shape if size != -1)
    sums += [f"{product(fixed)} = {known}"] if len(fixed) > 1 else []
    return ShapeError(
        "reshape-size",
        f"`{value}` has {value.elements} elements, `{_sizes_text(shape)}` needs {need}",
        argument="shape",
        notes=tuple(sums),
        help="the batch is not part of the shape; -1 stands for the size that is left",
    )


def _not_a_permutation(value: TensorType, order: tuple[int, ...]) -> ShapeError:
    rank = len(value.shape)
    names = ", ".join(f"{number} is {name}" for number, name in enumerate(axis_names(rank), 1))
    return ShapeError(
        "permutation",
        f"{_sizes_text(order)} is not an order of the axes 1 to {rank} of {value}",
        argument="order",
        notes=(names,),
        help=f"name each of 1 to {rank} once; the batch, axis 0, stays in front and is left out",
        replacements=_order_repair(order, rank),
    )


def _order_repair(order: tuple[int, ...], rank: int) -> tuple[str, ...]:
    """The order meant, if it was written with the batch, or counted from 0 without it."""
    if sorted(order) == list(range(rank + 1)) and order[0] == 0:
        return (_sizes_text(order[1:]),)
    if sorted(order) == list(range(rank)):
        return (_sizes_text(tuple(axis + 1 for axis in order)),)
    return ()


def _check_reflection(value: TensorType, pairs: tuple[Pair, ...]) -> None:
    names = axis_names(len(value.shape))[1:]
    for name, size, pair in zip(names, value.spatial, pairs, strict=True):
        if max(pair) < size:
            continue
        raise ShapeError(
            "pad-too-large",
            f"a reflection of {max(pair)} needs a {name} above {max(pair)}, but {value} has {size}",
            argument="amount",
            label=f"{max(pair)} >= {size}",
            help=f"a reflection leaves out the edge itself, so at most {size - 1} elements are there; "
            "`mode = replicate` has no such limit",
        )


def _outside(value: TensorType, axis: int, argument: str, number: int) -> ShapeError:
    size = value.shape[axis]
    return ShapeError(
        "slice-range",
        f"`{argument}` = {number} lies outside the {size} {axis_names(len(value.shape))[axis]} of {value}",
        argument=argument,
        help=f"use a number from {-size} to {size}",
        replacements=(str(size),) if argument == "end" and number > size else (),
    )


def _empty(value: TensorType, axis: int, written: Pair, bounds: Pair) -> ShapeError:
    resolved = f"of {value.shape[axis]}, {written[0]} to {written[1]} is {bounds[0]} to {bounds[1]}"
    return ShapeError(
        "slice-range",
        f"nothing is left of the {axis_names(len(value.shape))[axis]} of {value} from {written[0]} to {written[1]}",
        argument="start" if written[0] else "end",
        notes=(resolved,) if written != bounds else (),
        help="`end` is the first element left out, so it must lie after `start`",
    )


def _uneven_parts(value: TensorType, axis: int, parts: Sizes) -> ShapeError:
    size, name = value.shape[axis], axis_names(len(value.shape))[axis]
    if isinstance(parts, int):
        return ShapeError(
            "split-size",
            f"{size} {name} cannot be split into {parts} equal parts",
            argument="parts",
            notes=(f"of {value}, {size} = {size // parts} * {parts} + {size % parts}",),
            help=f"`parts` must divide {size}, or list the sizes",
        )
    return ShapeError(
        "split-size",
        f"parts of {_sizes_text(parts)} do not add up to the {size} {name} of {value}",
        argument="parts",
        notes=(f"{' + '.join(map(str, parts))} = {sum(parts)}",),
    )
