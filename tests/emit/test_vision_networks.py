"""Small networks of segmentation, detection, faces and super-resolution: the same in PyTorch and on onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from spec_weights import ordinary_weights
from support import compiled

import archdsl
from archdsl.emit.torch.module import execute, module
from archdsl.runtime.verify import draw_inputs, run_onnx, verify
from archdsl.weights.initialize import initialize

NETWORKS = {
    # Badrinarayanan et al., 2015: places of the maxima lead the way back; sizes that the pooling does not divide
    "segnet": """
    input image: [3, 22, 13]
    conv(4, 3, pad = 1); batchnorm -> relu
    pool1: maxpool(2, indices = true, ceil = true)
    middle: conv(6, 3, pad = 1) -> relu
    pool2: maxpool(3, stride = 2, pad = 1, indices = true)
    deep: conv(6, 3, pad = 1) -> relu
    up2: unpool(3, stride = 2, pad = 1, indices = @pool2.indices, like = @middle)
    conv(4, 3, pad = 1) -> relu
    up1: unpool(2, indices = @pool1.indices, like = @image)
    output mask: conv(2, 3, pad = 1)""",
    # Long et al., 2015: scores of two depths, each as large as the other after cropping
    "fcn": """
    input image: [3, 20, 20]
    conv(4, 3, pad = 9) -> relu
    pool3: maxpool(2)
    pool4: conv(6, 3, pad = 1) -> relu -> maxpool(2)
    score: conv(3, 1)
    up: deconv(3, 4, stride = 2, bias = false, init = bilinear)
    side: conv(3, 1) from @pool3
    fuse: add { crop(@up, like = @side); @side }
    final: deconv(3, 8, stride = 2, groups = 3, bias = false, init = bilinear, trainable = false)
    output mask: crop(like = @image, offset = [9, 9])""",
    "unet": """
    input image: [1, 28, 28]
    down: conv(4, 3) -> relu -> conv(4, 3) -> relu
    maxpool(2) -> conv(8, 3) -> relu
    up: deconv(4, 2, stride = 2)
    concat { crop(@down, like = @up); @up }
    output mask: conv(2, 3) -> relu -> conv(2, 1)""",
    # Zhao et al., 2017: means of several regions, as large as the map again
    "pyramid": """
    input image: [3, 25, 19]
    features: conv(6, 3, stride = 2) -> relu
    concat {
        skip
        for size in [1, 2, 3] { { adaptive_avgpool(size) -> conv(2, 1) -> resize(like = @features, mode = bilinear) } }
    }
    output mask: dropout2d(0.1) -> conv(4, 1) -> resize([25, 19], mode = bilinear, align_corners = true)""",
    "passthrough": """
    input image: [3, 24, 16]
    fine: conv(4, 3, pad = 1) -> leaky_relu(0.1)
    coarse: maxpool(2) -> conv(8, 3, pad = 1) -> leaky_relu(0.1)
    output cells: concat { { space_to_depth(2) from @fine }; @coarse } -> conv(5, 1)""",
    "super_resolution": """
    input image: [3, 9, 7]
    conv(12, 3, pad = 1) -> prelu
    grown: conv(16, 3, pad = 1) -> pixel_shuffle(2) -> drop_path(0.2)
    output picture: add { conv(3, 3, pad = 1); resize(@image, scale = 2, mode = bicubic) }""",
    # Taigman et al., 2014, and the locally shared layer of Sun et al., 2014
    "faces": """
    input image: [1, 15, 14]
    conv(4, 3) -> relu -> maxpool(2)
    local_conv(4, 2, share = 2) -> relu
    local_conv(5, 3, pad = 1) -> relu
    output identity: flatten -> linear(7)""",
    # Ren et al., 2015: proposals of a network that are regions of the next
    "proposals": """
    input image: [3, 32, 48]
    features: conv(6, 3, stride = 4, pad = 1) -> relu -> conv(6, 3, pad = 1) -> relu
    anchors: anchors([8, 16, 12], [16, 8, 12], stride = 4)
    scores: conv(3, 1) -> transpose([2, 3, 1]) -> reshape([-1]) from @features
    deltas: conv(12, 1) -> transpose([2, 3, 1]) -> reshape([-1, 4]) from @features
    boxes: box_decode(@deltas, anchors = @anchors, scales = [10, 10, 5, 5])
    best: nms(@boxes, @scores, iou = 0.5, score = -9, max = 6)
    rois: take(@boxes, @best)
    regions: roi_align(@features, @rois, [3, 4], scale = 1 / 4)
    output classes: reshape([6, -1]) -> linear(5) -> relu -> linear(4) from @regions
    output masks: transpose([2, 1, 3, 4]) -> conv(4, [1, 3, 3], pad = [0, 1, 1]) -> relu
        -> deconv(2, [1, 2, 2], stride = [1, 2, 2]) -> transpose([2, 1, 3, 4]) from @regions""",
    "fast_rcnn": """
    input image: [3, 24, 20]
    input boxes: [7, 4]
    conv(5, 3, stride = 2, pad = 1) -> relu from @image
    roi_pool(@boxes, [3, 2], scale = 2)
    output scores: reshape([7, 30]) -> linear(4)""",
    # a class each, and most places of the table unused
    "suppression": """
    input boxes: [9, 4]
    input scores: [3, 9]
    output kept: nms(@boxes, @scores, iou = 0.1, score = 0.5, max = 8)
    first: slice(0, 1) -> reshape([8]) from @kept
    output best: take(@boxes, @first)""",
    # the number of boxes that are kept, and of regions, is each layer's own
    "suppressions": """
    input image: [3, 16, 16]
    input boxes: [60, 4]
    input scores: [60]
    a: nms(@boxes, @scores, iou = 0.1, score = -9, max = 40) -> take(@boxes, in)
    b: nms(@boxes, @scores, iou = 0.3, score = 0.5, max = 3) -> take(@boxes, in)
    c: nms(@boxes, @scores, iou = 0.5, score = 0, max = 20) -> take(@boxes, in)
    concat {
        roi_align(@image, @a, 2) -> relu; roi_pool(@image, @a, 2) -> relu
        roi_align(@image, @b, 2) -> relu; roi_pool(@image, @b, 2) -> relu
        roi_align(@image, @c, 2) -> relu; roi_pool(@image, @c, 2) -> relu
    }""",
}


def network(name: str) -> archdsl.Network:
    return compiled(f"network {name} {{{NETWORKS[name]}\n}}")


@pytest.mark.parametrize("name", NETWORKS)
def test_both_forms_agree_at_every_batch(name: str) -> None:
    net = network(name)
    assert verify(net.checked, ordinary_weights(net), batches=(1, 2, 5), tolerance=1e-4).first_divergence is None


def test_suppression_has_something_to_suppress() -> None:
    net = network("suppression")
    (found,) = run_onnx(net.checked, {}, [draw_inputs(net.checked, 5, 0)], opset=17)
    kept = found["kept"]
    assert kept.shape == (5, 3, 8)
    assert (kept >= 0).any()
    assert (kept[..., -1] == -1).all()
    assert (found["best"][kept[:, 0] == -1] == 0).all()


def test_a_bilinear_kernel_interpolates() -> None:
    """As PyTorch's own interpolation does away from the edges, where a transposed convolution fades out."""
    net = compiled("network n { input x: [3, 6, 5]; deconv(3, 4, stride = 2, pad = 1, bias = false, init = bilinear) }")
    x = torch.rand(2, 3, 6, 5)
    expected = F.interpolate(x, scale_factor=2, mode="bilinear")[:, :, 1:-1, 1:-1]
    for made in (module(net.checked), execute(net.torch_source()).N()):
        torch.testing.assert_close(made(x)[:, :, 1:-1, 1:-1], expected)


@pytest.mark.parametrize(("kernel", "groups", "out"), [(4, 1, 3), (3, 3, 3), (5, 1, 2), (2, 1, 6)])
def test_the_file_alone_draws_the_same_bilinear_kernel(kernel: int, groups: int, out: int) -> None:
    net = compiled(
        f"network n {{ input x: [3, 6, 5]; up: deconv({out}, {kernel}, groups = {groups}, init = bilinear) }}"
    )
    alone = execute(net.torch_source()).N()
    np.testing.assert_allclose(alone.up.weight.detach(), initialize(net.checked)["up.weight"], rtol=1e-6)


def test_frozen_weights_stay() -> None:
    net = compiled("network n { input x: [3, 6, 5]; up: deconv(2, 4, trainable = false); conv(2, 1) }")
    for made in (module(net.checked), execute(net.torch_source()).N()):
        trained = [name for name, value in made.named_parameters() if value.requires_grad]
        assert len(trained) == 2
        assert not any(name.startswith("up") for name in trained)


def test_local_weights_are_scaled_by_the_kernel_of_a_region() -> None:
    """`torch.nn.init` would read the fans off the numbers of regions."""
    net = compiled("network n { input x: [8, 30, 30]; l: local_conv(9, 3, init = he_normal, bias_init = zeros) }")
    for weight in (initialize(net.checked)["l.weight"], execute(net.torch_source()).N().l.weight.detach().numpy()):
        assert weight.std() == pytest.approx((2 / (8 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize(("op", "zeroed"), [("dropout2d(0.25)", (2, 3)), ("drop_path(0.25)", (1, 2, 3))])
def test_whole_channels_or_samples_are_dropped_in_train_mode_alone(op: str, zeroed: tuple[int, ...]) -> None:
    net = module(compiled(f"network n {{ input x: [50, 2, 2]; {op} -> scale(1) }}").checked)
    x = torch.ones(40 if op.startswith("dropout") else 2000, 50, 2, 2)
    torch.manual_seed(0)
    result = net.train()(x)
    assert result.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(result.amin(zeroed), result.amax(zeroed))
    assert 0.2 < float((result == 0).float().mean()) < 0.3
    assert torch.equal(net.eval()(x), x)


def test_labels_may_bear_the_names_of_helpers() -> None:
    text = "input x: [3, 8, 8]; cropped: conv(3, 3); roi_align: crop(4); suppressed: crop(@x, like = @roi_align)"
    net = compiled(f"network n {{ {text}; add {{ @roi_align; @suppressed }} }}")
    assert verify(net.checked, ordinary_weights(net), batches=(1,), tolerance=1e-5).first_divergence is None


@pytest.mark.parametrize("opset", [13, 22])
def test_what_onnxruntime_lacks_is_said(opset: int) -> None:
    text = "input x: [3, 8, 8]; input boxes: [5, 4]; roi_align(@x, @boxes, 3, aligned = true)"
    with pytest.raises(archdsl.ArchError, match=r"onnx-unsupported.*opset"):
        compiled(f"network n {{ {text} }}").onnx(opset=opset)
