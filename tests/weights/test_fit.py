"""Names and shapes compared before anything is loaded: groups of names, and the likely cause of a misfit."""

from __future__ import annotations

from collections.abc import Callable

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


# Causes ---------------------------------------------------------------------------------------------------------------


def test_other_classes() -> None:
    given = headers(compiled(RESIDUAL, classes=1000))
    (cause,) = reasons(given)
    assert cause[0] == "the checkpoint has 1000 classes, the spec 10"
    assert cause[1] == "`--set classes=1000` makes the network fit; `--partial` loads all other weights"


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
