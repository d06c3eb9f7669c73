"""Profiles: fused and renamed nodes are traced back, and all sums agree with the whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest
from support import compiled

import archdsl
from archdsl.language.diagnostics import ArchError
from archdsl.runtime import profile as module
from archdsl.runtime.lines import Attributed, attributed, to_dict
from archdsl.runtime.origin import COPIES, name_nodes, origins, spellings
from archdsl.runtime.profile import Profile, profile
from archdsl.runtime.session import Profiling, open_session

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
SPEC = """
block unit(out) {
    conv: conv(out, 3, pad = 1, bias = false) -> batchnorm
    relu
}
block pair(out) {
    unit(out)
    add { skip; { unit(out) -> last: conv(out, 3, pad = 1, bias = false) -> batchnorm } }
    relu
}
network net {
    input image: [3, 16, 16]
    stem: conv(8, 3, pad = 1) -> lrn(3)
    for i in range(2) { stage{i}: pair(8) -> maxpool(2) }
    aux: { flatten -> linear(2) } from @stem training weight = 0.3
    output y: flatten -> fc: linear(5) -> gelu
}
"""
NET = compiled(SPEC)


def parsed(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')


def traced(model: onnx.ModelProto, folder: Path) -> tuple[onnx.ModelProto, dict[str, tuple[int, ...]]]:
    """What onnxruntime makes of a model, and where its nodes come from."""
    name_nodes(model)
    place = Profiling(folder, folder)
    open_session(model.SerializeToString(), profile=place).end_profiling()
    optimized = onnx.load(place.optimized, load_external_data=False)
    return optimized, origins(model, optimized)


def fusions(model: onnx.ModelProto, folder: Path) -> Counter[tuple[str, str]]:
    """How often a kind of optimized node stands for which kinds of the model's nodes."""
    optimized, groups = traced(model, folder)
    kinds = {node.name: node.op_type for node in optimized.graph.node}
    parts = {name: "+".join(model.graph.node[i].op_type for i in group) for name, group in groups.items()}
    assert all(kinds[name] in COPIES for name, part in parts.items() if not part)
    return Counter((kinds[name], part) for name, part in parts.items() if part)


def test_convolutions_take_their_norms_sums_and_activations_with_them(tmp_path: Path) -> None:
    found = fusions(NET.onnx(), tmp_path)
    assert found["Conv", "Conv+BatchNormalization+Relu"] == 4
    assert found["Conv", "Conv+BatchNormalization+Add+Relu"] == 2
    assert found["LRN", "LRN"] == 1


def test_every_running_node_has_one_place(tmp_path: Path) -> None:
    model = NET.onnx()
    _, groups = traced(model, tmp_path)
    assert sorted(number for group in groups.values() for number in group) == list(range(len(model.graph.node)))


def test_what_is_written_as_many_nodes_and_run_as_one(tmp_path: Path) -> None:
    """onnxruntime gives these new names: a bias with a GELU, and a sum with the norm after it."""
    model = parsed("""(float[N, 5, 8] x, float[N, 5, 8] z) => (float[N, 5, 8] y)
        <float root = {1.4142135}, float one = {1.0}, float half = {0.5}> {
            m = MatMul (x, w) a = Add (m, b)
            d = Div (a, root) e = Erf (d) g = Add (e, one) p = Mul (a, g) q = Mul (p, half)
            s = Add (q, z) y = LayerNormalization (s, b, b)
        }""")
    for name, shape in (("w", (8, 8)), ("b", (8,))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, np.float32), name))
    found = fusions(model, tmp_path)
    assert sorted(part for _, part in found) == ["Add+Div+Erf+Add+Mul+Mul", "Add+LayerNormalization", "MatMul"]


@pytest.mark.parametrize("name", ["squeezenet", "resnet50"])
def test_files_of_others(name: str, tmp_path: Path) -> None:
    """Their nodes and tensors have different names, so that it shows which of the two onnxruntime goes by."""
    found = fusions(onnx.load(LIGHT / f"light_{name}.onnx"), tmp_path)
    if name == "squeezenet":
        assert found["Conv", "Conv+Relu"] == 26
    else:
        assert found["Conv", "Conv+BatchNormalization+Sum+Relu"] == 16
        assert found["Conv", "Conv+BatchNormalization+Relu"] == 33
        assert found["Conv", "Conv+BatchNormalization"] == 4


def test_nodes_without_a_name_get_one() -> None:
    model = parsed("(float[3] x) => (float[3] y) { a = Relu (x) b = Relu (a) y = Neg (b) }")
    model.graph.node[2].name = "Relu#0"
    name_nodes(model)
    assert len({node.name for node in model.graph.node}) == 3


def test_spellings() -> None:
    assert "conv1" in spellings("conv1_bn_nchwc")
    assert "fc" in spellings("fused fc")
    assert "x" in spellings("x_nchwc_token_12")
    assert "a/matmul" in spellings("a/matmul/MatMulAddFusion")


# Profiles -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("profile") / "net.onnx"
    NET.save_onnx(path)
    return profile(path, "net", 2, threads=1, runs=5)


@pytest.fixture(scope="module")
def found(measured: Profile) -> Attributed:
    return attributed(measured, NET.checked)


def test_kernels_and_what_is_between_are_the_run(measured: Profile) -> None:
    assert all(kernel.ms >= 0 and kernel.bytes > 0 for kernel in measured.kernels)
    assert 0 < measured.kernels_ms <= measured.total_ms
    assert measured.kernels_ms + measured.between_ms == pytest.approx(measured.total_ms)
    assert measured.inputs == {"image": (2, 3, 16, 16)}


def test_main_nodes_lead(measured: Profile) -> None:
    leaders = {kernel.nodes[0] for kernel in measured.kernels if kernel.op == "Conv"}
    assert leaders == {layer.path for layer in NET.checked.layers if layer.op.name == "conv"}


def test_layers_and_layout_are_the_kernels(measured: Profile, found: Attributed) -> None:
    assert found.total.ms == pytest.approx(measured.kernels_ms)
    assert found.total.bytes == sum(kernel.bytes for kernel in measured.kernels)
    assert found.total.macs == NET.report(batch=2).totals.macs
    assert found.layout.macs == 0
    assert [path for path in found.layers if path.startswith("aux")] == []


def test_lines_are_the_layers_and_a_blocks_line_is_all_its_instances(found: Attributed) -> None:
    texts = {line.text: line for line in found.lines}
    assert sum(line.own.ms for line in found.lines) == pytest.approx(sum(cost.ms for cost in found.layers.values()))
    assert sum(line.own.macs for line in found.lines) == found.total.macs
    conv = texts["conv: conv(out, 3, pad = 1, bias = false) -> batchnorm"]
    assert len(conv.layers) == 2 * 4  # convolution and norm of two units in two stages
    last = texts["add { skip; { unit(out) -> last: conv(out, 3, pad = 1, bias = false) -> batchnorm } }"]
    assert last.whole.ms >= last.own.ms > 0
    stages = sum(cost.macs for path, cost in found.layers.items() if path.startswith("stage"))
    assert conv.own.macs + last.own.macs == stages
    call = texts["for i in range(2) { stage{i}: pair(8) -> maxpool(2) }"]
    assert call.whole.macs == stages
    assert call.own.macs == 0
    assert call.whole.ms == pytest.approx(sum(c.ms for path, c in found.layers.items() if path.startswith("stage")))
    network = [line for line in found.lines if line.text.startswith(("stem", "for", "output"))]
    assert sum(line.whole.ms for line in network) == pytest.approx(sum(cost.ms for cost in found.layers.values()))


def test_json(measured: Profile, found: Attributed) -> None:
    data = json.loads(json.dumps(to_dict(measured, found)))
    assert data["schema"] == "archdsl.profile/1"
    assert {line["line"] for line in data["lines"]} == {line.number for line in found.lines}
    assert data["kernels_ms"] + data["between_ms"] == pytest.approx(data["total_ms"])
    plain = to_dict(measured, None)
    assert (plain["lines"], plain["layers"], plain["layout"]) == ([], [], None)


def test_the_work_of_a_loop_is_counted_once(tmp_path: Path) -> None:
    text = """(float[N, 64] x) => (float[N, 64] y) <int64 n = {50}, bool go = {1}> {
        y = Loop (n, go, x) <body = b (int64 i, bool c, float[N, 64] s) => (bool d, float[N, 64] t) {
            d = Identity (c) u = Exp (s) t = Tanh (u) }>
    }"""
    path = tmp_path / "loop.onnx"
    onnx.save(parsed(text), path)
    seen = profile(path, "loop", 64, runs=2)
    assert [kernel.op for kernel in seen.kernels] == ["Loop"]
    assert 0 < seen.kernels_ms <= seen.total_ms
    assert "Loop" in seen.note


def event(name: str, start: int, length: int, cat: str = "Session", **sizes: str) -> dict[str, Any]:
    return {"name": name, "cat": cat, "ts": start, "dur": length, "args": sizes}


def test_means_are_of_the_calmer_runs() -> None:
    """Three runs of 100, 400 and 120 us after one to warm up: the first and the last count."""
    optimized = parsed("(float[3] x) => (float[3] y) { a = Relu (x) y = Exp (a) }")
    optimized.graph.node[0].name, optimized.graph.node[1].name = "r", "e"
    events = [event("model_run", start, length) for start, length in ((0, 900), (1000, 100), (2000, 400), (3000, 120))]
    for start, relu, exp in ((0, 700, 100), (1000, 50, 20), (2000, 300, 50), (3000, 60, 40)):
        events.append(event("r_kernel_time", start + 5, relu, "Node", activation_size="12", output_size="12"))
        events.append(event("e_kernel_time", start + 5 + relu, exp, "Node", activation_size="12", output_size="24"))
    nodes: Mapping[str, tuple[str, ...]] = {"r": ("relu",), "e": ("exp",)}
    total, (relu, exp) = module._kernels(events, 3, optimized, nodes)
    assert total == pytest.approx(0.110)
    assert (relu.ms, exp.ms) == (pytest.approx(0.055), pytest.approx(0.030))
    assert (relu.bytes, exp.bytes) == (24, 36)


def test_a_model_with_its_weights_next_to_it(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = NET.onnx()
    onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    assert profile(path, "net", runs=2).kernels_ms > 0


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArchError) as caught:
        profile(tmp_path / "none.onnx", "none")
    assert caught.value.diagnostics[0].code == "model-unreadable"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["googlenet", "torchvision/densenet121", "torchvision/shufflenet_v2_x1_0", "highway", "xception"]
)
def test_nothing_of_the_library_is_lost(name: str, tmp_path: Path) -> None:
    model = archdsl.load(name).onnx()
    found = fusions(model, tmp_path)
    kept = sum(count * (part.count("+") + 1) for (_, part), count in found.items())
    assert kept == len(model.graph.node)
    for (kind, part), _ in found.items():
        assert kind != "Conv" or part.startswith(("Conv", "BatchNormalization"))
