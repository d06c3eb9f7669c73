"""Pooling against torch's modules: sizes, ceil mode, limits of padding, shares of adaptive pools."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ops_authority import (
    PROPERTY,
    call,
    counts,
    images,
    in_torch,
    inferred,
    layer,
    pairs_of,
    refusal,
    sizes,
    typed,
)
from torch.nn import functional

from archdsl.ops.base import GLOBAL, TensorType, Window
from archdsl.ops.geometry import resolve

SLIDING = {"maxpool": "MaxPool", "avgpool": "AvgPool", "lppool": "LPPool"}
ADAPTIVE = {"adaptive_avgpool": "AdaptiveAvgPool", "adaptive_maxpool": "AdaptiveMaxPool"}


@st.composite
def pools(draw: st.DrawFn) -> tuple[str, TensorType, dict[str, object]]:
    name, value = draw(st.sampled_from(list(SLIDING))), draw(images())
    rank = len(value.spatial)
    kernel = draw(sizes(rank, 1, 6))
    given: dict[str, object] = {"kernel": kernel, "ceil": draw(st.booleans())}
    if draw(st.booleans()):
        given["stride"] = draw(sizes(rank, 1, 7))
    if name != "lppool":
        half = (kernel if isinstance(kernel, int) else min(kernel)) // 2
        given["pad"] = draw(sizes(rank, 0, half) | sizes(rank, 0, 3))
    if name == "maxpool":
        given["dilation"] = draw(sizes(rank, 1, 3))
    return name, value, given


def torch_pool(name: str, value: TensorType, given: dict[str, object]) -> torch.nn.Module:
    torchs = {"kernel": "kernel_size", "pad": "padding", "ceil": "ceil_mode"}
    keywords = {torchs.get(key, key): number for key, number in given.items()}
    if name == "lppool":
        keywords["norm_type"] = 2
    if name == "lppool" and len(value.spatial) == 1:  # `LPPool1d` takes plain numbers alone
        keywords = {key: number[0] if isinstance(number, tuple) else number for key, number in keywords.items()}
    return layer(SLIDING[name], value, **keywords)


@PROPERTY
@given(pools())
def test_pools_agree_with_torch_on_shapes_and_refusals(case: tuple[str, TensorType, dict[str, object]]) -> None:
    """Too large kernels, windows past the end and too much padding included."""
    name, value, given = case
    assert inferred(call(name, **given), value) == in_torch(torch_pool(name, value, given), value)


@pytest.mark.parametrize("name", list(SLIDING))
def test_every_small_ceil_pool_is_torchs(name: str) -> None:
    """Where a last window would start in the padding, it is dropped: all sizes to 9 by kernels to 4, strides to 5."""
    disagreeing = []
    for size, kernel, stride in itertools.product(range(1, 10), range(1, 5), range(1, 6)):
        for pad in range(kernel // 2 + 1) if name != "lppool" else (0,):
            given = {"kernel": kernel, "stride": stride, "ceil": True} | ({"pad": pad} if pad else {})
            if inferred(call(name, **given), typed(1, size)) != in_torch(
                torch_pool(name, typed(1, size), given), typed(1, size)
            ):
                disagreeing.append((size, given))
    assert disagreeing == []


@PROPERTY
@given(pools())
def test_ceil_is_the_end_padding_that_geometry_says(case: tuple[str, TensorType, dict[str, object]]) -> None:
    """Lowering to floor with explicit padding gives the same size, so that no runtime's ceil mode is needed."""
    name, value, given = case
    op = call(name, **given)
    if inferred(op, value) is None:
        return
    geometry = op.geometry((value,))
    pad = [begin for begin, _ in geometry.padding] + [
        end + extra for (_, end), extra in zip(geometry.padding, geometry.ceil_extra, strict=True)
    ]
    floored = resolve(value, geometry.kernel, geometry.stride, tuple(pad), geometry.dilation, ceil=False)
    assert floored.output == geometry.output


@PROPERTY
@given(pools())
def test_arithmetic_is_a_true_sum(case: tuple[str, TensorType, dict[str, object]]) -> None:
    name, value, given = case
    op = call(name, **given)
    shapes = inferred(op, value)
    if shapes is None:
        return
    for text, size in zip(op.arithmetic((value,)), shapes[0][1:], strict=True):
        left, right = text.split(" = ")
        sum_of = eval(left, {"floor": math.floor, "ceil": math.ceil})  # noqa: S307 - our own text of numbers
        assert sum_of == int(right) == size


@PROPERTY
@given(images(), st.data(), st.sampled_from(["maxpool", "avgpool"]))
def test_asymmetric_padding_is_padding_before_the_pool(value: TensorType, data: st.DataObject, name: str) -> None:
    """But for means over volumes, where torch's limit on the kernel is ours whichever way the padding is written."""
    rank = len(value.spatial)
    kernel, stride = data.draw(st.integers(1, 6)), data.draw(sizes(rank, 1, 4))
    pad = tuple(data.draw(st.integers(0, kernel // 2)) for _ in range(2 * rank))
    if rank == 3 and name == "avgpool" and kernel > min(value.spatial):
        assert refusal(call(name, kernel=kernel, stride=stride, pad=pad), value).code == "kernel-too-large"
        return
    wider = typed(value.shape[0], *(n + a + b for n, (a, b) in zip(value.spatial, pairs_of(pad, rank), strict=True)))
    expected = in_torch(torch_pool(name, wider, {"kernel": kernel, "stride": stride}), wider)
    assert inferred(call(name, kernel=kernel, stride=stride, pad=pad), value) == expected


@PROPERTY
@given(images(), st.data(), st.sampled_from(["maxpool", "avgpool"]))
def test_same_tf_gives_the_input_over_the_stride_rounded_up(value: TensorType, data: st.DataObject, name: str) -> None:
    """TensorFlow's documented rule; kernels over volumes are kept within torch's limit on means."""
    rank = len(value.spatial)
    kernel = data.draw(sizes(rank, 1, 6 if rank < 3 else min(6, *value.spatial)))
    stride = data.draw(st.integers(1, 5))
    expected = (value.shape[0], *(-(-size // stride) for size in value.spatial))
    assert inferred(call(name, kernel=kernel, stride=stride, pad="same_tf"), value) == [expected]


@PROPERTY
@given(images(), st.data(), st.sampled_from(list(ADAPTIVE)))
def test_adaptive_pools_are_torchs(value: TensorType, data: st.DataObject, name: str) -> None:
    out = data.draw(sizes(len(value.spatial), 1, 16))
    assert inferred(call(name, out=out), value) == in_torch(layer(ADAPTIVE[name], value, out), value)


@PROPERTY
@given(st.integers(1, 24), st.integers(2, 24))
def test_adaptive_kernel_is_the_widest_share(size: int, out: int) -> None:
    """Found by which inputs torch's result depends on."""
    x = torch.rand(1, 1, size, requires_grad=True)
    shares = [
        int(torch.autograd.grad(element, x, retain_graph=True)[0].count_nonzero())
        for element in functional.adaptive_avg_pool1d(x, out).flatten()
    ]
    window = call("adaptive_avgpool", out=out).window((typed(1, size),))
    assert isinstance(window, Window)
    assert window.kernel == (max(shares),)
    assert window.stride[0] * out == size


@pytest.mark.parametrize(("size", "floored", "ceiled"), [(112, 55, 56), (56, 27, 28), (28, 13, 14), (14, 6, 7)])
def test_googlenets_pools(size: int, floored: int, ceiled: int) -> None:
    """Caffe rounds up: 112 -> 56 -> 28 -> 14 -> 7 as Table 1 of the paper has it (Szegedy et al., 2015)."""
    assert inferred(call("maxpool", kernel=3, stride=2, ceil=True), typed(8, size, size)) == [(8, ceiled, ceiled)]
    assert inferred(call("maxpool", kernel=3, stride=2), typed(8, size, size)) == [(8, floored, floored)]


@pytest.mark.parametrize("name", list(SLIDING))
def test_global_pools_every_axis_to_one(name: str) -> None:
    op, value = call(name, kernel="global"), typed(7, 3, 4, 5)
    assert inferred(op, value) == [(7, 1, 1, 1)]
    assert op.window((value,)) is GLOBAL
    assert op.arithmetic((value,)) == ("all 3 into 1", "all 4 into 1", "all 5 into 1")
    assert counts(op, value) == (0, 7 * 3 * 4 * 5)


@pytest.mark.parametrize(
    ("name", "given", "operations"),
    [
        ("maxpool", {"kernel": 3, "stride": 2, "pad": 1}, 9 * 4 * 7 * 7),
        ("avgpool", {"kernel": (2, 3), "ceil": True}, 6 * 4 * 7 * 5),
        ("lppool", {"kernel": 2}, 4 * 4 * 7 * 7),
        ("adaptive_avgpool", {"out": 6}, 4 * 14 * 14),
        ("adaptive_maxpool", {"out": 1}, 4 * 14 * 14),
    ],
)
def test_operations_are_window_elements(name: str, given: dict[str, object], operations: int) -> None:
    assert counts(call(name, **given), typed(4, 14, 14)) == (0, operations)


def test_adaptive_to_one_is_global() -> None:
    value = typed(512, 7, 7)
    assert call("adaptive_avgpool", out=1).window((value,)) is GLOBAL
    assert call("adaptive_maxpool", out=(1, 7)).window((value,)) == Window((7, 1), (7, 1), (1, 1), ((0, 0), (0, 0)))
    assert call("adaptive_avgpool", out=6).arithmetic((value,)) == ("all 7 into 6", "all 7 into 6")


def test_too_much_padding() -> None:
    error = refusal(call("maxpool", kernel=(5, 3), stride=2, pad=2), typed(64, 28, 28))
    assert (error.code, error.argument, error.label) == ("pool-padding", "pad", "2 > 3 // 2 = 1")
    assert error.message == "a padding of 2 is more than half of the pooling kernel of 3"
    assert error.replacements == ("[2, 1]",)
    assert error.help == "pooling allows `pad = [2, 1]` at most; `pad(...)` as a layer of its own has no such limit"


def test_means_over_volumes_need_a_kernel_that_fits() -> None:
    error = refusal(call("avgpool", kernel=4, pad=2), typed(1, 2, 8, 8))
    assert (error.code, error.argument, error.replacements) == ("kernel-too-large", "kernel", ("2",))
    assert error.message == (
        "`avgpool` over volumes needs a kernel that fits without padding, but 4 is above 2 of [N, 1, 2, 8, 8]"
    )


def test_same_of_a_dilated_pool_says_what_it_resolves_to() -> None:
    error = refusal(call("maxpool", kernel=3, stride=1, pad="same", dilation=2), typed(1, 9))
    assert (error.code, error.replacements) == ("pool-padding", ("1",))
    assert error.notes == ("`pad = same` resolves to [(2, 2)]",)


def test_bare_same_means_two_things_where_the_stride_is_the_kernel() -> None:
    assert refusal(call("avgpool", kernel=2, pad="same"), typed(3, 7, 7)).code == "ambiguous-same"


@pytest.mark.parametrize(
    ("name", "argument", "number"),
    [
        ("maxpool", "stride", 2),
        ("maxpool", "pad", 1),
        ("maxpool", "dilation", 2),
        ("avgpool", "ceil", True),
        ("lppool", "stride", 1),
    ],
)
def test_global_takes_no_geometry(name: str, argument: str, number: int) -> None:
    error = refusal(call(name, kernel="global", **{argument: number}), typed(3, 8, 8))
    assert (error.code, error.argument) == ("argument-value", argument)
    assert error.message == f"`{argument}` means nothing where the kernel is `global`"
    assert error.help == f"write `{name}(global)` alone, or give the kernel a size"


@pytest.mark.parametrize("p", [0, -1.5])
def test_the_exponent_is_positive(p: float) -> None:
    """Stricter than torch, which divides by zero or takes roots of reciprocals."""
    error = refusal(call("lppool", kernel=2, p=p), typed(3, 8, 8))
    assert (error.argument, error.message) == ("p", f"the exponent `p` must be above 0, not {p}")


@pytest.mark.parametrize("name", [*SLIDING, *ADAPTIVE])
def test_a_vector_is_not_pooled(name: str) -> None:
    error = refusal(call(name, **{"out" if name in ADAPTIVE else "kernel": 1}), typed(100))
    assert error.code == "rank-mismatch"
    assert error.message == f"`{name}` needs channels and one to three spatial axes, but its input is [N, 100]"


def test_adaptive_sizes_are_one_for_each_axis() -> None:
    error = refusal(call("adaptive_avgpool", out=(6, 6, 6)), typed(3, 8, 8))
    assert (error.code, error.argument) == ("argument-length", "out")
