"""Passes around and inside the body of a `recur`, which runs once for each step."""

from __future__ import annotations

import pytest
from pass_networks import assert_inferred, assert_same_function, both, kinds
from support import compiled

from archdsl.language.diagnostics import ArchError
from archdsl.passes.pipeline import DEPLOYMENT, run_passes
from archdsl.passes.retype import retype

TEXT = """
network n {
    input x: [6, 5]
    before: scale(2, 1)
    steps: recur over time with h = zeros(5) {
        mixed: add { scale(3, 1); h } -> dropout -> scale(1)
        h = linear(5) -> scale(0.5) -> tanh
    }
    output y: linear(3) -> scale(2)
}
"""


def test_layers_fold_within_a_step() -> None:
    graph = compiled(TEXT).checked
    deployed, before, after = both(graph, *DEPLOYMENT)
    assert_same_function(before, after)
    assert_inferred(deployed.graph)
    body = [layer for layer in deployed.graph.layers if layer.loop]
    assert kinds(body) == ["scale", "add", "linear", "tanh"]


def test_the_border_of_a_loop_is_not_crossed() -> None:
    """The layer before reads all steps, the one inside reads one that has no sequence axis."""
    text = """
    network n {
        input x: [6, 4, 5, 5]
        input image: [4, 5, 5]
        outside: affine from @image
        output y: recur over time with h = zeros([4, 5, 5]) {
            h = add { conv(4, 1, bias = false) from @outside; h; in }
        } from @x
    }
    """
    deployed, before, after = both(compiled(text).checked, *DEPLOYMENT)
    assert_same_function(before, after)
    assert "affine" in kinds(deployed.graph.layers)


def test_the_number_of_steps_stays() -> None:
    graph = compiled(TEXT).checked
    with pytest.raises(ArchError, match=r"size-fixed.*`recur` runs 6 steps; at this size there would be 7"):
        retype(graph, {"x": (7, 5)})


def test_open_sizes_of_the_spec_become_numbers() -> None:
    """What is laid out with sizes that know how they follow from H is laid out at its nominal size."""
    text = "network n { input x: [3, H: 8 .. 32 by 4 = 16, 8]; conv(4, 3) -> slice(0, in.height - 2, axis = 2) }"
    graph = compiled(text).checked
    assert graph.symbols
    assert retype(graph).symbols == graph.symbols
    fixed = retype(graph, {"x": (3, 20, 8)})
    assert fixed.symbols == ()
    assert fixed.outputs[0].type.shape == (4, 12, 6)
    assert_inferred(fixed)
    assert_inferred(run_passes(graph, {}).graph)
