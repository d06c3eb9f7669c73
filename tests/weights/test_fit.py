"""Names and shapes compared before anything is loaded: groups of names, and the likely cause of a misfit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import compiled

import archdsl
from archdsl.weights.causes import causes
from archdsl.weights.fit import Fit, Header, fit, grouped, weights_of

Headers = dict[str, Header]
RESIDUAL = """
block conv_bn(out, stride = 1) { conv: conv(out, 3, stride = stride, pad = 1, bias = false); bn: batchnorm }
network net(classes = 10, blocks = 2, kernel = 3, aux = true, normal = true) {
    input image: [3, 32, 32]
    stem: conv(16, kernel, pad = kernel // 2)
    if normal { norm: batchnorm }
    layers: for i in range(blocks) { add { skip; conv_bn(16) } }
    if aux { aux1: avgpool(global) -> flatten -> linear(classes)    training weight = 0.3 }
    output logits: avgpool(global) -> flatten -> fc: linear(classes)
}
"""


def headers(net: archdsl.Network) -> Headers:
    return {name: Header(weight.shape, weight.dtype) for name, weight in weights_of(net.checked).items()}


def against(given: Headers, **parameters: object) -> Fit:
    return fit(compiled(RESIDUAL, **parameters).checked, given)


def reasons(given: Headers, **parameters: object) -> list[tuple[str, str | None]]:
    graph = compiled(RESIDUAL, **parameters).checked
    return [(cause.text, cause.help) for cause in causes(graph, fit(graph, given))]


SAME = headers(compiled(RESIDUAL))


def without(given: Headers, fits: Callable[[str], bool]) -> Headers:
    return {name: header for name, header in given.items() if not fits(name)}


def test_what_fits_fits() -> None:
    found = against(SAME)
    assert found.complete
    assert set(found.fitting) == set(SAME)
    assert list(found.lines()) == []


def test_counters_and_training_parts_may_be_absent() -> None:
    found = against(without(SAME, lambda name: name.startswith("aux1") or name.endswith("num_batches_tracked")))
    assert found.complete
    assert found.spared == ("aux1.2.weight", "aux1.2.bias")


def test_faults_are_grouped() -> None:
    given = without(SAME, lambda name: name.startswith("layers.1") or name == "stem.bias")
    given |= {"head.weight": Header((3, 3), "float32"), "head.bias": Header((3,), "float32")}
    given["fc.weight"] = Header((7, 16), "float32")
    given["norm.bias"] = Header((16,), "int8")
    assert list(against(given).lines()) == [
        "missing: stem.bias, layers.1.* (5)",
        "unexpected: head.* (2)",
        "misshapen: fc.weight is [7, 16], not [10, 16]",
        "mistyped: norm.bias is int8, not float32",
    ]


@pytest.mark.parametrize(
    ("bad", "among", "expected"),
    [
        (["a.w", "a.b"], ["a.w", "a.b", "c.w"], ["a.* (2)"]),
        (["a.x.w", "a.x.b"], ["a.x.w", "a.x.b", "a.y"], ["a.x.* (2)"]),
        (["a.w"], ["a.w", "a.b"], ["a.w"]),
        (["a.w"], ["a.w"], ["a.w"]),
        ([f"l.{i}.w" for i in range(9)], [f"l.{i}.{x}" for i in range(12) for x in "wv"], ["l.* (9 of 24)"]),
        ([f"s{i}.w" for i in range(9)], [f"s{i}.{x}" for i in range(9) for x in "wv"], ["*.w (9)"]),
        ([f"n{i}" for i in range(9)], [f"n{i}" for i in range(9)], [f"n{i}" for i in range(9)]),
    ],
)
def test_groups(bad: list[str], among: list[str], expected: list[str]) -> None:
    assert grouped(bad, among) == expected


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ((10, 16, 1, 1), True),
        ((1, 1, 10, 16), True),
        ((10, 4, 2, 2), True),
        ((16, 10), False),
        ((2, 5, 16), False),
        ((160,), False),
        ((), False),
    ],
)
def test_arrays_of_the_same_numbers_fit(given: tuple[int, ...], fits: bool) -> None:
    """A linear layer's weights may come as those of a convolution over all of its input, row for row."""
    graph = compiled("network n { input x: [16]; w: linear(10, bias = false) }").checked
    assert bool(fit(graph, {"w.weight": Header(given, "float32")}).fitting) == fits


@pytest.mark.parametrize(
    ("layer", "given", "fits"),
    [
        ("conv(8, [1, 7])", (8, 4, 1, 7), True),
        ("conv(8, [1, 7])", (8, 4, 7, 1), False),
        ("conv(8, [1, 7])", (8, 4, 7), True),
        ("conv(1, 3)", (1, 4, 3, 3), True),
        ("conv(1, 3)", (4, 1, 3, 3), False),
        ("depthwise(3)", (1, 4, 3, 3), False),
        ("depthwise(3)", (4, 3, 3), True),
    ],
)
def test_equal_numbers_of_axes_are_equal_shapes(layer: str, given: tuple[int, ...], fits: bool) -> None:
    graph = compiled(f"network n {{ input x: [4, 9, 9]; w: {layer} }}").checked
    assert bool(fit(graph, {"w.weight": Header(given, "float32")}).fitting) == fits


@pytest.mark.parametrize(
    ("given", "fits"),
    [("int64", True), ("int32", True), ("uint8", True), ("bool", False), ("complex64", False),
     ("datetime64[s]", False), ("float8_e5m2", False)],
)  # fmt: skip
def test_counters_are_integers(given: str, fits: bool) -> None:
    name = "norm.num_batches_tracked"
    found = against(SAME | {name: Header((), given)})
    assert (name in found.fitting) == fits
    assert list(found.lines()) == ([] if fits else [f"mistyped: {name} is {given}, not int64"])


@pytest.mark.parametrize("given", ["float16", "float32"])
def test_counters_that_were_cast_with_all_else_count_as_missing(given: str) -> None:
    found = against(SAME | {"norm.num_batches_tracked": Header((), given)})
    assert found.complete
    assert "norm.num_batches_tracked" not in found.fitting


def test_another_type_in_another_form_is_another_type() -> None:
    found = against(SAME | {"norm.bias": Header((1, 1, 1, 16), "int32")})
    assert list(found.lines()) == ["mistyped: norm.bias is int32, not float32"]


def test_names_from_files_are_shown_on_one_line() -> None:
    found = against(SAME | {"a\nmissing: b": Header((1,), "float32"), "c." * 100_000: Header((1,), "float32")})
    (line,) = found.lines()
    assert line.startswith(r"unexpected: a\nmissing: b, c.c.c.")
    assert len(line) < 200


# Causes ---------------------------------------------------------------------------------------------------------------


def advice_on(text: str, given: Headers, folder: Path, **parameters: object) -> list[tuple[str, str | None]]:
    """Causes for a spec that lies in a file."""
    (folder / "net.arch").write_text(text)
    graph = archdsl.load(folder / "net.arch", **parameters).checked  # type: ignore[arg-type]
    return [(cause.text, cause.help) for cause in causes(graph, fit(graph, given))]


def test_other_classes(tmp_path: Path) -> None:
    given = headers(compiled(RESIDUAL, classes=1000))
    assert advice_on(RESIDUAL, given, tmp_path) == [
        (
            "the checkpoint has 1000 classes, the spec 10",
            "`--set classes=1000` makes the network fit; `--partial` loads all other weights",
        )
    ]


TWO = """
network n(first = 5, flag = true, size = 5, fixed = 5) {
    input x: [4]
    a: linear(first) -> relu
    fc: linear(size)
}
"""


def test_a_parameter_is_named_if_the_network_fits_with_it(tmp_path: Path) -> None:
    given = headers(compiled(TWO, size=7))
    assert advice_on(TWO, given, tmp_path)[0][1] == (
        "`--set size=7` makes the network fit; `--partial` loads all other weights"
    )
    fixed = TWO.replace("linear(size)", "linear(5)")
    assert advice_on(fixed, given, tmp_path)[0][1] == "`--partial` loads all other weights"


def test_a_flag_is_no_number_of_classes(tmp_path: Path) -> None:
    text = "network n(flag = true) { input x: [4]; if flag { a: linear(4) }; fc: linear(1) }"
    given = headers(compiled(text.replace("linear(1)", "linear(2)")))
    assert advice_on(text, given, tmp_path)[0][1] == "`--partial` loads all other weights"


def test_classes_and_something_else(tmp_path: Path) -> None:
    given = without(headers(compiled(TWO, size=7)), lambda name: name == "a.bias")
    assert advice_on(TWO, given, tmp_path)[0][1] == "`--partial` loads what fits"


@pytest.mark.parametrize("shape", [(-7,), ()])
def test_what_is_no_number_of_classes(shape: tuple[int, ...]) -> None:
    given = SAME | {"fc.weight": Header((-7, 16), "float32"), "fc.bias": Header(shape, "float32")}
    assert reasons(given) == []


def test_one_weight_of_the_last_layer_tells_nothing_of_classes() -> None:
    assert reasons(SAME | {"fc.bias": Header((7,), "float32")}) == []


def test_a_checkpoint_without_arrays() -> None:
    ((text, _),) = reasons({})
    assert text == "the checkpoint holds no arrays"


def test_other_kernels() -> None:
    assert reasons(headers(compiled(RESIDUAL, kernel=5))) == [
        ("1 convolution is 5x5 in the checkpoint, 3x3 in the spec", None)
    ]


def test_torchvisions_googlenet_against_the_papers() -> None:
    """Same names: a spec in torchvision's naming with the paper's kernels."""
    tv = archdsl.load("torchvision/googlenet")
    changed = {
        name: Header((*header.shape[:2], 5, 5), "float32") if ".branch3.1.conv." in name else header
        for name, header in headers(tv).items()
    }
    (cause,) = causes(tv.checked, fit(tv.checked, changed))
    assert cause.text == (
        "the checkpoint is the paper's variant of GoogLeNet, the spec is torchvision's: "
        "9 convolutions are 5x5 in the checkpoint, 3x3 in the spec"
    )


def test_torchvisions_googlenet_against_the_papers_spec() -> None:
    paper = archdsl.load("googlenet").checked
    found = [cause.text for cause in causes(paper, fit(paper, headers(archdsl.load("torchvision/googlenet"))))]
    assert found == [
        "these are torchvision's names",
        "the checkpoint is torchvision's variant of GoogLeNet, the spec is the paper's: "
        "9 convolutions are 3x3 in the checkpoint, 5x5 in the spec",
        "the checkpoint has batch normalization where the spec has none",
    ]


def test_another_naming_suggests_the_map_that_fits() -> None:
    paper = archdsl.load("densenet121").checked
    (cause,) = causes(paper, fit(paper, headers(archdsl.load("torchvision/densenet121"))))
    assert cause.text == "these are torchvision's names"
    assert cause.help == "try `--map torchvision`"


def test_another_naming_and_other_classes() -> None:
    paper = archdsl.load("densenet121", classes=10).checked
    found = causes(paper, fit(paper, headers(archdsl.load("torchvision/densenet121"))))
    assert [cause.text for cause in found] == [
        "these are torchvision's names",
        "the checkpoint has 1000 classes, the spec 10",
    ]


def test_a_prefix_on_either_side() -> None:
    longer = {f"backbone.{name}": header for name, header in SAME.items()}
    (cause,) = reasons(longer)
    assert cause[0] == "the checkpoint has the network's names with `backbone.` before them"
    assert '"backbone." = ""' in str(cause[1])
    text = "network n { input x: [4]; net: { a: linear(3); b: linear(2) } }"
    graph = compiled(text).checked
    shorter = {name.removeprefix("net."): header for name, header in headers(compiled(text)).items()}
    (cause,) = causes(graph, fit(graph, shorter))
    assert cause.text == "the checkpoint has the network's names without the `net.` before them"
    assert '"" = "net."' in str(cause.help)


def test_transposed() -> None:
    given = SAME | {"fc.weight": Header((16, 10), "float32"), "stem.weight": Header((3, 3, 3, 16), "float32")}
    (cause,) = reasons(given)
    assert cause[0].startswith("stem.weight is transposed")


def test_auxiliary_heads_that_the_network_lacks() -> None:
    (cause,) = reasons(SAME, aux=False)
    assert cause[0] == "the checkpoint has auxiliary heads (aux1), the network has none"
    assert cause[1] == "`--set aux=true` adds them; `--partial` leaves them out"


def test_other_auxiliary_heads_are_no_lack_of_them() -> None:
    given = {name.replace("aux1.", "loss1."): header for name, header in SAME.items()}
    assert not [text for text, _ in reasons(given, aux=True) if "auxiliary" in text]


def test_normalization_on_one_side() -> None:
    plain = {name: header for name, header in SAME.items() if "norm" not in name and ".bn." not in name}
    assert reasons(plain)[0][0] == "the spec has batch normalization where the checkpoint has none, or folded it"
    bare = "network n { input x: [3, 8, 8]; a: conv(4, 3); output y: relu }"
    graph = compiled(bare).checked
    given = headers(compiled(bare.replace("3); output", "3, bias = false); n: batchnorm; output")))
    assert causes(graph, fit(graph, given))[0].text == "the checkpoint has batch normalization where the spec has none"


def test_biases_on_one_side() -> None:
    assert reasons(without(SAME, lambda name: name in ("stem.bias", "fc.bias")))[0][0] == (
        "the spec has biases that the checkpoint lacks"
    )
    more = SAME | {f"layers.{i}.conv.bias": Header((16,), "float32") for i in range(2)}
    assert reasons(more)[0][0] == "the checkpoint has biases where the spec says `bias = false`"


def test_another_depth() -> None:
    given = headers(compiled(RESIDUAL, blocks=5))
    assert reasons(given) == [("the checkpoint is of another depth: `layers` has 5 parts, not 2", None)]


def test_a_quantized_checkpoint() -> None:
    given = SAME | {"fc.weight": Header((10, 16), "int8")}
    assert reasons(given)[0][0] == "the checkpoint is quantized to int8"


def test_another_network_altogether() -> None:
    found = reasons({"x.weight": Header((3,), "float32")})
    assert found[0][0].startswith("no name is one of the network's")
