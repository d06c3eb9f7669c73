"""PyTorch rules of pooling. Padding that differs between the sides is put before it, with a value that never wins."""

from __future__ import annotations

from archdsl.emit.torch.convolution import borders, padded
from archdsl.emit.torch.expression import Argument, Call, Expr, Join, Literal, Text, call
from archdsl.emit.torch.rules import Form, Helper, Types, X, by_rank, rule, simplest
from archdsl.ops.base import per_axis
from archdsl.ops.dims import symbolic
from archdsl.ops.geometry import Geometry, Pair
from archdsl.ops.pooling import AdaptiveAvgPool, AdaptiveMaxPool, AvgPool, LPPool, MaxPool

Keywords = dict[str, tuple[object, object]]
NOTHING = float("-inf")


@rule(MaxPool)
def maxpool(op: MaxPool, types: Types) -> Form:
    geometry = op.geometry(types)
    if geometry is None:
        return _adaptive("max", types, 1)
    dilation: Keywords = {"dilation": (simplest(geometry.dilation), 1)}
    if op.indices:
        keywords = {**_padding(geometry), **dilation, "ceil_mode": (op.ceil, False), "return_indices": (True, False)}
        return Form(_pool("max", types, geometry, keywords).call)
    if geometry.symmetric:
        return _pool("max", types, geometry, {**_padding(geometry), **dilation, "ceil_mode": (op.ceil, False)})
    border = _filled_border(geometry)
    return _after_border("max", types, border, NOTHING, _pool("max", types, geometry, dilation))


@rule(AvgPool)
def avgpool(op: AvgPool, types: Types) -> Form:
    geometry = op.geometry(types)
    if geometry is None:
        return _adaptive("avg", types, 1)
    ceil: Keywords = {"ceil_mode": (op.ceil, False)}
    if geometry.symmetric:
        counted: Keywords = {"count_include_pad": (op.count_include_pad, True)}
        return _pool("avg", types, geometry, {**_padding(geometry), **ceil, **counted})
    if not op.count_include_pad:
        return _average_inside(types, geometry)
    clipped: Keywords = {"ceil_mode": (any(geometry.ceil_extra), False)}
    return _after_border("avg", types, _counted_border(geometry), 0.0, _pool("avg", types, geometry, clipped))


@rule(LPPool)
def lppool(op: LPPool, types: Types) -> Form:
    geometry = op.geometry(types)
    p = Literal(op.p, "p")
    if geometry is None and symbolic(types[0].spatial):
        sizes = Join((X, Text(".shape[2]" if len(types[0].spatial) == 1 else ".shape[2:]")))
        return Form(call(by_rank("F.lp_pool", types), X, p, sizes))
    if geometry is None:
        kernel = Literal(simplest(types[0].spatial), "kernel")
        return Form(call(by_rank("F.lp_pool", types), X, p, kernel), call(by_rank("nn.LPPool", types), p, kernel))
    keywords: Keywords = {**_stride(geometry), "ceil_mode": (op.ceil, False)}
    module = call(by_rank("nn.LPPool", types), p, _kernel(geometry), **keywords)
    return Form(call(by_rank("F.lp_pool", types), X, p, _kernel(geometry), **keywords), module)


@rule(AdaptiveAvgPool)
def adaptive_avgpool(op: AdaptiveAvgPool, types: Types) -> Form:
    return _adaptive("avg", types, simplest(per_axis(op.out, len(types[0].spatial), "out")))


@rule(AdaptiveMaxPool)
def adaptive_maxpool(op: AdaptiveMaxPool, types: Types) -> Form:
    return _adaptive("max", types, simplest(per_axis(op.out, len(types[0].spatial), "out")))


def _adaptive(pool: str, types: Types, out: int | tuple[int, ...]) -> Form:
    size = Literal(out, "size")
    module = call(by_rank(f"nn.Adaptive{pool.capitalize()}Pool", types), size)
    return Form(call(by_rank(f"F.adaptive_{pool}_pool", types), X, size), module)


def _pool(pool: str, types: Types, geometry: Geometry, keywords: Keywords) -> Form:
    keywords = {**_stride(geometry), **keywords}
    module = call(by_rank(f"nn.{pool.capitalize()}Pool", types), _kernel(geometry), **keywords)
    return Form(call(by_rank(f"F.{pool}_pool", types), X, _kernel(geometry), **keywords), module)


def _kernel(geometry: Geometry) -> Expr:
    return Literal(simplest(geometry.kernel), "kernel")


def _stride(geometry: Geometry) -> Keywords:
    return {"stride": (simplest(geometry.stride), simplest(geometry.kernel))}


def _padding(geometry: Geometry) -> Keywords:
    return {"padding": (simplest(tuple(begin for begin, _ in geometry.padding)), 0)}


def _after_border(pool: str, types: Types, border: tuple[Pair, ...], value: float, inner: Form) -> Form:
    """The pool of a bordered input, where pooling's own padding would be the same on both sides."""
    assert isinstance(inner.call, Call)
    assert inner.module is not None
    operand, *rest = inner.call.arguments
    bordered = Call(inner.call.function, (Argument(padded(operand.value, border, value)), *rest))
    layer = call(by_rank("nn.ConstantPad", types), Literal(borders(border), "pad"), Literal(value))
    return Form(bordered, call("nn.Sequential", layer, inner.module))


def _filled_border(geometry: Geometry) -> tuple[Pair, ...]:
    """The border with which floor mode gives the same windows, what ceil mode adds included."""
    axes = zip(geometry.padding, geometry.ceil_extra, _unused(geometry), strict=True)
    return tuple((begin, max(0, end + extra - unused)) for (begin, end), extra, unused in axes)


def _counted_border(geometry: Geometry) -> tuple[Pair, ...]:
    """The border that counts in means: without what ceil mode adds, which never does."""
    axes = zip(geometry.padding, _unused(geometry), strict=True)
    return tuple((begin, max(0, end - unused)) for (begin, end), unused in axes)


def _unused(geometry: Geometry) -> tuple[int, ...]:
    """In ceil mode, elements at the end that no window reaches, since the last would start in the padding.

    Left in the input, PyTorch would let a window start there.
    """
    if not geometry.ceil:
        return (0,) * len(geometry.input)
    reaches = ((o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(
        geometry.output, geometry.stride, geometry.dilation, geometry.kernel, strict=True))  # fmt: skip
    lengths = (size + sum(pair) for size, pair in zip(geometry.input, geometry.padding, strict=True))
    return tuple(max(0, length - reach) for length, reach in zip(lengths, reaches, strict=True))


AVERAGE_INSIDE = '''
def avg_pool{rank}d_inside(x: Tensor, pad: tuple[int, ...], kernel: {sizes}, stride: {sizes}) -> Tensor:
    """Mean over the part of each window that lies inside `x`, with padding that differs between the sides."""
    inside = F.pad(torch.ones_like(x[:1, :1]), pad)
    share = F.avg_pool{rank}d(inside, kernel, stride)
    return F.avg_pool{rank}d(F.pad(x, pad), kernel, stride) / share
'''


def _average_inside(types: Types, geometry: Geometry) -> Form:
    rank = len(types[0].spatial)
    source = AVERAGE_INSIDE.format(rank=rank, sizes="int | tuple[int, ...]").strip()
    helper = Helper(f"avg_pool{rank}d_inside", source)
    border = Literal(borders(_filled_border(geometry)), "pad")
    stride = Literal(simplest(geometry.stride), "stride")
    return Form(Call(Text(helper.name), tuple(map(Argument, (X, border, _kernel(geometry), stride)))), helper=helper)
