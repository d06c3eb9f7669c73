"""Applying an op to tensors: a new layer, or a diagnostic that says why it cannot be."""

from __future__ import annotations

import re
from dataclasses import replace

from archdsl.graph.bind import Bound
from archdsl.graph.blame import blame
from archdsl.graph.functions import PADDING_WORDS
from archdsl.graph.graph import Layer, TensorRef
from archdsl.graph.state import Here, Stop, Value, too_many
from archdsl.graph.values import POISON, Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import Diagnostic, Fix, Label, error
from archdsl.language.source import Span
from archdsl.ops.base import Op, ShapeError, TensorType, Weight, axis_names
from archdsl.ops.dims import openness, symbolic
from archdsl.ops.pooling import AvgPool, LPPool, MaxPool
from archdsl.ops.schemes import SCHEMES
from archdsl.ops.transposed import Unpool

LITERAL = re.compile(r"[\d_]+|\[[\d_, ]+\]|" + "|".join(PADDING_WORDS))


def apply(
    op: Op, bound: Bound, call: s.Call | s.Combinator, inputs: tuple[Value, ...], path: str, here: Here,
    source: Value | None = None, branches: tuple[Span, ...] = (),
) -> Value:  # fmt: skip
    """The op's (first) result as a new layer at `path`. `source` is what the branches of a merge forked from."""
    tensors = tuple(value for value in inputs if isinstance(value, Tensor))
    if len(tensors) < len(inputs):
        here.e.results[path] = POISON
        return POISON
    span = call.name_span if isinstance(call, s.Call) else call.word_span
    try:
        results = add_layer(op, tensors, path, span, here)
    except ShapeError as refusal:
        _report(refusal, op, bound, call, tensors, here, source, branches)
        here.e.results[path] = POISON
        return POISON
    here.e.calls[path] = (call, bound)
    layer = here.e.nodes[path]
    assert isinstance(layer, Layer)
    _warn(layer, bound, here)
    return results[0]


def add_layer(op: Op, tensors: tuple[Tensor, ...], path: str, span: Span, here: Here) -> tuple[Tensor, ...]:
    """A new layer at `path`, and its results; raises `ShapeError`, and `ArchError` where it may not stand here."""
    outputs, weights = _infer(op, tuple(tensor.type for tensor in tensors), here)
    _check_limits(outputs, weights, span, here)
    _check_training(tensors, span, here)
    layer = Layer(
        path, op, tuple(t.ref for t in tensors), tuple(t.type for t in tensors), outputs, span, here.stack,
        here.training, here.owner(path), weights,
        loop=here.loop.path if here.loop else "", repeats=here.loop.repeats if here.loop else 1,
    )  # fmt: skip
    _check_name(layer)
    _check_sharing(layer, here)
    _check_unpooling(layer, here)
    return _enter(layer, here)


def _infer(op: Op, types: tuple[TensorType, ...], here: Here) -> tuple[tuple[TensorType, ...], tuple[Weight, ...]]:
    """Results and weights; equal ops on equal types are inferred once."""
    key = (op, types)
    if key not in here.e.inferred:
        _check_dtypes(op, types)
        here.e.inferred[key] = (op.infer(types), op.weights(types))
        _check_fixed(op, here.e.inferred[key][1])
        _check_drawn(op, here.e.inferred[key][1])
    return here.e.inferred[key]


def _check_fixed(op: Op, weights: tuple[Weight, ...]) -> None:
    """Weights have one shape, whatever the sizes of the inputs."""
    weight = next((weight for weight in weights if symbolic(weight.shape)), None)
    if weight is None:
        return
    size = next(size for size in weight.shape if symbolic(size))
    what = "features" if op.name in ("linear", "rbf") else "sizes where its weights are"
    raise ShapeError(
        "symbolic-weights",
        f"`{op.name}` needs a fixed number of {what}, but {size} {openness(size)}",
        notes=(f"its `{weight.name}` would be [{', '.join(map(str, weight.shape))}]",),
        help="pool to a fixed size before it (`avgpool(global)`), or give the input numbers",
    )


def _check_drawn(op: Op, weights: tuple[Weight, ...]) -> None:
    """A scheme may need a matrix, or a kernel."""
    for weight in weights:
        scheme = SCHEMES.get(weight.init.scheme)  # None: made from another weight
        misfit = scheme.misfit(weight.shape) if scheme else ""
        if misfit:
            what = f"the `{weight.name}` of `{op.name}`" if weight.name else f"`{op.name}`"
            raise ShapeError(
                "init-rank",
                f"`{weight.init.scheme}` cannot initialize {what}: {misfit}, and has {list(weight.shape)}",
                help="what a layer says itself, `init = ...`, goes before what `initialize` says of all",
            )


def _check_dtypes(op: Op, types: tuple[TensorType, ...]) -> None:
    wrong = next((type for type in types if not type.dtype.startswith("float")), None)
    other = next((type for type in types if type.dtype != "float32"), None)
    if op.weighted and wrong is None and other is not None:
        message = f"the weights of `{op.name}` are float32, but its input is {other.dtype}"
        raise ShapeError("dtype-mismatch", message, help="declare the input without an element type, or as `float32`")
    if op.any_dtype or wrong is None:
        return
    message = f"`{op.name}` computes with floating-point numbers, but its input is {wrong.dtype}"
    raise ShapeError("dtype-mismatch", message, help="declare the input without an element type, or as `float32`")


def _check_limits(outputs: tuple[TensorType, ...], weights: tuple[Weight, ...], span: Span, here: Here) -> None:
    limits = here.e.limits
    here.e.layers += 1
    if here.e.layers > limits.layers:
        raise too_many("layers", limits.layers, span)
    largest = max([tensor.elements for tensor in outputs] + [weight.elements for weight in weights])
    if largest > limits.elements:
        message = f"a tensor of {largest:,} numbers is too large; the limit is {limits.elements:,}"
        help = "raise it with `--limit elements=...` if this is meant"
        raise Stop([Diagnostic("limit-elements", message, span, help=help, stack=here.stack)])


def _check_training(tensors: tuple[Tensor, ...], span: Span, here: Here) -> None:
    if here.training or not any(tensor.training_only for tensor in tensors):
        return
    message = "a deployed layer reads a tensor that exists in training only"
    raise error("training-only", message, span, help="mark this statement `training` as well, or read another tensor")


def _check_name(layer: Layer) -> None:
    """A weight without a name of its own is an attribute of the module around, which no number can be."""
    position = layer.module.rpartition(".")[2]
    if not position.isdecimal() or all(weight.name for weight in layer.weights):
        return
    message = f"`{layer.op.name}` has no label, and `{position}` is no name for a parameter"
    help = f"put a label before it: `gamma: {layer.op.name}(...)`"
    raise error("reserved-label", message, layer.span, help=help)


def _check_unpooling(layer: Layer, here: Here) -> None:
    """Indices count through the rows of what was pooled, so that is the size to put elements back to."""
    pool = here.e.nodes.get(layer.inputs[1].path) if isinstance(layer.op, Unpool) else None
    if not isinstance(pool, Layer) or not isinstance(pool.op, MaxPool):
        return
    pooled, result = pool.input_types[0], layer.output_types[0]
    if pooled.spatial != result.spatial:
        message = f"the indices count through {pooled}, and `unpool` gives {result}"
        help = f"name what `{pool.path}` pools, and give it: `like = ...`"
        raise ShapeError("operand-shape", message, argument="like", help=help)


def _check_sharing(layer: Layer, here: Here) -> None:
    """Every use of a module applies the same op to the same weights."""
    first = here.e.owners.setdefault(layer.module, layer) if layer.weights else layer
    if (first.op, first.weights) == (layer.op, layer.weights):
        return
    message = f"the weights of `{layer.module}` do not fit another use: `{layer.path}` differs from `{first.path}`"
    both = zip(first.weights, layer.weights, strict=False)
    notes = tuple(f"`{a.name}` is {list(a.shape)} there, {list(b.shape)} here" for a, b in both if a.shape != b.shape)
    notes = notes or (f"there it is {first.op}, here {layer.op}",)
    shapes = f"input: {layer.input_types[0]} here, {first.input_types[0]} there"
    labels = (*_use_of(first, "made for this use", here), *_use_of(layer, "used again here", here))
    help = "all uses share one set of weights"
    raise error("module-differs", message, layer.span, labels=labels, notes=(*notes, shapes), help=help)


def _use_of(layer: Layer, what: str, here: Here) -> tuple[Label, ...]:
    """Where the module around a layer is used; nothing where it is a layer of the declaration's own."""
    use = next((frame for frame in reversed(layer.stack) if frame.name in here.e.uses), None)
    return (Label(use.span, what),) if use else ()


def _enter(layer: Layer, here: Here) -> tuple[Tensor, ...]:
    here.e.nodes[layer.path] = layer
    results = [Tensor(TensorRef(layer.path, i), t, layer.training_only) for i, t in enumerate(layer.output_types)]
    if len(results) > 1:
        results = [replace(result, siblings=tuple(results)) for result in results]
    here.e.results[layer.path] = results[0]
    for name, result in zip(layer.op.results(layer.input_types), results, strict=False):
        here.e.results[f"{layer.path}.{name}"] = result
    return tuple(results)


def _report(
    refusal: ShapeError, op: Op, bound: Bound, call: s.Call | s.Combinator, tensors: tuple[Tensor, ...], here: Here,
    source: Value | None, branches: tuple[Span, ...],
) -> None:  # fmt: skip
    span = call.name_span if isinstance(call, s.Call) else call.word_span
    argument = bound.spans.get(refusal.argument or "")
    shown = argument or span
    shapes = () if op.combinator else (f"input: {', '.join(str(tensor.type) for tensor in tensors)}",)
    diagnostic = Diagnostic(
        refusal.code, refusal.message, shown, label=refusal.label, notes=(*refusal.notes, *shapes), help=refusal.help
    )  # fmt: skip
    fixes: tuple[Fix, ...] = ()
    if argument is not None and LITERAL.fullmatch(argument.text):
        texts = refusal.replacements
        fixes = tuple(Fix(f"write `{refusal.argument} = {text}`", argument, text) for text in texts)
    if branches and refusal.code in ("concat-shape", "merge-shape"):
        label, labels, fixes = blame(op, tensors, here, source, branches)
        diagnostic = replace(diagnostic, label=label, labels=labels)
    here.e.report(diagnostic, here.stack, fixes)


def _warn(layer: Layer, bound: Bound, here: Here) -> None:
    """Floor pooling that leaves out real rows, unless the spec says `ceil` in so many words."""
    if not isinstance(layer.op, MaxPool | AvgPool | LPPool) or layer.op.kernel == "global" or "ceil" in bound.values:
        return
    types = (TensorType(tuple(map(int, type.shape)), type.dtype) for type in layer.input_types)
    geometry = layer.op.geometry(tuple(types))
    assert geometry is not None
    for axis, size in enumerate(geometry.input):
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
        covered = (geometry.output[axis] - 1) * geometry.stride[axis] + reach - geometry.padding[axis][0]
        if covered >= size:
            continue
        axis_name = axis_names(len(layer.input_types[0].shape))[axis + 1]
        message = f"no window sees the end of the {axis_name}: {size - covered} of {size} {_left_out(size - covered)}"
        diagnostic = Diagnostic(
            "pool-drops-rows", message, layer.span, "warning", notes=(geometry.arithmetic()[axis],),
            help=f"say `ceil = true` (Caffe's rule: {geometry.output[axis] + 1} outputs) or `ceil = false` (as it is)",
        )  # fmt: skip
        here.e.report(diagnostic, here.stack)
        return


def _left_out(count: int) -> str:
    return "is left out" if count == 1 else "are left out"
