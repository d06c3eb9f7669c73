"""Open sizes in networks: what declares them, what they are counted at, and what is refused over their range."""

from __future__ import annotations

import pytest
from support import compiled, messages

import archdsl
from archdsl.graph.sizes import at
from archdsl.graph.symbolic import points, trials
from archdsl.ops.dims import Symbol

NET = "network net(F = 8) {{ input x: {shape}; {body} }}"


def net(shape: str, body: str = "relu", **options: object) -> archdsl.Network:
    return compiled(NET.format(shape=shape, body=body), **options)


def said(shape: str, body: str = "relu", **options: object) -> list[str]:
    return [text for text in messages(NET.format(shape=shape, body=body), **options) if "unused" not in text]


def ranges(found: archdsl.Network) -> dict[str, tuple[int, int, int, int]]:
    return {s.name: (s.low, s.nominal, s.high, s.step) for s in found.checked.symbols}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("T", (32, 64, 128, 1)),
        ("T = 100", (50, 100, 200, 1)),
        ("T = 101", (51, 101, 202, 1)),
        ("T: 10 .. 90", (10, 10, 90, 1)),
        ("T: 10 .. 90 = 50", (10, 50, 90, 1)),
        ("T: 16 .. 96 by 16 = 48", (16, 48, 96, 16)),
        ("T: F .. 3 * F by F / 2", (8, 8, 24, 4)),
    ],
)
def test_what_declares_a_symbol(size: str, expected: tuple[int, int, int, int]) -> None:
    assert ranges(net(f"[{size}, F]")) == {"T": expected}


def test_parameters_and_constants_stay_numbers() -> None:
    found = compiled("let C = 3\nnetwork net(F = 8) { input x: [C, F]; relu }")
    assert found.checked.symbols == ()
    assert found.checked.inputs[0].type.shape == (3, 8)


def test_a_misspelt_parameter_is_no_symbol() -> None:
    text = "network net(classes = 8) { input x: [clases, 4]; relu }"
    assert messages(text) == ["unknown-name: there is no `clases` here"]


def test_shapes_carry_expressions() -> None:
    found = net("[F, H, W]", "conv(8, 3, stride = 2, pad = 1) -> maxpool(2, ceil = true) -> upsample(2)")
    assert [str(layer.output_types[0]) for layer in found.checked.layers] == [
        "[N, 8, (H + 1) // 2, (W + 1) // 2]",
        "[N, 8, (H + 3) // 4, (W + 3) // 4]",
        "[N, 8, 2 * ((H + 3) // 4), 2 * ((W + 3) // 4)]",
    ]


def test_expressions_of_the_language_carry_them() -> None:
    body = "reshape([F, in.height * W]); output y: slice(end = in.length - W, axis = 2)   expect shape = [F, H * W - W]"
    (output,) = net("[F, H = 6, W = 4]", body).checked.outputs
    assert str(output.type) == "[N, 8, H * W - W]"


def test_one_name_is_one_size() -> None:
    inputs = "input a: [3, S]; input b: [4, S]; input c: [4, 2 * S]"
    text = f"network net {{ {inputs}; concat {{ @a; @b }}; concat(axis = 2) {{ @b; @c }} }}"
    assert [str(layer.output_types[0]) for layer in compiled(text).checked.layers] == ["[N, 7, S]", "[N, 4, 3 * S]"]


def test_figures_are_those_of_the_nominal_sizes() -> None:
    body = "conv(8, 3, stride = 2, pad = 1) -> batchnorm -> relu -> maxpool(2) -> lppool(2) -> avgpool(global)"
    wide, fixed = (net(shape, body).report().to_dict() for shape in ("[F, H = 40, W = 24]", "[F, 40, 24]"))
    assert wide["symbols"] == {"H": 40, "W": 24}
    assert "symbols" not in fixed
    assert wide["totals"] == fixed["totals"]
    assert wide["layers"][0]["output_shapes"] == [["N", 8, "(H + 1) // 2", "(W + 1) // 2"]]
    for one, other in zip(wide["layers"], fixed["layers"], strict=True):
        assert {**one, "output_shapes": 0} == {**other, "output_shapes": 0}
        assert all(type(number) is int for number in (one["macs"], one["flops"], *one["receptive_field"]))


def test_claims_are_of_the_nominal_size_or_of_all() -> None:
    body = "c: conv(8, 3, stride = 2)   expect {}"
    for claim in (
        "shape = [8, 15, 11]",
        "shape = [8, (H - 1) // 2, (W - 1) // 2]",
        "macs = 95_040",
        "activations = 1_320",
    ):
        assert said("[F, H = 32, W = 24]", body.format(claim)) == []
    for claim in ("shape = [8, 15, 12]", "shape = [8, H // 2, (W - 1) // 2]", "shape = [8, 15]"):
        (failed,) = said("[F, H = 32, W = 24]", body.format(claim))
        assert failed.startswith("expect-failed: `shape` of `c` is [8, (H + 1) // 2 - 1, (W + 1) // 2 - 1]")


def test_equal_at_the_nominal_size_is_not_equal() -> None:
    body = "a: relu; maxpool(2, ceil = false) -> b: upsample(2); add { @a; @b }"
    assert said("[F, H: 16 .. 64 by 2, 8]", body) == []
    with pytest.raises(archdsl.ArchError) as failure:
        net("[F, H = 16, 8]", body)
    notes = [note for found in failure.value.diagnostics for note in found.notes]
    assert "equal at H = 16, but not at H = 17: H = 17 and 2 * (H // 2) = 16" in notes


@pytest.mark.parametrize(
    ("shape", "body", "message"),
    [
        ("[3, H = 64]", "conv(8, 40)", "at H = 32: a kernel of 40 does not fit into 32"),
        ("[3, H = 64]", "conv(8, 3, stride = 4, pad = same_tf)", "at H = 81 `0` gives [N, 8, 21], but what is known"),
        ("[3, H = 64]", "conv(4 if in.length < 100 else 8, 1)", "at H = 128 `0` is another layer: `conv` with out = 8"),
        ("[3, H = 64]", "repeat in.length // 32 { relu }", "2 layers at H = 64, 1 at H = 32"),
        ("[3, H = 64]", "repeat in.length { relu }; tanh", "65 layers at H = 64, 33 at H = 32"),
        ("[3, H = 64]", "repeat in.length // 64 { relu }; tanh", "2 layers at H = 64, 1 at H = 32"),
        ("[3, H = 64]", "if in.length > 50 { relu } else { tanh }", "at H = 32 `0` is another layer: `tanh`, not"),
        ("[3, H = 64]", "if in.length > 50 { a: relu } else { b: relu }", "`a` exists at H = 64, but not at H = 32"),
        # where the text has the layer is no matter
        ("[3, H = 64]", "if in.length > 50 { relu } else { relu }", ""),
        ("[3, H = 64]", "repeat 128 // in.length { relu }", "2 layers at H = 64, 4 at H = 32"),
        (
            "[3, H = 64]",
            "conv(8, 3, dilation = in.length / 16)",
            "at H = 81: `dilation` of `conv` is a whole number of at least 1, or a list of them, not the number 5",
        ),
        ("[3, H = 64]", "slice(end = 48, axis = 2)", "at H = 32: `end` = 48 lies outside"),
        ("[3, H = 64]", "if in.length == 64 { relu }; relu", ""),
        ("[3, H: 64 .. 128]", "if in.length == 64 { tanh }; relu", ""),
    ],
)
def test_another_network_at_another_size(shape: str, body: str, message: str) -> None:
    found = said(shape, body)
    if not message:
        assert found == []
        return
    assert len(found) == 1
    assert found[0].startswith(f"symbolic-size: {message}")


def test_numbers_that_are_no_sizes_cannot_follow_one() -> None:
    assert said("[3, H]", "scale(in.length)") == [
        "argument-value: `factor` of `scale` cannot follow an open size, but H is open"
    ]
    assert said("[3, H]", "scale(1 / sqrt(in.length))") == ["argument-value: `sqrt`: a number in it, H, is open"]


def test_weights_have_one_shape() -> None:
    expected = "symbolic-weights: `linear` needs a fixed number of features, but 8 * H * W depends on H and W"
    assert said("[F, H = 9, W = 9]", "flatten -> linear(10)") == [expected]
    assert said("[F, H = 9, W = 9]", "avgpool(global) -> flatten -> linear(10)") == []
    assert said("[3, H = 9, 9]", "conv(H, 3)")[0].endswith("but H is open")
    assert said("[C, 9, 9]", "conv(8, 3)")[0].startswith("symbolic-weights: `conv` needs a fixed number of")


# From outside ---------------------------------------------------------------------------------------------------------


def test_numbers_take_the_place_of_symbols() -> None:
    found = net("[F, H = 32, W = 24]", "conv(8, 3)", inputs={"x": (8, 20, 30)})
    assert found.checked.symbols == ()
    assert str(found.checked.outputs[0].type) == "[N, 8, 18, 28]"
    assert found.checked.overridden == ("`x: [8, 20, 30]`",)


def test_a_symbol_that_became_a_number_is_one_for_all_inputs() -> None:
    text = "network net { input a: [3, S]; input b: [4, S]; concat { @a; @b } }"
    found = compiled(text, inputs={"a": (3, 10)})
    assert [str(node.type) for node in found.checked.inputs] == ["[N, 3, 10]", "[N, 4, 10]"]


def test_names_open_the_sizes_of_a_fixed_network() -> None:
    found = net("[F, 32, 24]", "conv(8, 3)   expect shape = [8, 30, 22]", inputs={"x": (8, "H:16..64by16", "W=48")})
    assert ranges(found) == {"H": (16, 32, 64, 16), "W": (24, 48, 96, 1)}
    assert found.checked.overridden == ("`x: [8, H, W]`",)
    same = net("[F, 32, 24]", "conv(8, 3)   expect shape = [8, 30, 22]", inputs={"x": (8, "H", "W")})
    assert same.checked.overridden == ()


def test_names_rename_symbols_and_keep_their_ranges() -> None:
    found = net("[F, H: 16 .. 64 by 16 = 32, W = 24]", "reshape([F, H * W])", inputs={"x": (8, "A", "B=32")})
    assert ranges(found) == {"A": (16, 32, 64, 16), "B": (16, 32, 64, 1)}
    assert str(found.checked.outputs[0].type) == "[N, 8, A * B]"


def test_one_name_from_outside_is_one_size() -> None:
    found = net("[F, 32, 32]", "transpose([1, 3, 2]) -> add { skip; relu }", inputs={"x": (8, "S:16..64", "S")})
    assert ranges(found) == {"S": (16, 32, 64, 1)}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("S:16..64", "S:16..64"), "`--input` says twice what `S` is"),
        (("F", "S"), "`F` of `--input` has a meaning in the network already"),
        (("S", "16..32"), "`16..32` is neither a size nor a symbol"),
        (("N", "S"), "`N` is the batch"),
    ],
)
def test_what_cannot_be_asked(asked: tuple[str, str], message: str) -> None:
    found = said("[F, 32, 32]", inputs={"x": (8, *asked)})
    assert [text.partition(": ")[2].startswith(message) for text in found] == [True]


# At given sizes -------------------------------------------------------------------------------------------------------


def test_the_network_at_given_sizes_is_the_one_with_numbers() -> None:
    body = (
        "conv(8, 3, stride = 2, pad = 1) -> groupnorm(2); add { skip; relu }; output y: reshape([F, H // 2 * (W // 2)])"
    )
    shape = "[F, H: 8 .. 64 by 2 = 32, W: 8 .. 64 by 2 = 24]"
    opened = net(shape, body).checked
    for sizes in ({"H": 8, "W": 64}, {"H": 30, "W": 10}):
        fixed = net(shape, body, inputs={"x": (8, sizes["H"], sizes["W"])}).checked
        there = at(opened, sizes)
        assert [node.type for node in there.inputs] == [node.type for node in fixed.inputs]
        assert [(a.op, a.output_types, a.weights) for a in there.layers] == [
            (a.op, a.output_types, a.weights) for a in fixed.layers
        ]


def test_points_are_within_the_ranges() -> None:
    symbols = (Symbol("H", 224, 32, 1024, 32), Symbol("W", 64, 33, 90), Symbol("T", 5, 5, 5))
    for sizes in points(symbols):
        for symbol in symbols:
            assert symbol.low <= sizes[symbol.name] <= symbol.high
            assert sizes[symbol.name] % symbol.step == 0
    assert {symbol.name: symbol.low for symbol in symbols} in points(symbols)
    assert {symbol.name: symbol.high for symbol in symbols} in points(symbols)


def test_trials_begin_at_the_nominal_sizes() -> None:
    assert trials(net("[F, H: 8 .. 64 = 32]").checked) == [{"H": 32}, {"H": 8}, {"H": 33}]
    assert trials(net("[F, 32]").checked) == [{}]
