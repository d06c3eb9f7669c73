"""The live module: the graph's keys and numbers, and everything that PyTorch users do with a module."""

from __future__ import annotations

import copy
import io
import pickle
import random
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_built import classifier, random_inputs, random_weights
from support import compiled
from torch import nn
from torch_networks import ALL, CHAIN, INCEPTION, RESIDUAL
from torch_oracle import agree, by_name, interpreted
from torch_random import random_text

import archdsl
from archdsl.emit.torch import module as module_file
from archdsl.emit.torch.module import execute, module
from archdsl.emit.torch.source import torch_source
from archdsl.graph.graph import CheckedGraph
from archdsl.weights.initialize import initialize

SHORT = {**ALL, "chain": CHAIN.replace("2048", "16")}


def made(text: str) -> tuple[CheckedGraph, nn.Module, tuple[torch.Tensor, ...]]:
    """The graph, its module in eval mode on seeded weights, and inputs for it."""
    graph = compiled(text).checked
    inputs = tuple(torch.from_numpy(value) for value in random_inputs(graph).values())
    return graph, module(graph).eval(), inputs


def same(found: object, expected: object) -> bool:
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(torch.equal(found[name], expected[name]) for name in expected)
    return torch.equal(found, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHORT)
def test_a_module_has_the_graphs_keys_and_computes_it(name: str) -> None:
    graph = compiled(SHORT[name]).checked
    agree(graph)
    agree(graph, training=True)


def test_hand_built_graphs_without_scopes_work() -> None:
    agree(classifier())
    agree(classifier(), training=True)


@pytest.mark.parametrize("seed", range(20))
def test_random_networks_agree(seed: int) -> None:
    graph = compiled(random_text(random.Random(seed))).checked
    agree(graph)
    agree(graph, training=True)


def test_state_dict_is_in_the_specs_order() -> None:
    graph, net, _ = made(RESIDUAL)
    assert list(net.state_dict()) == list(initialize(graph))


def test_weights_are_the_specs_seeded_ones_unless_given() -> None:
    graph, net, _ = made(INCEPTION)
    for key, value in initialize(graph).items():
        assert np.array_equal(net.state_dict()[key].numpy(), value), key
    other = module(graph, seed=1)
    assert not torch.equal(other.stem.conv.weight, net.stem.conv.weight)


def test_given_weights_are_copied_and_converted() -> None:
    graph = compiled(RESIDUAL).checked
    weights = {key: value.astype("float64") for key, value in random_weights(graph).items()}
    before = {key: value.copy() for key, value in weights.items()}
    net = module(graph, weights)
    assert net.fc.weight.dtype == torch.float32
    assert net.bn1.num_batches_tracked.dtype == torch.int64
    with torch.no_grad():
        net.fc.weight.zero_()
    net(torch.randn(2, 3, 16, 16))
    assert all(np.array_equal(weights[key], before[key]) for key in weights)


def test_weights_that_do_not_fit_are_named() -> None:
    graph = compiled(RESIDUAL).checked
    weights = random_weights(graph)
    weights["extra.weight"] = weights.pop("fc.bias")
    with pytest.raises(RuntimeError, match=r'(?s)Missing key.*"fc\.bias".*Unexpected key.*"extra\.weight"'):
        module(graph, weights)
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight"):
        module(graph, {**random_weights(graph), "fc.weight": np.zeros((3, 3), "float32")})


def test_parameters_train_and_buffers_do_not() -> None:
    graph, net, inputs = made(RESIDUAL)
    trainable = {f"{n.module}.{w.name}" for n in graph.layers for w in n.weights if w.trainable}
    assert {name for name, p in net.named_parameters() if p.requires_grad} == trainable
    net.train()(*inputs).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_heads_run_in_train_mode_alone() -> None:
    _, net, inputs = made(INCEPTION)
    calls: list[bool] = []
    net.loss.register_forward_hook(lambda *_: calls.append(True))
    assert isinstance(net(*inputs), torch.Tensor)
    assert not calls
    assert list(net.train()(*inputs)) == ["loss", "logits"]
    assert calls


@pytest.mark.parametrize("way", ["pickle", "torch", "deepcopy"])
def test_a_module_can_be_stored_and_copied(way: str) -> None:
    _, net, inputs = made(INCEPTION)
    if way == "torch":
        buffer = io.BytesIO()
        torch.save(net, buffer)
        buffer.seek(0)
        again = torch.load(buffer, weights_only=False)
    else:
        again = copy.deepcopy(net) if way == "deepcopy" else pickle.loads(pickle.dumps(net))  # noqa: S301 (our bytes)
    assert type(again) is type(net)
    assert same(again(*inputs), net(*inputs))
    with torch.no_grad():
        again.fc.weight.zero_()
    assert not same(again(*inputs), net(*inputs))


def test_a_part_alone_can_be_stored() -> None:
    _, net, _ = made(INCEPTION)
    part = pickle.loads(pickle.dumps(net.inception_a))  # noqa: S301 (our bytes)
    value = torch.randn(1, 8, 8, 8)
    assert torch.equal(part(value), net.inception_a(value))


LOAD = """
import sys, torch
torch.set_num_threads(1)
net, inputs, expected = torch.load(sys.argv[1], weights_only=False)
assert torch.equal(net(*inputs), expected)
print(type(net).__name__)
"""


def test_another_process_loads_what_this_one_stored(tmp_path: Path) -> None:
    _, net, inputs = made(INCEPTION)
    torch.save((net, inputs, net(*inputs)), tmp_path / "net.pt")
    command = [sys.executable, "-c", LOAD, str(tmp_path / "net.pt")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "TinyInception\n"


def test_source_runs_without_archdsl(tmp_path: Path) -> None:
    graph, net, inputs = made(INCEPTION)
    (tmp_path / "net.py").write_text(torch_source(graph), "utf-8")
    torch.save((net.state_dict(), inputs, net(*inputs)), tmp_path / "weights.pt")
    code = """
import sys, torch
torch.set_num_threads(1)
sys.modules["archdsl"] = None
sys.path.insert(0, sys.argv[1])
from net import TinyInception
weights, inputs, expected = torch.load(sys.argv[1] + "/weights.pt")
net = TinyInception().eval()
net.load_state_dict(weights)
assert torch.equal(net(*inputs), expected)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


@pytest.mark.parametrize(("name", "strict"), [*((name, True) for name in SHORT), ("inception", False)])
def test_export_with_any_batch(name: str, strict: bool) -> None:
    _, net, inputs = made(SHORT[name])
    batch = ({0: torch.export.Dim("batch")},) * len(inputs)
    program = torch.export.export(net, inputs, dynamic_shapes=batch, strict=strict)
    three = tuple(torch.cat([value, value[:1]]) for value in inputs)
    torch.testing.assert_close(program.module()(*three), net(*three))


@pytest.mark.parametrize("name", ["numbered", "unet", "several"])
def test_compile_takes_the_whole_graph(name: str) -> None:
    _, net, inputs = made(SHORT[name])
    torch._dynamo.reset()
    found = torch.compile(net, backend="eager", fullgraph=True)(*inputs)
    torch.testing.assert_close(found, net(*inputs))


def test_compile_takes_training_heads() -> None:
    _, net, inputs = made(INCEPTION)
    net.train()
    torch._dynamo.reset()
    found = torch.compile(net, backend="eager", fullgraph=True)(*inputs)
    torch.testing.assert_close(found, net(*inputs))


@pytest.mark.parametrize("name", SHORT)
def test_other_types_and_layouts(name: str) -> None:
    graph, net, inputs = made(SHORT[name])
    expected = by_name(graph, net(*inputs))
    layout = copy.deepcopy(net).to(memory_format=torch.channels_last)
    for other, dtype, tolerance in ((layout, torch.float32, 1e-4), (net.double(), torch.float64, 1e-4)):
        found = by_name(graph, other(*(value.to(dtype) for value in inputs)))
        for output, value in found.items():
            torch.testing.assert_close(value.float(), expected[output], rtol=tolerance, atol=tolerance)
    if "lrn" in SHORT[name]:  # PyTorch's own is not implemented for float16 on CPUs
        return
    found = by_name(graph, net.half()(*(value.half() for value in inputs)))
    assert {value.dtype for value in found.values()} == {torch.float16}


def test_meta_modules_have_shapes_only() -> None:
    graph = compiled(INCEPTION).checked
    with torch.device("meta"):
        net = module(graph).eval()
        result = net(torch.empty(5, 3, 32, 32))
    assert all(value.is_meta for value in net.state_dict().values())
    assert result.shape == (5, 10)
    moved = module(graph).to("meta")
    assert moved.eval()(torch.empty(5, 3, 32, 32, device="meta")).shape == (5, 10)


def test_tracebacks_show_the_generated_line() -> None:
    _, net, _ = made(INCEPTION)
    with pytest.raises(RuntimeError) as caught:
        net(torch.randn(1, 4, 32, 32))
    text = "".join(traceback.format_exception(caught.value))
    assert "x = self.stem(image)" in text
    assert "return F.relu(self.conv(x), inplace=True)" in text


def test_the_same_source_is_one_module() -> None:
    graph, net, _ = made(INCEPTION)
    assert type(module(graph)) is type(net)
    assert execute(torch_source(graph)).TinyInception is type(net)


def test_a_missing_torch_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compiled(INCEPTION).checked
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(archdsl.ArchError, match="torch-missing"):
        module(graph)


def test_the_interface_gives_the_same_module() -> None:
    net = compiled(INCEPTION)
    direct = module_file.module(net.checked)
    weights = net.torch().state_dict()
    assert all(torch.equal(weights[key], value) for key, value in direct.state_dict().items())
    assert net.torch_source() == torch_source(net.checked)


SCHEMES = """
network schemes {
    input x: [64, 8, 8]
    initialize weight = he_normal, bias = zeros
    usual: conv(64, 3) -> relu
    bare: conv(64, 3, bias = false)
    orthogonal: conv(32, 1, init = orthogonal(gain = 2))
    normal: conv(64, 3, pad = 1, init = normal(mean = 1, std = 0.01), bias_init = constant(0.5))
    cut: conv(64, 1, init = truncated_normal(std = 0.02, a = -0.03, b = 0.03), bias_init = he_normal)
    wide: conv(64, 1, init = he_uniform_fan_out, bias_init = xavier_uniform(gain = 3))
    glorot: conv(64, 1, init = xavier_uniform(gain = 2), bias_init = uniform(low = -2, high = 1))
    ones: conv(64, 1, init = ones, bias_init = he_uniform_fan_out)
    flatten
    fc: linear(512, init = xavier_normal, bias_init = ones)
}
"""


def test_source_draws_weights_as_the_spec_declares() -> None:
    graph = compiled(SCHEMES).checked
    torch.manual_seed(0)
    drawn = execute(torch_source(graph)).Schemes().state_dict()
    for key, value in initialize(graph).items():
        expected, found = torch.from_numpy(value), drawn[key]
        spread = float(expected.std())
        assert float(found.mean()) == pytest.approx(float(expected.mean()), abs=max(spread, 1e-9) * 0.5), key
        assert float(found.std()) == pytest.approx(spread, rel=0.25), key
        assert float(found.abs().max()) <= float(expected.abs().max()) * 1.5, key


def test_where_the_constructors_do_it_source_says_nothing() -> None:
    assert "_initialize" not in torch_source(compiled(RESIDUAL).checked)
    some = RESIDUAL.replace("fc: linear(10)", "fc: linear(10, bias_init = zeros)")
    source = torch_source(compiled(some).checked)
    assert "if isinstance(module, nn.Linear):\n                nn.init.zeros_(module.bias)" in source
    assert "nn.Conv2d):" not in source


def test_batches_do_not_meet() -> None:
    """Each sample's result is the same alone and in a batch: no reshape reaches into the batch axis."""
    for text in SHORT.values():
        graph, net, inputs = made(text)
        whole = net(*inputs)
        alone = net(*(value[1:] for value in inputs))
        for output, value in by_name(graph, whole).items():
            torch.testing.assert_close(value[1:], by_name(graph, alone)[output], rtol=1e-4, atol=1e-5)


def test_the_oracle_notices_a_wrong_weight() -> None:
    graph = compiled(RESIDUAL).checked
    weights = random_weights(graph)
    inputs = {name: torch.from_numpy(value).double() for name, value in random_inputs(graph).items()}
    net = module(graph, {**weights, "bn1.bias": weights["bn1.bias"] + 1}).double().eval()
    expected = interpreted(graph, weights, inputs)["logits"]
    assert not torch.allclose(net(*inputs.values()), expected)


def test_normal_numbers_do_not_bring_pytorchs_compiler() -> None:
    """They take a second where they are drawn into tensors of the device `meta`, and would be thrown away."""
    code = """if True:
        import sys, archdsl
        archdsl.load("generative/dcgan_generator").torch()
        archdsl.load("recurrent/bidirectional_tagger").torch()
        sys.exit("torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
