"""Whole networks with open sizes: PyTorch and onnxruntime agree at three of them, and give the shapes that are said."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from support import compiled

import archdsl
from archdsl.graph.sizes import at
from archdsl.runtime.verify import difference, draw_inputs, run_onnx, run_torch, verify

FCN = """
network fcn(classes = 5) {
    input image: [3, H: 30 .. 200 = 64, W: 30 .. 200 = 48]
    trunk: conv(8, 7, stride = 2, pad = 3) -> batchnorm -> relu
    maxpool(3, stride = 2, pad = 1, ceil = false)
    deep: conv(16, 3, pad = 1, dilation = 1) -> groupnorm(4) -> relu
    add { skip; conv(16, 1) -> lrn(5, 1e-4, 0.75) }
    concat {
        avgpool(3, stride = 1, pad = 1)
        conv(8, 3, pad = 2, dilation = 2) -> prelu
    }
    mul { skip; avgpool(global) -> conv(24, 1) -> sigmoid }
    output scores: conv(classes, 1)
    output coarse: upsample(4, mode = bilinear) -> softmax(1)
    output label: avgpool(global) -> flatten -> linear(classes)
}
"""
UNET = """
block twice(out) { conv(out, 3, pad = 1) -> relu -> conv(out, 3, pad = 1) -> relu }
network unet {
    input image: [1, H: 16 .. 128 by 4 = 32, W: 16 .. 128 by 4 = 32]
    a: twice(4)
    maxpool(2)
    b: twice(8)
    maxpool(2)
    twice(16)
    upsample(2) -> concat { @b; skip } -> twice(8)
    upsample(2) -> concat { @a; skip } -> twice(4)
    output mask: conv(2, 1)      expect shape = [2, H, W]
}
"""
TAGGER = """
network tagger(F = 12) {
    input words: [T, F]
    linear(16) -> layernorm -> gelu
    add { skip; linear(16) -> tanh }
    output tags: linear(4) -> log_softmax      expect shape = [T, 4]
}
"""
PAIR = """
network pair {
    input image: [3, S = 24, S]
    input mask: [1, S, S]
    mul { @image; @mask }
    reshape([3, S * S]) -> transpose([2, 1]) -> linear(4)
    output out: reshape([S * S * 2, 2])
}
"""


NON_LOCAL = """
network non_local {
    input image: [4, H: 4 .. 16 = 6, W: 5 .. 16 = 8]
    places: reshape([4, H * W]) -> transpose([2, 1])
    attention(@places) -> transpose([2, 1]) -> reshape_as(@image)
    add { skip; @image }
    slice(1, H - 1, axis = 2) -> slice(in.width - 4, W - 1, axis = 3)    expect shape = [4, H - 2, 3]
    output out: slice(0, in.height, axis = 2)
}
"""


def agree(net: archdsl.Network, sizes: list[dict[str, int]], opset: int = 17) -> None:
    """Both forms give equal tensors, of the shapes that the expressions say."""
    weights = net.initialize()
    graphs = [at(net.checked, found) for found in sizes]
    inputs = [draw_inputs(graph, 2, 0) for graph in graphs]
    theirs, ours = run_torch(net.checked, weights, inputs), run_onnx(net.checked, weights, inputs, opset)
    for graph, left, right in zip(graphs, theirs, ours, strict=True):
        for output in graph.deployed_outputs:
            assert left[output.name].shape == right[output.name].shape == (2, *output.type.shape)
            assert np.isfinite(left[output.name]).all()
            assert difference(2, output.name, left[output.name], right[output.name]).max_rel < 1e-5


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_a_fully_convolutional_network(opset: int) -> None:
    agree(compiled(FCN), [{"H": 64, "W": 48}, {"H": 33, "W": 71}, {"H": 50, "W": 200}], opset)


def test_a_network_that_needs_multiples() -> None:
    agree(compiled(UNET), [{"H": 32, "W": 32}, {"H": 20, "W": 44}, {"H": 128, "W": 16}])


def test_a_sequence() -> None:
    agree(compiled(TAGGER), [{"T": 64}, {"T": 1}, {"T": 37}])


def test_elements_come_back_to_open_sizes_and_are_cut_from_their_end() -> None:
    agree(compiled(NON_LOCAL), [{"H": 4, "W": 5}, {"H": 6, "W": 8}, {"H": 16, "W": 9}])


def test_two_inputs_of_one_size() -> None:
    agree(compiled(PAIR), [{"S": 24}, {"S": 13}, {"S": 40}])


def test_ceil_pools() -> None:
    text = """
    network pools {
        input image: [3, H: 20 .. 64 = 32, W: 20 .. 64 = 24]
        conv(4, 3)
        maxpool(3, stride = 2, ceil = true)
        avgpool(3, stride = 2, ceil = true) -> lppool(2, stride = 2, ceil = true)
        maxpool(3, stride = 1, pad = 1, ceil = true)
    }"""
    net = compiled(text)
    agree(net, [{"H": 32, "W": 24}, {"H": 21, "W": 38}, {"H": 55, "W": 20}], opset=19)
    with pytest.raises(archdsl.ArchError, match="opset 19"):
        net.onnx()


def test_a_fixed_network_is_opened_from_outside() -> None:
    body = "conv(4, 3, stride = 2) -> relu -> avgpool(global) -> flatten -> linear(3)"
    text = f"network net {{ input image: [3, 32, 24]; {body} }}"
    net, fixed = compiled(text, inputs={"image": (3, "H:9..64", "W")}), compiled(text)
    assert net.report().totals == fixed.report().totals
    assert [(s.name, s.low, s.nominal, s.high) for s in net.checked.symbols] == [("H", 9, 32, 64), ("W", 12, 24, 48)]
    agree(net, [{"H": 32, "W": 24}, {"H": 9, "W": 48}, {"H": 64, "W": 13}])


@pytest.mark.slow
def test_ceil_pools_of_a_published_network() -> None:
    """GoogLeNet's trunk pools in ceil mode; torchvision's version ends in a global pool, so it takes any size."""
    net = archdsl.load("torchvision/googlenet", inputs={"image": (3, "H:60..256", "W:60..256")})
    with pytest.raises(archdsl.ArchError, match="opset 19"):
        net.onnx()
    agree(net, [{"H": 97, "W": 64}, {"H": 75, "W": 128}, {"H": 60, "W": 91}], opset=19)


@pytest.mark.slow
def test_a_residual_network_is_opened_from_outside() -> None:
    net = archdsl.load("torchvision/resnet18", inputs={"image": (3, "H", "W")})
    assert {s.name: (s.low, s.nominal, s.high) for s in net.checked.symbols} == dict.fromkeys("HW", (112, 224, 448))
    assert net.report().totals == archdsl.load("torchvision/resnet18").report().totals
    agree(net, [{"H": 64, "W": 96}, {"H": 33, "W": 65}])


def test_the_file_names_open_sizes_and_tells_their_ranges() -> None:
    model = compiled(UNET).onnx()
    dims = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["N", 1, "H", "W"]
    dims = [d.dim_param or d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
    assert dims == ["N", 2, "H", "W"]
    stored = {item.key: item.value for item in model.metadata_props}
    assert '"H": {"name": "H", "nominal": 32, "low": 16, "high": 128, "step": 4}' in stored["archdsl.symbols"]
    onnx.checker.check_model(model, full_check=True)


def test_verify_compares_at_other_sizes_too() -> None:
    net = compiled(UNET)
    result = verify(net.checked, net.initialize(), batches=(1, 2))
    assert [(row.batch, row.sizes) for row in result.differences] == [
        (1, "H = 32, W = 32"), (2, "H = 32, W = 32"), (1, "H = 16, W = 16"), (1, "H = 36, W = 40"),
    ]  # fmt: skip
    assert result.agrees
