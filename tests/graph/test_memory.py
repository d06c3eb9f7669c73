"""Activation memory against a simulation that keeps every tensor's readers in mind at every step."""

from __future__ import annotations

from dataclasses import replace

from cost_graphs import graph_of, image, layer
from hypothesis import given
from hypothesis import strategies as st
from support import compiled

from archdsl.graph.costs import costs
from archdsl.graph.graph import Graph, Input, Layer, TensorRef
from archdsl.ops import activation, convolution, merge, shaping
from archdsl.ops.base import TensorType

FLOAT = 4


def test_chain_holds_input_and_output() -> None:
    graph = compiled("network n { input x: [2, 4, 4]; conv(3, 1); relu; output y: conv(1, 1) }").checked
    found = costs(graph)
    assert [cost.live_bytes // (16 * FLOAT) for cost in found.layers.values()] == [2 + 3, 3 + 3, 3 + 1]
    assert found.totals.peak_activation_bytes == 6 * 16 * FLOAT
    assert found.totals.training_activation_bytes == (2 + 3 + 3 + 1) * 16 * FLOAT


def test_skip_connection_is_held_until_it_is_read() -> None:
    graph = compiled("network n { input x: [2, 4, 4]; add { skip; { conv(8, 1); conv(2, 1) } } }").checked
    found = costs(graph)
    assert [cost.live_bytes // (16 * FLOAT) for cost in found.layers.values()] == [2 + 8, 2 + 8 + 2, 2 + 2 + 2]
    assert found.totals.peak_activation_bytes == 12 * 16 * FLOAT


def test_views_cost_nothing_and_keep_what_they_show() -> None:
    text = "network n { input x: [2, 4, 4]; conv(3, 1); flatten; dropout; output y: linear(5) }"
    found = costs(compiled(text).checked)
    assert [cost.live_bytes // FLOAT for cost in found.layers.values()] == [5 * 16, 3 * 16, 3 * 16, 3 * 16 + 5]
    assert found.totals.training_activation_bytes == (32 + 48 + 5) * FLOAT


def test_outputs_live_to_the_end_even_as_views() -> None:
    x = image(2, 4, 4)
    early = layer("early", activation.ReLU(), x)
    view = layer("view", shaping.Flatten(), early)
    other = layer("other", convolution.Conv(1, 1), x)
    late = layer("late", activation.ReLU(), other)
    found = costs(graph_of(x, early, view, other, late, outputs=(view, late)))
    assert [cost.live_bytes // (16 * FLOAT) for cost in found.layers.values()] == [4, 4, 5, 4]


def test_every_result_counts_while_its_layer_runs() -> None:
    x = image(4, 2, 2)
    parts = layer("parts", shaping.Split((1, 3)), x)
    used = layer("used", activation.ReLU(), (parts, 0))
    found = costs(graph_of(x, parts, used, outputs=(used,)))
    assert [cost.live_bytes // (4 * FLOAT) for cost in found.layers.values()] == [8, 2]
    assert found.totals.training_activation_bytes == (4 + 4 + 1) * 4 * FLOAT


def test_other_element_types_have_other_sizes() -> None:
    x = replace(image(3, 2, 2), type=TensorType((3, 2, 2), "uint8"))
    first = layer("first", shaping.Slice(0, 1), x)
    assert costs(graph_of(x, first, outputs=(first,))).totals.peak_activation_bytes == 12 + 4


def test_unread_inputs_and_training_heads_take_no_deployed_memory() -> None:
    x, unread = image(2, 4, 4), image(100, name="unread")
    body = layer("body", activation.ReLU(), x)
    head = layer("head", convolution.Conv(50, 1), body, training=True)
    last = layer("last", activation.ReLU(), body)
    found = costs(graph_of(x, unread, body, head, last, outputs=(last, head)))
    assert found.totals.peak_activation_bytes == 4 * 16 * FLOAT
    assert found.layers["head"].live_bytes == (2 + 50) * 16 * FLOAT  # the body's result and its own
    assert found.stages[""].training_activation_bytes == (100 + (2 + 2 + 50 + 2) * 16) * FLOAT


def simulated(graph: Graph) -> list[int]:
    """Bytes held at each layer: for every tensor made so far, look for a reader from here on."""
    layers = graph.layers

    def root(ref: TensorRef) -> TensorRef:
        node = graph.nodes[ref.path]
        return root(node.inputs[0]) if isinstance(node, Layer) and node.op.view else ref

    def held(step: int) -> set[TensorRef]:
        made = [TensorRef(node.path) for node in graph.inputs]
        made += [TensorRef(n.path, i) for n in layers[: step + 1] for i in range(len(n.output_types)) if not n.op.view]
        read = {root(ref) for node in layers[step:] for ref in node.inputs}
        read |= {root(output.tensor) for output in graph.outputs}
        new = {ref for ref in made if ref.path == layers[step].path}
        return {ref for ref in made if ref in read} | new

    return [sum(graph.type_of(ref).bytes for ref in held(step)) for step in range(len(layers))]


@given(st.data())
def test_random_graphs_equal_the_simulation(data: st.DataObject) -> None:
    inputs = [image(4, 2, 2, name="x"), image(4, 2, 2, name="y")]
    layers: list[Layer] = []
    ready: list[Input | Layer] = [*inputs]  # whose result is [4, 2, 2]
    for index in range(data.draw(st.integers(1, 12))):
        picked = data.draw(st.lists(st.sampled_from(ready), min_size=1, max_size=3))
        layers += _step(
            f"n{index}", data.draw(st.sampled_from(["relu", "view", "wide", "split", "add"])), picked, index
        )
        ready.append(layers[-1])
    count = data.draw(st.integers(1, 2))
    graph = graph_of(*inputs, *layers, outputs=tuple(node for node in ready[-count:] if isinstance(node, Layer)))
    found = costs(graph)
    assert [cost.live_bytes for cost in found.layers.values()] == simulated(graph)
    assert found.totals.peak_activation_bytes == max(simulated(graph))


def _step(name: str, kind: str, picked: list[Input | Layer], index: int) -> list[Layer]:
    if kind == "wide":
        wide = layer(f"{name}a", convolution.Conv(index + 1, 1), picked[0])
        return [wide, layer(f"{name}b", convolution.Conv(4, 1), wide)]
    if kind == "split":
        parts = layer(f"{name}a", shaping.Split((1, 3)), picked[0])
        return [parts, layer(f"{name}b", convolution.Conv(4, 1), (parts, index % 2))]
    if kind == "add":
        return [layer(name, merge.Add(), *picked)]
    return [layer(name, activation.ReLU() if kind == "relu" else shaping.Dropout(), picked[0])]
