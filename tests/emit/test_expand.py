"""The flat text of a network: compiled, it is the same network, for every kind of construct and for the library."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import compiled

import archdsl
from archdsl.graph.graph import Graph, Layer
from archdsl.graph.lint import walk
from archdsl.graph.refit import refitted
from archdsl.language import syntax as s
from archdsl.language.limits import Limits
from archdsl.language.parse import parse
from archdsl.language.program import read_program
from archdsl.language.source import Source

SPECS = Path(__file__).parents[2] / "specs"
NETWORKS = {
    "names that hide others": """
        conv(4, 3, pad = 1)
        a: { conv(4, 1); add { skip; @.0 }; concat { @0; @.0 } }
        b: { x: conv(4, 1); y: { x: relu; z: add { @x; @.b.x } } }""",
    "modules": """
        module m: { c: conv(4, 3, pad = 1) -> relu; add { skip; @c }; mul { skip; @image } }
        module k: conv(4, 1) -> relu
        one: m; two: m from @image; k; three: k -> m
        scope: { k; k }""",
    "a module in a module": """
        module k: conv(4, 1) -> relu
        module m: { k; c: k; add { @c; skip } }
        one: m; m; k""",
    "recurrence": """
        flatten -> linear(24) -> reshape([6, 4])
        cell: recur over time with h = zeros(4), c = zeros(4) {
            concat { skip; @h }
            linear(8) -> split(2, axis = 1) as f, g
            c = mul { @f -> sigmoid; @c }
            add { @c; @g }
            h = tanh
        }
        @cell.recur.h -> linear(3)""",
    "states without a layer": """
        reshape([4, 64])
        recur over time with h = zeros(64) { add { in; @h } -> linear(64); mul { skip; in }; h = @mul; @h -> relu }
        relu
        recur over time { linear(2) }""",
    "training parts between outputs": """
        conv(4, 3) -> relu
        aux: { avgpool(global) -> flatten; linear(3) } training weight = 0.5
        output early: @0
        aux2: conv(3, 1) from @1 training
        output late: flatten -> linear(2)""",
    "positions without a layer": """
        none; conv(4, 3); a: skip; none; conv(4, 3); concat { none; conv(2, 1); x: skip }; relu""",
    "labels made of words": """
        inpu{"t"}: conv(4, 1); expec{"t"}: { relu }; block{1}: relu; over: relu""",
    "several results": """
        p: maxpool(2, indices = true, ceil = false)
        @p.indices
        @p -> clamp(min = -1, max = 1e-3) -> split(2) as u, v
        concat { @v; @u }""",
    "networks inside": """
        inner(@image, @image) as p, q
        z: inner(b = @image, a = @image)
        concat { @p; @q; @z.y; @z.x }""",
    "what a label names too": """
        a: conv(4, 1) -> gate -> relu
        b: conv(4, 1) -> { gate; relu }
        gate
        c: gate -> conv(4, 1)
        d: conv(4, 1) as e -> relu
        add { @d; @e }""",
    "a recipe and rules": """
        a: conv(4, 1); b: relu
        train {
            loss: cross_entropy(@a) - 0.5 * mse(@b, @a)
            augmentation: [random_crop(3), horizontal_flip]
            batch: 3
        }
        weights { prefix "a." = "b."; pattern "^x(\\d)" = "y{\\1 + 1}"; drop "q\\"r" }""",
    "loops, choices and numbers": """
        initialize weight = normal(std = 0.02), conv = he_normal
        for i, width in [4, 8] {
            stage{i}: repeat 2 { conv(width, 3, pad = same) -> relu if i == 0 else leaky_relu(0.1) }
        }
        output only: flatten -> linear(3)""",
}
HELPERS = """
block none { skip }
block gate { mul { skip; sigmoid } }
network inner {
    input a: [4, 8, 8]; input b: [4, 8, 8]
    add { @a; @b } -> conv(4, 3); output x: relu; output y: conv(1, 1)
}
"""


def described(graph: Graph) -> list[object]:
    """What a graph is, apart from where its text stands."""
    rows: list[object] = []
    for path, node in graph.nodes.items():
        if isinstance(node, Layer):
            weights = [(node.key(weight), weight) for weight in node.weights]
            kind = (node.training_only, node.module, node.loop, node.repeats)
            rows.append((path, node.op, node.inputs, node.output_types, weights, kind))
        else:
            rows.append((path, node.type, node.preprocess))
    rules = [(rule.kind, rule.text, rule.to) for rule in graph.renames]
    return [*rows, graph.outputs, graph.symbols, graph.uses, graph.recipe, rules]


def check(network: archdsl.Network) -> str:
    """The flat text, after it was compiled."""
    text = network.arch_source()
    assert described(compiled(text).checked) == described(refitted(network.checked))
    tree = parse(Source("flat", text), Limits(file_size=10**9))
    assert (len(tree.networks), tree.blocks, tree.lets, tree.uses) == (1, (), (), ())
    flow = s.Repeat | s.Loop | s.Conditional | s.ChosenElement | s.Let
    assert not [node for node in walk(tree.networks[0]) if isinstance(node, flow)]
    return text


@pytest.mark.parametrize("name", NETWORKS)
def test_construct(name):
    check(compiled(f"network n {{\n    input image: [4, 8, 8]{NETWORKS[name]}\n}}\n{HELPERS}", "n"))


def test_open_sizes():
    check(compiled("network n { input words: [T: 4 .. 64 by 4, 8]; input more: int64 [W, 2]; linear(3) from @words }"))


@pytest.mark.parametrize(
    "spec", ["googlenet", "lenet5", "segmentation/unet", "generative/dcgan", "transformer/encoder"]
)
def test_a_network_of_the_library(spec):
    check(archdsl.load(SPECS / f"{spec}.arch"))


def test_parameters_and_sizes_from_outside():
    network = archdsl.load("resnet18", classes=7, inputs={"image": (3, "H", "W")})
    text = check(network)
    assert "linear(7, " in text
    assert "[3, H: 112 .. 448 = 224, W: 112 .. 448 = 224]" in text


def test_images_are_prepared_for_the_size_from_outside():
    spec = "network n { input image: [3, 8, 8] preprocess resize = 10, crop = 8; conv: conv(4, 3) }"
    assert "preprocess resize = 20, crop = 16" in compiled(spec, inputs={"image": (3, 16, 16)}).arch_source()


def test_each_layer_has_its_origin():
    network = archdsl.load(SPECS / "squeezenet.arch")
    lines = [line for line in network.arch_source().splitlines() if "# " in line and "squeezenet.arch:" in line]
    assert len(lines) > 30
    for line in lines:
        if "conv(" in line:
            number = int(line.rpartition(":")[2])
            assert "conv" in (SPECS / "squeezenet.arch").read_text("utf-8").splitlines()[number - 1]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(SPECS.rglob("*.arch")), ids=lambda path: str(path.relative_to(SPECS)))
def test_every_network_of_the_library(path):
    for network in read_program(path, str(path), Limits()).main.networks:
        check(archdsl.load(path, network.name))
