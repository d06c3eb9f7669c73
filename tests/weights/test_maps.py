"""Maps: rules from a file, from a spec, and shipped ones, held against names that others gave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support import compiled

import archdsl
from archdsl.graph.renames import Rename, renamed
from archdsl.language.diagnostics import ArchError
from archdsl.weights.checkpoint import Checkpoint, Stored
from archdsl.weights.fit import Header, fit, headers_of, weights_of
from archdsl.weights.maps import Map, apply, best, mapped, maps_called, read_map, shipped, tried
from archdsl.weights.match import complete
from archdsl.weights.read import read_weights

#: names and shapes of timm 1.0.31's state_dicts, counters left out
TIMM = json.loads((Path(__file__).parent / "timm_names.json").read_text())
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def checkpoint(**shapes: tuple[int, ...]) -> Checkpoint:
    names = {name.replace("__", "."): shape for name, shape in shapes.items()}
    stored = {n: Stored(s, "float32", lambda s=s: np.ones(s, np.float32)) for n, s in names.items()}  # type: ignore[misc]
    return Checkpoint("w.npz", stored)


def written(folder: Path, text: str) -> Path:
    (folder / "rules.toml").write_text(text, "utf-8")
    return folder / "rules.toml"


# Rules ----------------------------------------------------------------------------------------------------------------


def test_the_longest_prefix_then_patterns_in_their_order() -> None:
    rules = (
        Rename("prefix", "net.", "n."),
        Rename("prefix", "net.block.", "b."),
        Rename("pattern", "b", "c"),
        Rename("pattern", r"^c\.(\d+)\.", r"layer{\1 + 1}.{\1 - 1}.\1."),
        Rename("drop", r"^ema\."),
    )
    assert renamed("net.block.3.web", rules) == "layer4.2.3.wec"
    assert renamed("net.x", rules) == "n.x"
    assert renamed("ema.net.x", rules) is None
    assert renamed("other", rules) == "other"


def test_a_group_that_took_no_part_is_empty() -> None:
    assert renamed("ac", (Rename("pattern", "a(b)?c", r"x\1y"),)) == "xy"


def test_arithmetic_needs_a_number() -> None:
    with pytest.raises(ArchError, match=r"needs a number, but group 1 of `a\.x` is `x`"):
        renamed("a.x", (Rename("pattern", r"a\.(\w)", r"{\1 + 1}"),))


def test_two_names_that_become_one() -> None:
    rules = Map("m", (Rename("pattern", r"\d", ""),))
    with pytest.raises(ArchError, match="turn both `a1` and `a2` into `a`") as caught:
        apply(checkpoint(a1=(1,), a2=(1,)), rules)
    assert caught.value.diagnostics[0].code == "rename-clash"


def test_a_clash_is_shown_at_its_rules(tmp_path: Path) -> None:
    found = read_map(written(tmp_path, "[prefix]\n'a.' = 'c.'\n'b.' = 'c.'\n"), "rules.toml")
    with pytest.raises(ArchError, match=r"turn both `a\.w` and `b\.w` into `c\.w`") as caught:
        apply(checkpoint(a__w=(1,), b__w=(1,)), found)
    (clash,) = caught.value.diagnostics
    assert clash.span is not None
    assert (clash.span.text, [label.span.text for label in clash.labels]) == ("'b.'", ["'a.'"])
    with pytest.raises(ArchError) as caught:
        apply(checkpoint(a__w=(1,), c__w=(1,)), found)
    assert [str(one.span) for one in caught.value.diagnostics] == ["rules.toml:2:1"]


# Files ----------------------------------------------------------------------------------------------------------------


def test_a_file_of_rules(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        drop = ['^ema\\.']
        note = "careful"
        [prefix]
        "backbone." = ""
        [pattern]
        '^layer(\\d+)_' = 'layer\\1.'
        """,
    )
    (found,) = maps_called(str(path))
    assert [(rule.kind, rule.text, rule.to) for rule in found.rules] == [
        ("prefix", "backbone.", ""), ("pattern", r"^layer(\d+)_", r"layer\1."), ("drop", r"^ema\.", ""),
    ]  # fmt: skip
    result = apply(checkpoint(backbone__layer1_w=(2,), ema__w=(1,)), found)
    assert list(result) == ["layer1.w"]
    assert [remark.code for remark in result.remarks] == ["map-note"]


@pytest.mark.parametrize(
    ("text", "code", "message", "place"),
    [
        ("[prefix\n", "bad-map", "is not TOML", (1, 8)),
        ('[prefx]\n"a" = "b"\n', "bad-map", "a map has no `prefx`", (1, 2)),
        ('\n[prefix]\n"a" = 3\n', "bad-map", "`a` has no new name", (3, 1)),
        ('[prefix]\nfeatures.0 = "x"\n', "bad-map", "`features` has no new name", (2, 1)),
        ("prefix = 3\n", "bad-map", "`prefix` is a table", (1, 1)),
        ("drop = 'a'\n", "bad-map", "`drop` is a list", (1, 1)),
        ("[pattern]\n'(a' = 'b'\n", "rename-rule", "is not a regular expression", (2, 1)),
        ("[pattern]\n'a' = '\\1'\n", "rename-rule", "asks for group 1, but the pattern has no groups", (2, 1)),
        ("drop = ['a', 'b(']\n", "rename-rule", "is not a regular expression", (1, 14)),
    ],
)
def test_mistakes_are_located(text: str, code: str, message: str, place: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(ArchError, match=message) as caught:
        read_map(written(tmp_path, text), "rules.toml")
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert found.span is not None
    assert (found.span.line, found.span.column) == place


def test_a_number_of_too_many_digits(tmp_path: Path) -> None:
    with pytest.raises(ArchError, match="a number of too many digits") as caught:
        read_map(written(tmp_path, f"[prefix]\n'a' = {'9' * 5000}\n"), "rules.toml")
    span = caught.value.diagnostics[0].span
    assert span is not None
    assert (span.line, span.column) == (2, 7)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_is_no_map(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rules.toml")
    with pytest.raises(ArchError, match="it is not an ordinary file"):
        maps_called(str(tmp_path / "rules.toml"))


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ArchError, match=reason):
            read_map(path, "rules.toml")
    (tmp_path / "rules.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ArchError, match="not text in UTF-8"):
        read_map(tmp_path / "rules.toml", "rules.toml")
    with pytest.raises(ArchError, match="there is no map `tim`") as caught:
        maps_called("tim")
    assert caught.value.diagnostics[0].help == "did you mean `timm`?"


# In a spec ------------------------------------------------------------------------------------------------------------

RENAMING = """
network n {
    input x: [4]
    weights {
        prefix "old." = ""      # a comment
        pattern "^fc(\\d)_" = "fc\\1."; drop "ema"
    }
    fc1: linear(3, bias = false)
}
network m = n
"""


def test_the_rules_of_a_spec_hold_where_names_differ() -> None:
    for name in "nm":
        graph = compiled(RENAMING, name).checked
        assert list(mapped(graph, checkpoint(old__fc1_weight=(3, 4), ema__x=(1,)), None)) == ["fc1.weight"]


def test_the_rules_of_a_spec_rest_where_names_fit() -> None:
    text = RENAMING.replace('prefix "old." = ""', 'prefix "fc1." = "gone."')
    assert list(mapped(compiled(text).checked, checkpoint(fc1__weight=(3, 4)), None)) == ["fc1.weight"]


SWAPPING = """
network n {
    input x: [4]
    weights { prefix "a." = "b."; prefix "b." = "a." }
    a: linear(4); b: linear(4); c: linear(2)
}
"""


@pytest.mark.parametrize("c", [(3, 4), None])
def test_the_rules_of_a_spec_rest_where_they_make_nothing_better(c: tuple[int, int] | None) -> None:
    """A misfit that is none of the names', and names of which as many are missing under the rules."""
    given = {"a__weight": (4, 4), "a__bias": (4,), "b__weight": (4, 4), "b__bias": (4,), "c__bias": (2,)}
    file = checkpoint(**given, **({"c__weight": c} if c else {}))
    assert mapped(compiled(SWAPPING).checked, file, None).stored["a.weight"] is file.stored["a.weight"]


def test_a_map_goes_before_the_rules_of_a_spec(tmp_path: Path) -> None:
    path = written(tmp_path, '[prefix]\n"new." = ""\n')
    found = mapped(compiled(RENAMING).checked, checkpoint(new__fc1__weight=(3, 4)), str(path))
    assert list(found) == ["fc1.weight"]


# Shipped --------------------------------------------------------------------------------------------------------------


def under(spec: str, names: dict[str, Header], naming: str) -> tuple[str, bool, bool]:
    """The map that was chosen, whether all weights have their arrays then, and whether training parts lack theirs."""
    graph = archdsl.load(spec).checked
    chosen = best(graph, names, maps_called(naming))
    found = tried(graph, names, chosen.rules)
    return chosen.name, found.complete, bool(found.spared)


@pytest.mark.parametrize(
    ("model", "spec", "chosen"),
    [
        ("mobilenetv2_100", "torchvision/mobilenet_v2", "timm/mobilenetv2"),
        ("mobilenetv2_100", "mobilenet_v2", "timm/mobilenetv2_paper"),
        ("mobilenetv1_100", "mobilenet_v1", "timm/mobilenetv1"),
        ("legacy_xception", "xception", "timm/xception"),
        ("vgg11", "torchvision/vgg11", "timm/vgg"),
        ("vgg11", "vgg_a", "timm/vgg11"),
        ("vgg16", "vgg_d", "timm/vgg16"),
    ],
)
def test_timms_names(model: str, spec: str, chosen: str) -> None:
    names = {name: Header(tuple(shape), "float32") for name, shape in TIMM[model].items()}
    assert under(spec, names, "timm") == (chosen, True, False)


@pytest.mark.parametrize(
    ("theirs", "spec", "chosen"),
    [
        ("resnet18", "resnet18", "resnet"),
        ("resnet50", "resnet50", "resnet_bottleneck"),
        ("resnext50_32x4d", "resnext50_32x4d", "resnext"),
        ("densenet161", "densenet161", "densenet"),
        ("vgg13", "vgg_b", "vgg13"),
        ("vgg19", "vgg_e", "vgg19"),
        ("alexnet", "alexnet_single", "alexnet"),
        ("squeezenet1_0", "squeezenet_1_0", "squeezenet1_0"),
        ("squeezenet1_1", "squeezenet_1_1", "squeezenet1_1"),
        ("mobilenet_v2", "mobilenet_v2", "mobilenet_v2"),
        ("inception_v3", "inception_v3", "inception_v3"),
    ],
)
@pytest.mark.parametrize("naming", ["torchvision", "timm"])
def test_torchvisions_names(theirs: str, spec: str, chosen: str, naming: str) -> None:
    """specs/torchvision has torchvision's names, which its own tests hold against torchvision."""
    weights = weights_of(archdsl.load(f"torchvision/{theirs}").checked)
    names = {name: Header(weight.shape, weight.dtype) for name, weight in weights.items()}
    assert under(spec, names, naming) == (f"torchvision/{chosen}", True, False)


def published(name: str) -> str:
    """The old form of DenseNet's keys: torchvision's `_load_state_dict` turns these into the new ones."""
    for word in ("norm", "conv"):
        for number in "12":
            name = name.replace(f".{word}{number}.", f".{word}.{number}.")
    return name


@pytest.mark.parametrize("spec", ["torchvision/densenet121", "densenet121"])
def test_the_published_densenet(spec: str) -> None:
    weights = weights_of(archdsl.load("torchvision/densenet121").checked)
    names = {published(name): Header(weight.shape, weight.dtype) for name, weight in weights.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in names
    assert under(spec, names, "torchvision")[1]


@pytest.mark.parametrize(
    ("file", "spec", "heads"),
    [
        ("inception_v1", "googlenet", True),
        ("bvlc_alexnet", "alexnet_caffe", False),
        ("vgg19", "vgg_e", False),
        ("squeezenet", "squeezenet_1_1", False),
        ("zfnet512", "zfnet512", False),
    ],
)
def test_caffes_names_in_the_models_that_onnx_ships(file: str, spec: str, heads: bool) -> None:
    names = headers_of(read_weights(LIGHT / f"light_{file}.onnx"))
    _, fits, spared = under(spec, names, "caffe")
    assert (fits, spared) == (True, heads)


def with_random_weights(source: Path, target: Path) -> onnx.ModelProto:
    """The shipped model with random numbers where it has constant ones, and only those weights that are left."""
    model = onnx.load(source)
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    generator = np.random.default_rng(0)
    for node in [node for node in model.graph.node if node.op_type == "ConstantOfShape"]:
        shape = numpy_helper.to_array(known[node.input[0]])
        scale = np.float32(np.sqrt(2 / max(np.prod(shape[-3:]), 1))) if len(shape) > 1 else np.float32(0.1)
        array = generator.standard_normal(shape, dtype=np.float32) * scale
        model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        model.graph.node.remove(node)
        model.graph.initializer.remove(known[node.input[0]])
    inputs = [value for value in model.graph.input if value.name not in known]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    onnx.save(model, target)
    return model


def last(model: onnx.ModelProto, op: str, image: np.ndarray) -> np.ndarray:
    """What the last node of a type gives for an image, by onnxruntime."""
    import onnxruntime

    name = [node.output[0] for node in model.graph.node if node.op_type == op][-1]
    if name not in [value.name for value in model.graph.output]:
        model.graph.output.append(helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run([name], {session.get_inputs()[0].name: image})[0]
    return found


@pytest.mark.parametrize(
    ("file", "spec", "op"), [("squeezenet", "squeezenet_1_1", "Conv"), ("inception_v1", "googlenet_floor", "Concat")]
)
def test_caffes_network_and_ours_with_its_weights_compute_the_same(
    file: str, spec: str, op: str, tmp_path: Path
) -> None:
    """onnxruntime runs the model that onnx ships, and ours with the weights out of that file."""
    theirs = with_random_weights(LIGHT / f"light_{file}.onnx", tmp_path / "theirs.onnx")
    net = archdsl.load(spec, inputs={"image": (3, 224, 224)})
    ours = net.onnx(net.read_weights(tmp_path / "theirs.onnx", map="caffe"))
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
    expected, found = last(theirs, op, image), last(ours, op, image)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def test_weights_of_torchvisions_resnet18_in_the_papers(tmp_path: Path) -> None:
    theirs, ours = archdsl.load("torchvision/resnet18"), archdsl.load("resnet18")
    weights = theirs.initialize(3)
    np.savez(tmp_path / "w.npz", **weights)
    image = np.random.default_rng(1).standard_normal((1, 3, 224, 224), dtype=np.float32)
    loaded = ours.read_weights(tmp_path / "w.npz", map="torchvision")
    expected, found = last(theirs.onnx(weights), "Gemm", image), last(ours.onnx(loaded), "Gemm", image)
    np.testing.assert_array_equal(found, expected)


def test_a_map_between_networks_that_differ_says_so() -> None:
    graph = archdsl.load("resnet50").checked
    weights = weights_of(archdsl.load("torchvision/resnet50").checked)
    stored = {name: Stored(weight.shape, weight.dtype, lambda: np.zeros(1)) for name, weight in weights.items()}
    found = mapped(graph, Checkpoint("w.npz", stored), "torchvision")
    assert "stride in their 3x3 convolution" in found.remarks[0].message
    assert fit(graph, headers_of(found)).complete


def test_shipped_maps_say_what_they_are_for() -> None:
    folder = Path(archdsl.__file__).parent / "weights/maps"
    files = sorted(folder.rglob("*.toml"))
    assert len(files) == len(shipped()) > 20
    for file in files:
        assert file.read_text().startswith("# "), file


def test_complete_reads_through_a_map() -> None:
    graph = compiled(RENAMING).checked
    arrays = complete(graph, mapped(graph, checkpoint(old__fc1_weight=(3, 4)), None), strict=True)
    assert arrays["fc1.weight"].tolist() == [[1.0] * 4] * 3
