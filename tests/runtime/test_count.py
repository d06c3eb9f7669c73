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
from archdsl.runtime.count import Unknown, node_macs, read_model

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


@pytest.mark.parametrize("content", [b"garbage", None])
def test_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArchError) as caught:
        read_model(str(path))
    assert caught.value.diagnostics[0].code == "model-unreadable"
