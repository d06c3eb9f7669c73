"""PyTorch rules of ops that arrange elements."""

from __future__ import annotations

from archdsl.emit.torch.convolution import borders
from archdsl.emit.torch.expression import Display, Expr, Infix, Join, Literal, Operand, Text, call, method
from archdsl.emit.torch.rules import SELF_TRAINING, Form, Types, Unsupported, X, by_rank, rule, simplest
from archdsl.ops.axes import position
from archdsl.ops.base import TensorType
from archdsl.ops.dims import names, symbolic
from archdsl.ops.resampling import Upsample
from archdsl.ops.shaping import Dropout, Flatten, Pad, Reshape, ReshapeAs, Scale, Slice, Split, Transpose


@rule(Dropout)
def dropout(op: Dropout, types: Types) -> Form:
    rate = Literal(op.rate, "rate")
    return Form(call("F.dropout", X, rate, SELF_TRAINING), call("nn.Dropout", rate))


@rule(Flatten)
def flatten(op: Flatten, types: Types) -> Form:
    if not types[0].shape:  # PyTorch finds no axis to begin at
        return Form(call("torch.unsqueeze", X, Text("1")))
    return Form(call("torch.flatten", X, Text("1")), call("nn.Flatten"))


@rule(Reshape)
def reshape(op: Reshape, types: Types) -> Form:
    """The batch is taken from the input: with -1 a wrong input size would go into the batch unnoticed."""
    return Form(method(X, "reshape", _axis(0), *_sizes(op, types[0])))


def _sizes(op: Reshape, value: TensorType) -> list[Expr]:
    """As the spec has them; an open size is that of the input's axis which has it, else what is left."""
    axes = {size: axis for axis, size in reversed(list(enumerate(value.shape, 1))) if symbolic(size)}
    left = [size for size in op.shape if size == -1 or (symbolic(size) and size not in axes)]
    if len(left) > 1:
        wanted = ", ".join(map(str, op.shape))
        reason = f"[N, {wanted}] has several sizes that no axis of {value} has, which depend on {names(left)}"
        raise Unsupported(f"{reason}; `reshape_as` takes them from a tensor that has them")
    return [_axis(axes[size]) if size in axes else Literal(-1 if size in left else size, "size") for size in op.shape]


def _axis(number: int) -> Expr:
    return Join((X, Text(f".shape[{number}]")))


@rule(ReshapeAs)
def reshape_as(op: ReshapeAs, types: Types) -> Form:
    return Form(method(X, "reshape_as", Operand(1)))


@rule(Transpose)
def transpose(op: Transpose, types: Types) -> Form:
    moved = [axis for axis, source in enumerate(op.order, 1) if axis != source]
    if len(moved) == 2:
        return Form(method(X, "transpose", *(Text(str(axis)) for axis in moved)))
    return Form(method(X, "permute", *(Text(str(axis)) for axis in (0, *op.order))))


@rule(Pad)
def pad(op: Pad, types: Types) -> Form:
    amounts = borders(op.pairs(types))
    mode = "constant" if op.mode == "zero" else op.mode
    keywords = {"mode": (mode, "constant"), "value": (op.value, 0.0)}
    names = {"zero": "nn.ConstantPad", "reflect": "nn.ReflectionPad", "replicate": "nn.ReplicationPad"}
    zero = op.mode == "zero" and op.value == 0
    value = [] if zero or op.mode != "zero" else [Literal(op.value)]
    name = by_rank("nn.ZeroPad" if zero else names[op.mode], types)
    module = call(name, Literal(simplest(amounts), "pad"), *value)
    return Form(call("F.pad", X, Literal(amounts, "pad"), **keywords), module)


@rule(Slice)
def slice_(op: Slice, types: Types) -> Form:
    axis = position(types[0], op.axis) + 1
    begin, stop = op.written(types)
    start: list[Expr] = [Literal(begin, "start")] if begin else []
    end: list[Expr] = [] if stop is None else [Literal(stop, "end")]
    step: list[Expr] = [Text(":"), Literal(op.step, "step")] if op.step != 1 else []
    return Form(Join((X, Text("[" + ":, " * axis), *start, Text(":"), *end, *step, Text("]"))))


@rule(Split)
def split(op: Split, types: Types) -> Form:
    if len(op.sizes(types)) == 1:  # PyTorch would give a tuple of one
        return Form(X)
    axis = Literal(op.axis, "axis")
    if isinstance(op.parts, int):
        return Form(call("torch.chunk", X, Literal(op.parts, "parts"), axis))
    sizes = Display(tuple(Literal(size, "size") for size in op.sizes(types)))
    return Form(call("torch.split", X, sizes, axis))


@rule(Upsample)
def upsample(op: Upsample, types: Types) -> Form:
    scale = simplest(op.scales(types))
    keywords: dict[str, tuple[object, object]] = {"scale_factor": (scale, None), "mode": (op.mode, "nearest")}
    if op.mode != "nearest":
        keywords["align_corners"] = (op.align_corners, False)
    return Form(call("F.interpolate", X, **keywords), call("nn.Upsample", **keywords))


@rule(Scale)
def scale(op: Scale, types: Types) -> Form:
    factor: Expr = X if op.factor == 1 else Infix("*", (Literal(op.factor, "factor"), X))
    if op.offset == 0:
        return Form(factor)
    sign, size = ("-", -op.offset) if op.offset < 0 else ("+", op.offset)
    return Form(Infix(sign, (factor, Literal(size, "offset"))))
