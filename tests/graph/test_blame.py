"""Inputs that do not fit together: what is said of every op that reads several, and where the odd size began."""

from __future__ import annotations

import itertools
from dataclasses import MISSING

import pytest
from support import compiled, messages

import archdsl
from archdsl.language.diagnostics import Diagnostic
from archdsl.ops import OPS
from archdsl.ops.base import Op, parameters

SEVERAL = [op for op in OPS.values() if len(op.operands) > 1]
INPUTS = {"a": "[16, 32]", "b": "[12, 20]", "c": "[8, 8, 8]", "d": "bool [12, 20]", "e": "int64 [7, 4]", "f": "[4]"}
ARGUMENTS = {"count": "2", "sizes": "2", "window": "2", "integers": "[2, 2]", "number": "0.5", "scales": "2"}


def only(text: str) -> Diagnostic:
    """The single finding of a text."""
    with pytest.raises(archdsl.ArchError) as failure:
        compiled(text)
    (found,) = failure.value.diagnostics
    return found


def marks(text: str) -> list[tuple[str, str]]:
    """What the further marks of the finding stand under, and what they say."""
    return [(label.span.text, label.message) for label in only(text).labels]


# Ops that read several tensors ----------------------------------------------------------------------------------------


def call(op: type[Op], tensors: tuple[str, ...]) -> str:
    required = [field for field in parameters(op) if field.default is MISSING]
    settings = [f"{field.name} = {ARGUMENTS[field.metadata['kind']]}" for field in required]
    return f"{op.name}({', '.join([*(f'@{name}' for name in tensors), *settings])})"


@pytest.mark.parametrize("op", SEVERAL, ids=lambda op: op.name)
def test_inputs_that_do_not_fit_are_refused_in_words(op: type[Op]) -> None:
    declared = "; ".join(f"input {name}: {shape}" for name, shape in INPUTS.items())
    refused = 0
    count = len(op.operands) - max(op.optional_operands - 1, 0)  # with one of those that may be left out
    for tensors in itertools.product(INPUTS, repeat=count):
        found = [m for m in messages(f"network n {{ {declared}; {call(op, tensors)} }}") if "unused" not in m]
        assert len(found) <= 1, (tensors, found)
        refused += len(found)
    assert refused


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("sub(@a, @b)", "merge-shape: `sub` inputs disagree on their sizes"),
        ("greater(@a, @b)", "merge-shape: `greater` inputs disagree on their sizes"),
        ("where(@d, @a, @b)", "merge-shape: `where` inputs disagree on their sizes"),
        ("matmul(@a, @b)", "merge-shape: [N, 16, 32] and [N, 12, 20] cannot be multiplied as matrices"),
        ("attention(@a, @b, @b)", "merge-shape: `attention`: `query` and `key` disagree on their features"),
    ],
)
def test_what_is_said(statement: str, expected: str) -> None:
    declared = "; ".join(f"input {name}: {shape}" for name, shape in INPUTS.items())
    assert messages(f"network n {{ {declared}; {statement} }}") == [expected]


# Where it began -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "merge", "mark"),
    [
        # a global pool has no stride and no padding that could be changed
        ("[8, 8, 12]", "concat { skip; avgpool(global) }", ("avgpool(global)", "8x12 becomes 1x1 here: all 8 into 1")),
        (
            "[8, 8, 12]",
            "concat { skip; avgpool(global) -> conv(8, 1) }",
            ("avgpool(global)", "8x12 becomes 1x1 here: all 8 into 1"),
        ),
        # whole shapes where the number of axes changes
        ("[8, 8, 8]", "add { skip; reduce_mean(1) }", ("reduce_mean(1)", "[N, 8, 8, 8] becomes [N, 8, 8] here")),
        ("[8, 4, 4]", "max { skip; flatten }", ("flatten", "[N, 8, 4, 4] becomes [N, 128] here")),
        # of what is made anew there is no before
        ("[3136, 96]", "mul { skip; gamma: parameter([96]) }", ("parameter([96])", "makes [N, 96] here")),
        ("[3136, 96]", "mul { gamma: parameter([96]); skip }", ("parameter([96])", "makes [N, 96] here")),
        ("[8, 6]", "add { skip; zeros([8, 5]) }", ("zeros([8, 5])", "makes [N, 8, 5] here")),
        ("[8, 6]", "add { skip; zeros([4, 6]) -> relu }", ("zeros([4, 6])", "makes [N, 4, 6] here")),
        # channels
        ("[16, 8, 8]", "add { skip; conv(32, 1) -> relu }", ("conv(32, 1)", "16 channels become 32 here")),
        ("[16, 8, 8]", "add { conv(32, 1) -> relu; skip }", ("conv(32, 1)", "16 channels become 32 here")),
        ("[16]", "add { skip; linear(8) }", ("linear(8)", "16 features become 8 here")),
        ("[16, 8, 8]", "add { skip; concat { relu; tanh } }", ("concat { relu; tanh }", "makes 32 channels here")),
        # sizes come before channels, and with the sum behind them
        (
            "[16, 8, 8]",
            "add { skip; conv(32, 3) -> conv(64, 1) }",
            ("conv(32, 3)", "8x8 becomes 6x6 here: 8 - 3 + 1 = 6"),
        ),
    ],
)
def test_the_layer_that_made_the_odd_size(shape: str, merge: str, mark: tuple[str, str]) -> None:
    assert marks(f"network n {{ input x: {shape}; {merge} }}") == [mark]


def test_of_several_results_it_is_the_one_that_flowed_on() -> None:
    text = "network n { input x: [16, 8, 8]; split([6, 10]) as a, b; add { a; b } }"
    assert marks(text) == [("split([6, 10])", "16 channels become 10 here")]


def test_inside_a_block_the_call_that_said_so() -> None:
    block = "block res(out) { add { skip; { conv(out, 3, pad = 1) -> batchnorm } } }"
    assert marks(f"{block}\nnetwork n {{ input x: [16, 8, 8]; res(16); res(32) }}") == [
        ("conv(out, 3, pad = 1)", "16 channels become 32 here"),
        ("res", "`out` is 32 in this call"),
    ]


def test_a_call_that_has_no_part_in_it_is_not_marked() -> None:
    block = "block res(other) { add { skip; conv(32, 1) }; linear(other) }"
    assert marks(f"{block}\nnetwork n {{ input x: [16, 8, 8]; res(8) }}") == [
        ("conv(32, 1)", "16 channels become 32 here")
    ]


def test_the_fix_is_an_edit_of_that_layer() -> None:
    fix = only("network n { input x: [8, 9, 9]; add { skip; conv(8, 3) } }").fix
    assert fix is not None
    assert "conv(8, 3, pad = 1)" in fix.apply()
