"""ResNet-50, DenseNet-121 and BN-Inception against the originals that the onnx package ships."""

from __future__ import annotations

from light_originals import Convolution, originals, ours

import archdsl


def test_resnet50_with_the_stride_in_the_3x3_is_the_original() -> None:
    theirs = originals("resnet50")
    assert len(theirs) == 53
    assert ours(archdsl.load("resnet50_1x64d")) == theirs


def test_resnet50_of_the_paper_differs_from_the_original_in_where_three_stages_stride() -> None:
    theirs, own = originals("resnet50"), ours(archdsl.load("resnet50"))
    differing = [i for i, (left, right) in enumerate(zip(theirs, own, strict=True)) if left != right]
    # the first 1x1 and the 3x3 behind it, in the first units of conv3_x, conv4_x and conv5_x
    firsts = [1 + 10, 1 + 10 + 13, 1 + 10 + 13 + 19]
    assert differing == [i for first in firsts for i in (first, first + 1)]
    for first in firsts:
        assert [theirs[first].strides, theirs[first + 1].strides] == [(1, 1), (2, 2)]
        assert [own[first].strides, own[first + 1].strides] == [(2, 2), (1, 1)]
    assert [conv.weight for conv in own] == [conv.weight for conv in theirs]


def test_densenet121_is_the_original_whose_classifier_is_a_convolution() -> None:
    *theirs, classifier = originals("densenet121")
    net = archdsl.load("densenet121")
    assert ours(net) == theirs
    assert classifier == Convolution((1000, 1024, 1, 1), (1, 1), (0, 0, 0, 0))
    assert net.checked.layer("fc").weights[0].shape == classifier.weight[:2]


def test_batch_normalized_inception_as_released_is_the_original() -> None:
    theirs = originals("inception_v2")  # that file's name for it
    assert len(theirs) == 69
    assert ours(archdsl.load("inception_bn_released")) == theirs


def test_batch_normalized_inception_of_the_paper_differs_in_its_first_layer_and_in_two_projections() -> None:
    theirs, own = originals("inception_v2"), ours(archdsl.load("inception_bn"))
    first, second, *rest = own
    assert theirs[0] == Convolution((64, 3, 7, 7), (2, 2), (3, 3, 3, 3))
    # separable with multiplier 8: 3 * 8 maps, mixed by a 1x1
    assert first == Convolution((24, 1, 7, 7), (2, 2), (3, 3, 3, 3))
    assert second == Convolution((64, 24, 1, 1), (1, 1), (0, 0, 0, 0))
    differing = [(a.weight, b.weight) for a, b in zip(theirs[1:], rest, strict=True) if a != b]
    projections = [((96, 576, 1, 1), (128, 576, 1, 1)), ((96, 576, 1, 1), (128, 608, 1, 1))]
    readers = [((out, 576, 1, 1), (out, 608, 1, 1)) for out in (96, 128, 160)]  # what 4c, wider by 32, does to 4d
    after = [((128, 576, 1, 1), (128, 608, 1, 1)), ((192, 576, 1, 1), (192, 608, 1, 1))]  # 4d to 4e
    fifth = [((out, 1024, 1, 1), (out, 1056, 1, 1)) for out in (352, 192, 160, 128)]  # 4e, passing 4d on, to 5a
    assert differing == [projections[0], *readers, projections[1], *after, *fifth]
