"""`archdsl verify --against`: other files of a network, written by us in other ways, and by others."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hand_built import random_weights
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper
from support import compiled

import archdsl
from archdsl.language.diagnostics import ArchError
from archdsl.passes.pipeline import DEPLOYMENT
from archdsl.resources import folder
from archdsl.runtime.against import AgainstResult, against
from archdsl.runtime.align import Key, common
from archdsl.runtime.deploy import Deployment, deploy
from archdsl.weights.read import read_weights

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
SPEC = """
block unit(out, stride = 1) { conv: conv(out, 3, stride = stride, pad = 1, bias = false) -> batchnorm -> relu }
network net {
    input image: [3, 12, 12]
    stem: unit(4) -> maxpool(3, stride = 1, pad = 1) -> lrn(3)
    mix: concat { { unit(4) }; { unit(4) -> unit(6) }; { maxpool(3, stride = 1, pad = 1) -> unit(6) } }
    add { skip; { unit(16) -> last: conv(16, 1, bias = false) -> batchnorm } }
    relu
    map: unit(5, stride = 2)
    output y: avgpool(global) -> flatten -> fc: linear(7)
    output z: from @map
}
"""
NET = compiled(SPEC.replace("output z: from @map", "output z: relu from @map"))


@cache
def weights() -> dict[str, np.ndarray]:
    """Statistics are no identity, and numbers small enough that nothing overflows."""
    return {
        key: array if key.endswith("num_batches_tracked") else (array * np.float32(0.3)).astype(np.float32)
        for key, array in random_weights(NET.checked).items()
    }


def written(model: ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    return path


def compare(
    path: Path,
    given: dict[str, np.ndarray] | None = None,
    net: archdsl.Network = NET,
    batches: tuple[int, ...] | None = (1, 3),
) -> AgainstResult:
    named = None if given else read_weights(path)
    return against(net.checked, path, given, named, batches)


def refusal(path: Path, net: archdsl.Network = NET) -> tuple[str, str]:
    with pytest.raises(ArchError) as caught:
        compare(path, net=net)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code, "\n".join((diagnostic.message, *diagnostic.notes))


def disguised(model: ModelProto) -> ModelProto:
    """All names replaced, the nodes in another order that is topological too, an `Identity` behind every `Relu`."""
    found = ModelProto()
    found.CopyFrom(model)
    graph = found.graph
    order = list(model.graph.node)
    for first, second in itertools.pairwise(range(len(order))):
        if not set(order[first].output) & set(order[second].input):
            order[first], order[second] = order[second], order[first]
    tensors = sorted({name for node in order for name in (*node.input, *node.output)} - {""})
    new = {"": ""} | {name: f"t{number}" for number, name in enumerate(tensors)}
    del graph.node[:], graph.value_info[:]
    for number, old in enumerate(order):
        node = graph.node.add()
        node.CopyFrom(old)
        node.name = f"n{number}"
        node.input[:] = [new[name] for name in old.input]
        node.output[:] = [new[name] for name in old.output]
        if node.op_type == "Relu":
            result, node.output[0] = node.output[0], f"before{number}"
            graph.node.add(op_type="Identity", name=f"copy{number}", input=[f"before{number}"], output=[result])
    for item in (*graph.input, *graph.output, *graph.initializer):
        item.name = new[item.name]
    return found


def test_its_own_export_agrees_by_names(tmp_path: Path) -> None:
    found = compare(written(NET.onnx(weights()), tmp_path))
    assert found.agrees
    assert [(item.ours, item.theirs, item.difference.batch) for item in found.outputs] == [
        (name, name, batch) for batch in (1, 3) for name in ("y", "z")
    ]
    assert all(item.difference.max_abs == 0 for item in (*found.outputs, *found.layers))
    assert len(found.alignment.pairs) == found.alignment.named == found.alignment.nodes[0] == found.alignment.nodes[1]
    assert (found.by_name, found.by_structure) == (5 * 8 + 2, 0)  # convolutions with norms, and a linear layer


def test_a_folded_export_is_met_by_the_folded_network(tmp_path: Path) -> None:
    path = written(NET.onnx(weights(), passes=DEPLOYMENT), tmp_path)
    found = compare(path)
    assert found.agrees
    assert found.by_name == 2 * 8 + 2
    assert not any(map(found.parted, found.layers))


def test_folding_is_verified_with_the_weights_before_it(tmp_path: Path) -> None:
    """Convolutions that took over their norms give other numbers, and all behind them agrees again."""
    path = written(NET.onnx(weights(), passes=DEPLOYMENT), tmp_path)
    found = compare(path, weights())
    assert found.agrees
    assert found.first_divergence is None
    parted = {item.ours for item in found.layers if found.parted(item)}
    assert parted
    assert parted <= {layer.path for layer in NET.checked.layers if layer.op.name == "conv"}


def test_a_file_in_other_names_and_another_order_is_aligned_by_structure(tmp_path: Path) -> None:
    found = compare(written(disguised(NET.onnx(weights())), tmp_path))
    assert found.agrees
    assert found.alignment.named == 0
    assert len(found.alignment.pairs) == found.alignment.nodes[0]
    assert (found.by_name, found.by_structure) == (0, 5 * 8 + 2)
    assert max(item.difference.max_rel for item in found.outputs) < 1e-6


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (("lrn(3)", "lrn(3, alpha = 0.5)"), "stem.2"),
        (("{ maxpool(3, stride = 1, pad = 1)", "{ avgpool(3, stride = 1, pad = 1)"), "mix.4.conv.0"),
        (("avgpool(global)", "maxpool(global)"), "y"),
    ],
)
def test_the_first_layer_that_parts_is_named(change: tuple[str, str], first: str, tmp_path: Path) -> None:
    """A pooling of another kind has no partner here, so that what reads it is the first to part."""
    other = compiled(SPEC.replace("output z: from @map", "output z: relu from @map").replace(*change))
    for model in (other.onnx(weights()), disguised(other.onnx(weights()))):
        found = compare(written(model, tmp_path), weights())
        assert not found.agrees
        assert found.first_divergence is not None
        assert found.first_divergence.ours == first


def test_weights_of_another_layout_are_turned(tmp_path: Path) -> None:
    """A Gemm that is not transposed, a convolution of one pixel, and no bias where it is zero."""
    net = compiled("network n { input x: [6]; a: linear(5) -> relu; b: linear(4) -> sigmoid; output y: c: linear(3) }")
    arrays = random_weights(net.checked)
    arrays["b.bias"][:] = 0
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 6] v) => (float[N, 3] w) <int64[4] image = {-1, 4, 1, 1}, int64[2] flat = {-1, 3}> {
            a = Gemm (v, k1, b1) r = Relu (a) p = MatMul (r, k2) s = Sigmoid (p)
            i = Reshape (s, image) c = Conv (i, k3, b3) w = Reshape (c, flat)
        }""")
    made = {
        "k1": arrays["a.weight"].T, "b1": arrays["a.bias"], "k2": arrays["b.weight"].T,
        "k3": arrays["c.weight"][:, :, None, None], "b3": arrays["c.bias"],
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in made.items())
    found = compare(written(model, tmp_path), net=net)
    assert found.agrees
    assert found.by_structure == 6
    assert len(found.alignment.pairs) == 5


def test_weights_that_nodes_make_are_computed(tmp_path: Path) -> None:
    net = compiled("network n { input x: [6]; output y: fc: linear(4) }")
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 6] v) => (float[2, 4] w) <float[6, 4] half, int64[1] four = {4}> {
            k = Add (half, half) o = ConstantOfShape (four) w = Gemm (v, k, o)
        }""")
    half = np.random.default_rng(0).standard_normal((6, 4), dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(half, "half"))
    found = compare(written(model, tmp_path), net=net, batches=None)
    assert found.agrees
    assert {item.difference.batch for item in found.outputs} == {2}


def test_inputs_go_together_by_name_and_then_by_shape(tmp_path: Path) -> None:
    net = compiled("network n { input a: [3]; input b: [3]; input c: [4]; output y: concat { @a; @b; @c } }")
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 4] third, float[N, M] other, float[N, 3] a) => (float[N, K] y) {
            y = Concat <axis = 1> (a, other, third)
        }
    """)
    assert compare(written(model, tmp_path), net=net).agrees
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 5
    code, text = refusal(written(model, tmp_path), net)
    assert code == "against-mismatch"
    assert "inputs of the spec: a [3], b [3], c [4]" in text


def test_a_network_of_another_size_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    other = compiled(
        SPEC.replace("output z: from @map", "").replace("{ unit(4) }", "{ unit(6) }").replace("(16", "(18")
    )
    code, text = refusal(written(disguised(other.onnx()), tmp_path))
    assert code == "weights-mismatch"
    assert "missing: " in text
    assert "go together" in text


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "other.onnx").write_bytes(b"garbage")
    with pytest.raises(ArchError) as caught:
        against(NET.checked, tmp_path / "other.onnx")
    assert caught.value.diagnostics[0].code == "model-unreadable"


@given(st.text("abc", max_size=8), st.text("abcd", max_size=8))
def test_common_is_a_longest_common_subsequence(left: str, right: str) -> None:
    a, b = ([None if letter == "c" else (letter, (), ()) for letter in text] for text in (left, right))
    pairs = common(a, b)
    assert all(a[i] == b[j] is not None for i, j in pairs)
    assert all(i < k and j < m for (i, j), (k, m) in itertools.pairwise(pairs))
    assert len(pairs) == longest(tuple(a), tuple(b))


@cache
def longest(a: tuple[Key | None, ...], b: tuple[Key | None, ...]) -> int:
    if not a or not b:
        return 0
    with_both = longest(a[1:], b[1:]) + 1 if a[0] == b[0] is not None else 0
    return max(with_both, longest(a[1:], b), longest(a, b[1:]))


@pytest.mark.slow
@pytest.mark.parametrize("counted", [False, True])
def test_the_conversion_of_the_caffe_release(counted: bool, tmp_path: Path) -> None:
    """light_inception_v1.onnx: other names, another order of branches, weights made by nodes, a softmax at the end.

    Its last pooling leaves its padding out of the mean. A spec that counts it parts there and nowhere before.
    """
    text = (folder("specs") / "googlenet.arch").read_text("utf-8")
    text, edits = re.subn(
        r"(?m)^    avgpool: avgpool\(7.*$",
        f"    avgpool: avgpool(7, pad = [0, 0, 1, 1], count_include_pad = {str(counted).lower()})",
        text,
    )
    assert edits == 1
    (tmp_path / "googlenet.arch").write_text(text.partition("published")[0])
    net = archdsl.load(tmp_path / "googlenet.arch", "googlenet_floor")
    path = LIGHT / "light_inception_v1.onnx"
    found = against(net.checked, path, named=read_weights(path))
    assert len(found.alignment.pairs) == found.alignment.nodes[0] == found.alignment.nodes[1] - 1
    assert found.by_structure == 2 * 58
    assert found.agrees is not counted
    assert (found.first_divergence.ours if found.first_divergence else None) == ("avgpool" if counted else None)


@pytest.mark.slow
def test_what_torch_exports(tmp_path: Path) -> None:
    """torch folds the norms into the convolutions and leaves out a bias that is zero."""
    torch = pytest.importorskip("torch")
    net = archdsl.load("torchvision/resnet18")
    given = {key: array * 1.1 if "running_var" in key else array for key, array in net.initialize().items()}
    path = tmp_path / "torch.onnx"
    torch.onnx.export(net.torch(given).eval(), (torch.zeros(1, 3, 224, 224),), path, dynamo=True, verbose=False)
    for found in (against(net.checked, path, named=read_weights(path)), against(net.checked, path, given)):
        assert found.agrees
        assert len(found.alignment.pairs) == found.alignment.nodes[1]


def test_data_with_hard_links_are_told_as_onnx_refuses_them(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    deploy(NET.checked, weights(), path, Deployment(external="always"))
    (tmp_path / "again").hardlink_to(tmp_path / "net.onnx.data")
    with pytest.raises(ArchError, match="onnx does not read the data of") as caught:
        against(NET.checked, path)
    (diagnostic,) = caught.value.diagnostics
    assert "hard link" in diagnostic.notes[0]
    assert "copy both files" in str(diagnostic.help)
