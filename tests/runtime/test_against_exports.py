"""`archdsl verify --against` files of torch's exporter that computes paddings and sizes, and of recurrent layers."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from hand_built import random_weights
from onnx import numpy_helper
from support import compiled

import archdsl
from archdsl.cli.app import run
from archdsl.language.diagnostics import ArchError
from archdsl.passes.pipeline import DEPLOYMENT
from archdsl.runtime.against import BATCHES, AgainstResult, against
from archdsl.weights.read import read_weights

torch = pytest.importorskip("torch")
KINDS = ("lstm", "gru", "rnn", "rnn(nonlinearity = relu)")
FORMS = ("", "layers = 2", "bidirectional = true", "layers = 3, bidirectional = true", "layers = 2, bias = false")


def exported(net: archdsl.Network, path: Path, batch: int = 1) -> Path:
    """As torch's exporter of traces writes it, which makes paddings and sizes by nodes."""
    inputs = tuple(torch.zeros(batch, *node.type.shape) for node in net.checked.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.torch(random_weights(net.checked)).eval(), inputs, path, dynamo=False)
    return path


def compare(net: archdsl.Network, path: Path, batches: tuple[int, ...] | None = None) -> AgainstResult:
    return against(net.checked, path, named=read_weights(path), batches=batches)


def recurrent(kind: str, form: str) -> archdsl.Network:
    name, _, given = kind.rstrip(")").partition("(")
    arguments = ", ".join(filter(None, ("8", given, form)))
    return compiled(f"network n {{ input x: [6, 5]; a: {name}({arguments}); output y: linear(3) }}")


def test_paddings_that_nodes_compute(tmp_path: Path) -> None:
    net = archdsl.load("resnet20")
    path = exported(net, tmp_path / "other.onnx")
    assert any(node.op_type == "ConstantOfShape" for node in onnx.load(path).graph.node)
    found = compare(net, path)
    assert found.agrees
    assert len(found.alignment.pairs) == found.alignment.nodes[0] == found.alignment.nodes[1]
    assert found.by_name + found.by_structure == 40  # 19 convolutions that took over their norms, and a linear layer


def test_sizes_that_nodes_compute_from_other_sizes(tmp_path: Path) -> None:
    """Halves of the channels are cut out by their number, which is asked of the tensor."""
    net = compiled("""network n {
        input x: [3, 8, 8]
        conv(8, 3, pad = 1)
        halves: split(2)
        concat { @halves.0; { conv(4, 1) -> relu } from @halves.1 }
        output y: avgpool(global) -> flatten -> linear(3)
    }""")
    path = exported(net, tmp_path / "other.onnx")
    assert any(node.op_type == "Shape" for node in onnx.load(path).graph.node)
    found = compare(net, path)
    assert found.agrees
    assert len(found.alignment.pairs) == found.alignment.nodes[0] - 1 == found.alignment.nodes[1] - 2  # two slices


def test_a_recurrent_layer_gives_its_weights(tmp_path: Path) -> None:
    net = archdsl.load("lstm")
    found = compare(net, exported(net, tmp_path / "l.onnx", 2))
    assert found.agrees
    assert len(found.alignment.pairs) == found.alignment.nodes[0]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_gates_layers_and_directions_are_put_back(kind: str, form: str, tmp_path: Path) -> None:
    net = recurrent(kind, form)
    found = compare(net, exported(net, tmp_path / "other.onnx"))
    assert found.agrees
    assert found.by_name + found.by_structure == len(random_weights(net.checked))


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_layers_as_we_deploy_them(kind: str, tmp_path: Path) -> None:
    net = recurrent(kind, "layers = 2, bidirectional = true")
    onnx.save(net.onnx(random_weights(net.checked), passes=DEPLOYMENT), tmp_path / "other.onnx")
    assert compare(net, tmp_path / "other.onnx").agrees


def test_biases_that_a_recurrent_node_does_without_are_zero(tmp_path: Path) -> None:
    net = compiled("network n { input x: [6, 5]; output y: gru(4) }")
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N, 6, 5] x) => (float[N, 6, 4] y) <int64[1] one = {1}> {
            t = Transpose <perm = [1, 0, 2]> (x)
            r = GRU <hidden_size = 4, linear_before_reset = 1> (t, w, u)
            s = Squeeze (r, one) y = Transpose <perm = [1, 0, 2]> (s)
        }""")
    generator = np.random.default_rng(0)
    for name, width in (("w", 5), ("u", 4)):
        array = generator.standard_normal((1, 12, width), dtype=np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(model, tmp_path / "other.onnx")
    found = compare(net, tmp_path / "other.onnx")
    assert found.agrees
    assert found.by_structure == 4


def test_recurrent_weights_of_another_size_are_missing(tmp_path: Path) -> None:
    net = compiled("network n { input x: [6, 5]; lstm(4); output y: linear(3) }")
    other = compiled("network n { input x: [6, 5]; linear(7); lstm(4); output y: linear(3) }")
    path = exported(other, tmp_path / "other.onnx")
    with pytest.raises(ArchError, match="does not have all weights") as caught:
        against(net.checked, path)
    assert "weight_ih_l0" in caught.value.diagnostics[0].notes[0]


def test_a_batch_that_the_file_fixes(tmp_path: Path) -> None:
    net = compiled("network n { input x: [6]; output y: linear(3) }")
    path = exported(net, tmp_path / "other.onnx", 4)
    for batches in (None, (4,)):
        assert [item.difference.batch for item in compare(net, path, batches).outputs] == [4]
    for batches in ((2,), (4, 1)):
        with pytest.raises(ArchError, match="is fixed at 4") as caught:
            compare(net, path, batches)
        assert caught.value.diagnostics[0].code == "onnx-input"
    onnx.save(net.onnx(random_weights(net.checked)), path)
    assert tuple(item.difference.batch for item in compare(net, path).outputs) == BATCHES


def test_only_a_batch_that_is_asked_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.arch").write_text("network n { input x: [6]; output y: linear(3) }")
    exported(archdsl.load(tmp_path / "net.arch"), tmp_path / "other.onnx", 4)
    monkeypatch.chdir(tmp_path)
    for given, status in (((), 0), (("--batch", "4"), 0), (("--batch", "2"), 1)):
        monkeypatch.setattr(sys, "argv", ["archdsl", "verify", "net.arch", "--against", "other.onnx", *given])
        assert run() == status
    assert "error[onnx-input]: the batch of `other.onnx` is fixed at 4, so it cannot be 2" in capsys.readouterr().err
