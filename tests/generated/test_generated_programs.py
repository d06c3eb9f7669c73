"""Random valid programs over the whole language: they compile, their reports add up, both of their forms agree."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from program_checks import check_program
from program_ops import BY_IDIOM, UNARY
from program_strategy import Program, programs

from archdsl.ops.base import OPS

CALM = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)

#: What random programs once found, as small as it became.
FOUND = {
    "a number for each sample": "input x: []\n abs -> flatten -> linear(3)",
    "an index for each sample": "input x: int64 []\n e: embedding(5, 4)",
    "a module on a single number": "input x: []\n s: { relu -> tanh } -> abs",
    "a split into one part": "input x: [5, 6]\n output first: @x\n output second: split(1)",
    "a recurrence whose state has other axes than a step": """input x: [3, 6, 6]
        recur over time with h = zeros(1) { h = add { { flatten -> linear(1) }; { h -> linear(1) } } -> tanh }
        transpose([1, 2])""",
    "declared biases beside attention without": """initialize bias = zeros
        input x: [5, 6]
        multihead_attention(1, bias = false) -> linear(3)""",
    "a border before an average of two": "input x: [2, 6, 6]\n pad(2) -> avgpool(2)",
    "a border before padded means": "input x: [2, 6, 6]\n pad(3) -> avgpool(3, pad = 1)",
    "a border of zeros above all maxima": "input x: [2, 6, 6]\n abs -> neg -> pad(1) -> maxpool(3, pad = 1)",
    "a border before maxima apart": "input x: [2, 6, 6]\n pad(2) -> maxpool(2, dilation = 2)",
    "a border before maxima in ceil mode": "input x: [2, 6, 6]\n pad(2) -> maxpool(2, stride = 3, ceil = true)",
    "a result longer than the stride": "input x: [1, 4, 4]\n deconv(2, 2, output_pad = [0, 1], dilation = 2)",
    "a result lengthened and cut": "input x: [1, 4, 4]\n deconv(2, 2, pad = 1, output_pad = 2, dilation = 3)",
    "a network in a training part": "input x: [4]\n abs\n aux: inner training\n relu from @x",
    "two recurrences in two labels": """input x: [3, 4]
        a: { relu -> recur over time { sigmoid } }
        b: { tanh -> recur over time { select([0]) } }
        recur over time with h = zeros(1) { h = add { tanh; h } }
        c: { abs -> recur over time with h = zeros(1) { h = mul { in; h -> scale(1, 1) } } }""",
    "a module without weights": """input x: [3, 2]
        module plain: small
        s: abs -> add { plain; linear(2) }""",
    "a module of a label, used further in": """input x: [4]
        s: { module two: { linear(1, bias_init = zeros) -> linear(4) }
        t: abs -> two }""",
    "a gelu, and half of what it takes": """input x: [5, 6]
        a: gelu(approximate = tanh)
        add { @a; { @x -> scale(0.5, 1) }; { gelu from @x } }""",
    "a single number that becomes a vector": """input x: [5, 6]
        a: reduce_max([1, 2]) -> reshape([1]) -> linear(3)
        recur over time { reduce_mean(1) -> reshape([1, 1]) }   from @x
        flatten -> linear(3) -> add { skip; @a }""",
    "weights that are held": "input x: [1, 4, 4]\n s: deconv(1, 1, trainable = false)",
    "a border before shares": "input x: [2, 6, 6]\n abs -> neg -> pad(1) -> adaptive_maxpool(4)",
    "a border before shares' means": "input x: [2, 6, 6]\n pad(2) -> adaptive_avgpool(5)",
}


@CALM
@given(programs())
def test_random_programs(program: Program) -> None:
    check_program(program)


def test_magnified_rounding_is_no_finding() -> None:
    """All of what comes out here is what rounding left of numbers that are equal, times the root of 1 / eps."""
    body = "input x: [1, 4, 4]\n scale(0, offset = 0.1) -> avgpool(3, stride = 1) -> instancenorm"
    assert check_program(Program(f"network main {{\n {body}\n}}\n")) == "ill-conditioned"


@pytest.mark.parametrize("body", FOUND.values(), ids=FOUND)
def test_what_was_found(body: str) -> None:
    inner = "network inner { input y: [4]\n linear(2)\n output first: skip\n output second: @y }"
    inner += "\nblock small { abs }"
    assert check_program(Program(f"network main {{\n {body}\n}}\n{inner}\n")) == "agrees"


@pytest.mark.slow
def test_every_op_takes_part() -> None:
    seen: Counter[str] = Counter()

    @settings(CALM, max_examples=1500, phases=[Phase.generate])
    @given(programs())
    def look(program: Program) -> None:
        seen.update(set(re.findall(r"\w+", program.text)))

    look()
    assert {name for name in OPS if not seen[name]} == set()
    words = (
        "repeat for if else module let block network recur tensor training from by preprocess initialize as in output"
    )
    assert {word for word in words.split() if not seen[word]} == set()
    assert OPS.keys() == set(UNARY) | BY_IDIOM


def test_a_wrong_rule_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.emit.onnx import rules
    from archdsl.ops.arithmetic import Abs

    monkeypatch.setitem(rules.RULES, Abs, lambda site, _: site.final("Neg", site.inputs))
    with pytest.raises(AssertionError, match="the forms differ"):
        check_program(Program("network main { input x: [4]; abs }"))
