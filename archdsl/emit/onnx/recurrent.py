"""ONNX rules of recurrent layers: one operator for each layer, time first, as onnxruntime runs them.

The weights stay those of the `state_dict`; nodes on them, which a runtime folds once, bring the gates into ONNX's
order and both directions into one tensor. States that are not given are empty inputs, which stand for zeros, so that
neither the batch nor the length is written down.
"""

from __future__ import annotations

from archdsl.emit.onnx.rules import AttributeValue, Placed, Site, rule
from archdsl.ops.base import Op, TensorType
from archdsl.ops.recurrent import GRU, LSTM, RNN, Recurrent

#: the operator, and where in PyTorch's order of gates each of ONNX's stands: i f g o as i o f c, r z n as z r h
KINDS: dict[type[Op], tuple[str, tuple[int, ...]]] = {
    RNN: ("RNN", (0,)), LSTM: ("LSTM", (0, 3, 1, 2)), GRU: ("GRU", (1, 0, 2)),
}  # fmt: skip


@rule(*KINDS)
def recurrent(site: Site, op: Recurrent) -> None:
    operator, order = KINDS[type(op)]
    gates = site.constant("gates", order) if len(order) > 1 else ""
    (value,) = site.nodes("Transpose", [site.inputs[0]], {"time_first": (site.type, 1)}, perm=(1, 0, 2))
    begun = _initial(site, op)
    ended: list[tuple[str, ...]] = []
    for layer in range(op.layers):
        given = [begun[name][layer] if name in begun else "" for name in op.states]
        inputs = _without_end([value, *_weights(site, op, layer, gates), "", *given])
        results = {f"{layer}/y": (_of_steps(site, op), 2), **{f"{layer}/{name}": _of_layer(op) for name in op.states}}
        found, *states = site.nodes(operator, inputs, results, **_attributes(op))
        ended.append(tuple(states))
        if layer + 1 < op.layers:
            value = _time_first(site, op, layer, found)
    _give(site, op, found, ended)


def _give(site: Site, op: Recurrent, found: str, ended: list[tuple[str, ...]]) -> None:
    """The results with the batch first; of the states, all layers together."""
    length = site.type.shape[0]
    apart = TensorType((length, op.directions, op.hidden))
    (turned,) = site.nodes("Transpose", [found], {"batch_first": (apart, 0)}, perm=(2, 0, 1, 3))
    site.finish(0, "Reshape", [turned, site.constant("shape", (0, 0, op.directions * op.hidden))])
    whole = TensorType((op.layers * op.directions, op.hidden))
    for index, (name, parts) in enumerate(zip(op.states, zip(*ended, strict=True), strict=True), 1):
        joined = parts[0] if len(parts) == 1 else site.nodes("Concat", parts, {name: (whole, 1)}, axis=0)[0]
        site.finish(index, "Transpose", [joined], perm=(1, 0, 2))


def _of_steps(site: Site, op: Recurrent) -> TensorType:
    """What a layer gives at every step: `[T, directions, hidden]` without the batch."""
    return TensorType((site.type.shape[0], op.directions, op.hidden))


def _of_layer(op: Recurrent) -> Placed:
    """A layer's state: `[directions, N, hidden]`."""
    return TensorType((op.directions, op.hidden)), 1


def _attributes(op: Recurrent) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {"hidden_size": op.hidden}
    if op.bidirectional:
        attributes["direction"] = "bidirectional"
    if isinstance(op, GRU):
        attributes["linear_before_reset"] = 1
    if isinstance(op, RNN) and op.nonlinearity == "relu":
        attributes["activations"] = ("Relu",) * op.directions
    return attributes


def _initial(site: Site, op: Recurrent) -> dict[str, tuple[str, ...]]:
    """Each given state as the operators of all layers take it, `[directions, N, hidden]`."""
    sizes = site.constant("states", (op.directions,) * op.layers) if len(site.inputs) > 1 and op.layers > 1 else ""
    found = {}
    for name, source, type in zip(op.states, site.inputs[1:], site.layer.input_types[1:], strict=False):
        (turned,) = site.nodes("Transpose", [source], {f"{name}0": (type, 1)}, perm=(1, 0, 2))
        results = {f"{layer}/{name}0": _of_layer(op) for layer in range(op.layers)}
        found[name] = site.nodes("Split", [turned, sizes], results, axis=0) if sizes else (turned,)
    return found


def _time_first(site: Site, op: Recurrent, layer: int, value: str) -> str:
    """`[T, directions, N, hidden]` as `[T, N, directions * hidden]`, what the next layer reads."""
    width = op.directions * op.hidden
    (turned,) = site.nodes("Transpose", [value], {f"{layer}/turned": (_of_steps(site, op), 1)}, perm=(0, 2, 1, 3))
    shape = site.constant(f"{layer}/shape", (0, 0, width))
    joined = TensorType((site.type.shape[0], width))
    return site.nodes("Reshape", [turned, shape], {f"{layer}/value": (joined, 1)})[0]


def _weights(site: Site, op: Recurrent, layer: int, gates: str) -> list[str]:
    """W, R and B of a layer: `[directions, gates * hidden, ...]`; of B, both biases side by side."""
    found = []
    for kinds in (("weight_ih",), ("weight_hh",), ("bias_ih", "bias_hh")[: 2 * op.bias]):
        names = [f"{kind}_l{layer}{suffix}" for suffix in ("", "_reverse")[: op.directions] for kind in kinds]
        found.append(_ordered(site, op, names, gates) if names else "")
    return found


def _ordered(site: Site, op: Recurrent, names: list[str], gates: str) -> str:
    """Weights of both directions as one, the rows of each gate where ONNX has them."""
    name = names[0]
    rows, *columns = next(weight.shape for weight in site.layer.weights if weight.name == name)
    joined = site.weight(name)
    if len(names) > 1:
        whole = TensorType((len(names) * rows, *columns))
        joined = site.weight_node("Concat", [site.weight(name) for name in names], f"{name}/all", whole, axis=0)
    if gates:
        apart = TensorType((len(names), op.gates, op.hidden, *columns))
        target = site.constant(f"{name}/gates", apart.shape)
        split = site.weight_node("Reshape", [joined, target], f"{name}/by_gate", apart)
        joined = site.weight_node("Gather", [split, gates], f"{name}/ordered", apart, axis=1)
    shape = (op.directions, rows * len(names) // op.directions, *columns)
    target = site.constant(f"{name}/shape", shape)
    return site.weight_node("Reshape", [joined, target], f"{name}/whole", TensorType(shape))


def _without_end(inputs: list[str]) -> list[str]:
    """Empty inputs at the end are left out."""
    while not inputs[-1]:
        inputs = inputs[:-1]
    return inputs
