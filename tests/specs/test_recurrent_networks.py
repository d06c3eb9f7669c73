"""specs/recurrent: libraries' layers against their equations, the papers' own against PyTorch and onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from both_forms import assert_agreement
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import archdsl
from archdsl.emit.onnx.writer import save
from archdsl.runtime.session import open_session
from archdsl.runtime.verify import draw_inputs, run_onnx, run_torch, verify

SIZES = {"features": 5, "hidden": 8, "classes": 4}
SMALL = {"image": (3, 64, 64)}
WORDS = {"vocabulary": 20, "embedding": 5, "hidden": 8}


def in_both_forms(net: archdsl.Network, weights, inputs) -> list[np.ndarray]:
    """The network's output for one feed, from PyTorch and from onnxruntime."""
    name = net.checked.outputs[0].name
    return [
        run(net.checked, weights, [inputs])[0][name] for run in (run_torch, lambda *a: list(run_onnx(*a, opset=17)))
    ]


# Native layers and their equations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "sizes"), [("rnn", SIZES), ("lstm", SIZES), ("gru", WORDS)])
@pytest.mark.parametrize("length", [1, 9])
def test_equations_are_the_native_layer_with_its_weights(
    kind: str, sizes: dict[str, int], length: int, tmp_path: Path
) -> None:
    """Its names are mapped by the rules that the spec of the equations has."""
    family = f"recurrent/{kind}"
    native, equations = archdsl.load(family, **sizes), archdsl.load(family, f"{kind}_equations", **sizes)
    assert native.report().totals.params == equations.report().totals.params
    assert native.report().totals.macs == equations.report().totals.macs
    weights = {key: 3 * value for key, value in native.initialize(1).items()}
    np.savez(tmp_path / "native.npz", **weights)
    inputs = draw_inputs(native.checked, 3, 0)
    inputs = {name: value[:, :length] for name, value in inputs.items()}
    results = [
        *in_both_forms(native, weights, inputs),
        *in_both_forms(equations, equations.read_weights(tmp_path / "native.npz"), inputs),
    ]
    assert results[0].std() > 0.1
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("length", [3, 50])
def test_the_lstm_exported_once_takes_every_batch_and_length(batch: int, length: int, lstm_file: Path) -> None:
    net = archdsl.load("recurrent/lstm")
    own, head = nn.LSTM(7, 8, batch_first=True), nn.Linear(8, 7)
    weights = {key: torch.from_numpy(value) for key, value in net.initialize(2).items()}
    own.load_state_dict({key[7:]: value for key, value in weights.items() if key.startswith("hidden.")})
    head.load_state_dict({key[2:]: value for key, value in weights.items() if key.startswith("1.")})
    x = torch.randn((batch, length, 7), generator=torch.Generator().manual_seed(length))
    with torch.no_grad():
        expected = head(own(x)[0])
    (found,) = open_session(lstm_file).run(None, {"x": x.numpy()})
    assert found.shape == (batch, length, 7)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def lstm_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = archdsl.load("recurrent/lstm")
    path = tmp_path_factory.mktemp("lstm") / "lstm.onnx"
    save(net.onnx(net.initialize(2)), path)
    return path


# As the papers have them ----------------------------------------------------------------------------------------------


def test_elmans_network_is_pytorchs_rnn() -> None:
    """sigmoid(a) = (1 + tanh(a / 2)) / 2: logistic units from 0.5 on are tanh units from 0 on, with other weights."""
    net = archdsl.load("recurrent/rnn", "elman", **SIZES)
    w = {key: torch.from_numpy(value) * 3 for key, value in net.initialize(4).items()}
    own, state = nn.RNN(5, 8, batch_first=True), w["hidden.h.context.weight"]
    own.weight_ih_l0.data, own.weight_hh_l0.data = w["hidden.h.new.weight"] / 2, state / 4
    own.bias_ih_l0.data, own.bias_hh_l0.data = w["hidden.h.new.bias"] / 2, state.sum(1) / 4
    inputs = draw_inputs(net.checked, 2, 0)
    with torch.no_grad():
        hidden = (1 + own(torch.from_numpy(inputs["x"]))[0]) / 2
        expected = torch.sigmoid(hidden @ w["1.weight"].T + w["1.bias"]).numpy()
    for found in in_both_forms(net, {key: value.numpy() for key, value in w.items()}, inputs):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("blocks", "size"), [(4, 1), (3, 2)])
def test_memory_blocks_of_1997(blocks: int, size: int) -> None:
    """Unit by unit, as Appendix A.1 counts them: cell `v` of block `j`, gates of block `j`, all reading all of them."""
    net = archdsl.load("recurrent/lstm", "lstm_1997", blocks=blocks, size=size)
    w = {key: value.astype(np.float64) * 5 for key, value in net.initialize(5).items()}
    inputs = draw_inputs(net.checked, 1, 0)
    y, c = np.zeros((size, blocks)), np.zeros((size, blocks))
    gates = {"i": np.zeros(blocks), "o": np.zeros(blocks)}
    expected = []
    for x in inputs["x"][0]:
        seen = np.concatenate([x, y.reshape(-1), gates["i"], gates["o"]])
        gates = {k: sigmoid(w[f"hidden.{k}.0.0.weight"] @ seen + w[f"hidden.{k}.0.0.bias"]) for k in gates}
        for v in range(size):
            for j in range(blocks):
                c[v, j] += gates["i"][j] * (4 * sigmoid(w["hidden.cells.weight"][v * blocks + j] @ seen) - 2)
                y[v, j] = gates["o"][j] * (2 * sigmoid(c[v, j]) - 1)
        expected.append(sigmoid(w["1.weight"] @ y.reshape(-1)))
    for found in in_both_forms(net, {key: value.astype(np.float32) for key, value in w.items()}, inputs):
        np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)


def test_the_forget_gate_of_2000_empties_the_cells() -> None:
    """With all gates shut or open by their biases, what comes out follows by hand."""
    net = archdsl.load("recurrent/lstm", "lstm_2000")
    w = {key: np.zeros_like(value) for key, value in net.initialize().items()}
    w["hidden.cells.weight"][:, 0] = 100.0  # squashed to 2 where the first input is 1
    w["hidden.take.0.bias"][:], w["hidden.give.0.bias"][:] = 100.0, 100.0
    w["hidden.keep.0.bias"][:] = [100.0, 100.0, -100.0, -100.0]
    w["1.weight"][0, 0], w["1.weight"][1, 3] = 1.0, 1.0  # a cell of a block that keeps, and one of a block that forgets
    x = np.zeros((1, 3, 7), np.float32)
    x[0, :2, 0] = 1
    kept, forgotten = (2 * sigmoid(np.array(c)) - 1 for c in ([2.0, 4.0, 4.0], [2.0, 2.0, 0.0]))
    for found in in_both_forms(net, w, {"x": x}):
        np.testing.assert_allclose(found[0, :, 0], sigmoid(kept), rtol=1e-5)
        np.testing.assert_allclose(found[0, :, 1], sigmoid(forgotten), rtol=1e-5)


def test_the_gru_of_2014_is_onnxs_with_the_reset_before() -> None:
    net = archdsl.load("recurrent/gru", "gru_2014", **WORDS)
    w = {key: 2 * value for key, value in net.initialize(6).items()}
    w["embedded.weight"] *= 100
    inputs = draw_inputs(net.checked, 2, 0)
    last = onnxs_gru(
        {key: np.concatenate([w[f"states.{gate}.0.{key}"] for gate in ("update", "reset", "new")])
         for key in ("new.weight", "old.weight", "new.bias")},
        w["embedded.weight"][inputs["words"]].transpose(1, 0, 2),
    )  # fmt: skip
    expected = np.tanh(last @ w["code.weight"].T + w["code.bias"])
    for found in in_both_forms(net, w, inputs):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def onnxs_gru(w: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The last state of onnxruntime's GRU, whose gates are z, r, n, for a sequence [T, N, F]."""
    bias = np.concatenate([w["new.bias"], np.zeros_like(w["new.bias"])])
    arrays = {"W": w["new.weight"][None], "R": w["old.weight"][None], "B": bias[None]}
    node = helper.make_node("GRU", ["X", *arrays], ["", "last"], hidden_size=8, linear_before_reset=0)
    graph = helper.make_graph(
        [node], "gru",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, (1, x.shape[1], 8))],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": x.astype(np.float32)})
    return found[0]


# Networks with recurrent parts ----------------------------------------------------------------------------------------


def test_a_tag_sees_the_whole_sentence() -> None:
    net = archdsl.load("recurrent/bidirectional_tagger", vocabulary=50, hidden=6, tags=4)
    inputs = draw_inputs(net.checked, 1, 0)
    changed = {"words": inputs["words"].copy()}
    changed["words"][0, 32] += 1 if changed["words"][0, 32] < 25 else -1
    before, after = (in_both_forms(net, net.initialize(), feed)[1] for feed in (inputs, changed))
    moved = np.abs(before - after).max(axis=2)[0]
    assert moved[31] > 0
    assert moved[33] > 0
    assert moved[32] > moved[30]
    assert verify(net.checked, net.initialize(1), batches=(1, 3), tolerance=1e-5).agrees


@pytest.mark.parametrize("network", ["captioning", "captioning_released"])
def test_a_caption_depends_on_the_image_and_on_the_words_before(network: str) -> None:
    net = archdsl.load("recurrent/captioning", network, inputs=SMALL, vocabulary=30, width=8)
    weights, inputs = net.initialize(), draw_inputs(net.checked, 1, 0)
    other = draw_inputs(net.checked, 1, 1)
    last = {**inputs, "words": inputs["words"].copy()}
    last["words"][0, 9] = (last["words"][0, 9] + 1) % 30
    feeds = [inputs, {**inputs, "image": other["image"]}, last]
    scores, of_other, of_last = (feed["scores"] for feed in run_torch(net.checked, weights, feeds))
    assert np.abs(scores - of_other)[0, 0].max() > 0
    np.testing.assert_array_equal(scores[:, :9], of_last[:, :9])
    assert np.abs(scores - of_last)[0, 9].max() > 0


def test_captioning_agrees_in_both_forms() -> None:
    assert_agreement(archdsl.load("recurrent/captioning", inputs=SMALL, vocabulary=200, width=32))
