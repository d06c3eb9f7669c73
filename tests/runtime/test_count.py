"""MACs of ONNX graphs against torch's own counter of floating-point operations, and against reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.parser
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.language.diagnostics import ArchError
from archdsl.runtime.count import Unknown, node_macs, read_model, tensor_shapes

LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def graph(text: str, inputs: str, output: str = "float[N, M] y") -> onnx.ModelProto:
    opset = '<ir_version: 8, opset_import: ["" : 17]>'
    return onnx.parser.parse_model(f"{opset} g ({inputs}) => ({output}) {{ {text} }}")


def meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


CASES: list[tuple[str, str, dict[str, tuple[int, ...]], Callable[..., object]]] = [
    (
        "y = Conv <group = 2, strides = [2, 2], dilations = [2, 1], pads = [1, 2, 0, 1]> (x, w)",
        "float[N, 6, 9, 8] x, float[4, 3, 3, 2] w",
        {"x": (5, 6, 9, 8), "w": (4, 3, 3, 2)},
        lambda x, w: F.conv2d(F.pad(x, (2, 1, 1, 0)), w, stride=2, dilation=(2, 1), groups=2),
    ),
    (
        "y = ConvTranspose <group = 2, strides = [3, 2]> (x, w)",
        "float[N, 6, 4, 5] x, float[6, 2, 3, 3] w",
        {"x": (2, 6, 4, 5), "w": (6, 2, 3, 3)},
        lambda x, w: F.conv_transpose2d(x, w, stride=(3, 2), groups=2),
    ),
    (
        "y = Gemm <transA = 1, transB = 1> (x, w)",
        "float[K, N] x, float[M, K] w",
        {"x": (7, 5), "w": (3, 7)},
        lambda x, w: x.T @ w.T,
    ),
    (
        "y = MatMul (x, w)",
        "float[N, 4, K] x, float[N, K, 3] w",
        {"x": (2, 4, 6), "w": (2, 6, 3)},
        torch.bmm,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "inputs", "shapes", "call"), CASES, ids=lambda value: str(value)[:20])
def test_as_torch_counts(
    text: str, inputs: str, shapes: dict[str, tuple[int, ...]], call: Callable[..., object]
) -> None:
    with FlopCounterMode(display=False) as counter:
        call(*(meta(*shape) for shape in shapes.values()))
    assert counter.get_total_flops() > 0
    assert 2 * sum(node_macs(graph(text, inputs), shapes).values()) == counter.get_total_flops()


@pytest.mark.parametrize("name", ["squeezenet", "torchvision/shufflenet_v2_x0_5"])
def test_as_the_report_counts(name: str) -> None:
    net = archdsl.load(name)
    (source,) = net.checked.inputs
    counted = node_macs(net.onnx(), {source.path: (3, *source.type.shape)})
    assert sum(counted.values()) == 3 * net.report().totals.macs


def test_the_files_own_size_is_counted() -> None:
    """1.43 G: the Caffe release without its ceil rule, as tests/specs has it."""
    model = read_model(str(LIGHT / "light_inception_v1.onnx"))
    assert sum(node_macs(model, {}).values()) == archdsl.load("googlenet_floor").report().totals.macs


def test_what_hides_its_products_is_not_guessed() -> None:
    hidden = graph("y = Einsum <equation = 'ij,jk->ik'> (x, x)".replace("'", '"'), "float[3, 3] x")
    with pytest.raises(Unknown, match="Einsum"):
        node_macs(hidden, {})
    foreign = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "a" : 1]> g (float[3] x) => (float[3] y) { y = a.Mix (x) }'
    )
    with pytest.raises(Unknown, match="Mix"):
        node_macs(foreign, {})
    unknown = graph("n = NonZero (x) f = Cast <to = 1> (n) y = MatMul (f, w)", "float[3, 3] x, float[K, 2] w")
    with pytest.raises(Unknown, match="not known"):
        node_macs(unknown, {"x": (3, 3)})


COMPUTED = [
    ("zero = ConstantOfShape <value = int64[1] {0}> (n) p = Concat <axis = 0> (zero, e) v = Pad (x, p)", (2, 5)),
    ("s = Shape (x) h = Div (s, two) v = Slice (x, none, h)", (1, 2)),
    ("s = Shape <start = 1> (x) f = Concat <axis = 0> (minus, s) v = Reshape (x, f)", (2, 4)),
    ("t = Relu (x) s = Shape (t) a = Shape (s) r = ConstantOfShape <value = int64[1] {1}> (a) "
     "c = Mul (r, s) v = Expand (x, c)", (2, 4)),
]  # fmt: skip
CONSTANTS = "int64[1] n = {3}, int64[1] e = {1}, int64[1] two = {2}, int64[2] none = {0, 0}, int64[1] minus = {-1}"


@pytest.mark.parametrize(("text", "shape"), COMPUTED)
def test_shapes_that_nodes_compute_are_known(text: str, shape: tuple[int, ...]) -> None:
    model = onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]> g (float[N, M] x, float[K, 6] w) => (float[A, B] y)
        <{CONSTANTS}> {{ {text} y = MatMul (v, w) }}"""
    )
    assert tensor_shapes(model, {"x": (2, 4), "w": (shape[1], 6)})["v"] == shape
    assert sum(node_macs(model, {"x": (2, 4), "w": (shape[1], 6)}).values()) == shape[0] * shape[1] * 6


def test_what_is_drawn_or_large_or_not_sound_is_not_computed() -> None:
    """Tensors of 64 TB, and of as many sizes as a random number says."""
    large = "c = ConstantOfShape <value = int64[1] {1}> (n) r = ReduceProd <keepdims = 1> (c) y = ConstantOfShape (r)"
    drawn = "d = RandomUniform <shape = [1]> () i = Cast <to = 7> (d) y = ConstantOfShape (i)"
    none = "z = Sub (n, n) q = Div (n, z) i = Gather (q, n) y = ConstantOfShape (i)"
    head = f'<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[K] y) <int64[1] n = {{{2**43}}}>'
    for text in (large, drawn, none):
        assert "y" not in tensor_shapes(onnx.parser.parse_model(f"{head} {{ {text} }}"), {})


def test_shapes_of_a_file_whose_weights_are_inputs_too() -> None:
    """IR version 3 lists them among the inputs; they are constants all the same."""
    model = onnx.parser.parse_model(
        """<ir_version: 3, opset_import: ["" : 9]> g (float[N, 4] x, int64[2] s) => (float[A, B] y)
        <int64[2] s = {0, -1}> { i = Identity (s) y = Reshape (x, i) }"""
    )
    assert tensor_shapes(model, {"x": (3, 4)}) == {"x": (3, 4), "s": (2,), "i": (2,), "y": (3, 4)}


@pytest.mark.parametrize("content", [b"garbage", None])
def test_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArchError) as caught:
        read_model(str(path))
    assert caught.value.diagnostics[0].code == "model-unreadable"
