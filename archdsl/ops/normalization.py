"""Normalization: by stored statistics (batch), over neighbouring channels (LRN), and over parts of the sample."""

from __future__ import annotations

from typing import ClassVar

from archdsl.ops.axes import across, need_channels
from archdsl.ops.base import ONES, ZEROS, Global, Op, ShapeError, TensorType, Weight, only, op, param
from archdsl.ops.convolution import need_image


@op("batchnorm")
class BatchNorm(Op):
    """`(x - mean) / sqrt(var + eps) * weight + bias` for each channel, as `torch.nn.BatchNorm1d`, `2d` and `3d`.

    On `[F]`, `[C, L]`, `[C, H, W]` or `[C, D, H, W]`. At inference `mean` and `var` are the running ones
    (Ioffe and Szegedy, 2015), so that each element depends on itself alone.
    """

    eps: float = param("number", 1e-5, doc="added to the variance")
    momentum: float = param("number", 0.1, doc="share of the new batch in the running statistics")
    affine: bool = param("flag", True, doc="learn a factor and an offset for each channel")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_channels(self.name, value)
        if len(value.shape) > 4:
            raise _too_many_axes(self.name, value)
        _check_eps(self.eps)
        if not 0 <= self.momentum <= 1:
            message = f"`momentum` is a share between 0 and 1, not {self.momentum}"
            raise ShapeError("argument-value", message, argument="momentum")
        return (value,)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        channels = only(inputs).shape[:1]
        return (
            *_affine(channels, self.affine),
            Weight("running_mean", channels, ZEROS, trainable=False),
            Weight("running_var", channels, ONES, trainable=False),
            Weight("num_batches_tracked", (), ZEROS, trainable=False, dtype="int64"),
        )

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return 2 * outputs[0].elements


@op("lrn")
class LRN(Op):
    """`x / (k + alpha / size * s)^beta`, where `s` sums the squares of `size` neighbouring channels.

    As `torch.nn.LocalResponseNorm` and ONNX `LRN` on `[C, ...]`: `alpha` is divided by `size`, which
    Krizhevsky et al. (2012) do not do. An even size has no middle channel and is refused.
    """

    size: int = param("count", 5, doc="channels in a neighbourhood, an odd number")
    alpha: float = param("number", 1e-4, doc="weight of the sum of squares, divided by `size`")
    beta: float = param("number", 0.75, doc="exponent")
    k: float = param("number", 1.0, doc="added to the sum")

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_image(self.name, value)
        if self.size % 2 == 0:
            raise _even_size(self.size)
        return (value,)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return (self.size + 4) * outputs[0].elements


@op("layernorm")
class LayerNorm(Op):
    """Zero mean and unit variance over the last `axes` axes together, as `torch.nn.LayerNorm` (Ba et al., 2016)."""

    axes: int = param("count", 1, doc="number of axes, from the last, that are normalized together")
    eps: float = param("number", 1e-5, doc="added to the variance")
    affine: bool = param("flag", True, doc="learn a factor and an offset for each normalized position")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        rank = len(value.shape)
        if self.axes > rank:
            raise ShapeError(
                "axis-range",
                f"`layernorm` over {self.axes} axes, but {value} has {rank} after the batch",
                argument="axes",
                help=f"`axes` counts from the last axis and is at most {rank} here",
                replacements=(str(rank),),
            )
        _check_eps(self.eps)
        return (value,)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return _affine(only(inputs).shape[-self.axes :], self.affine)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _sample_statistics(outputs[0], self.affine)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(len(only(inputs).shape) - 1)


@op("groupnorm")
class GroupNorm(Op):
    """Zero mean and unit variance over each group of channels and all of space, as `torch.nn.GroupNorm`.

    On `[C, ...]` (Wu and He, 2018); factor and offset belong to the channel.
    """

    groups: int = param("count", doc="number of channel groups")
    eps: float = param("number", 1e-5, doc="added to the variance")
    affine: bool = param("flag", True, doc="learn a factor and an offset for each channel")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_channels(self.name, value)
        channels = value.shape[0]
        if channels % self.groups:
            raise _uneven_groups(channels, self.groups)
        if value.elements == self.groups:
            message = f"each of the {self.groups} groups of {value} is a single element, which normalizes to 0"
            raise ShapeError("argument-value", message, argument="groups")
        _check_eps(self.eps)
        return (value,)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return _affine(only(inputs).shape[:1], self.affine)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _sample_statistics(outputs[0], self.affine)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(len(only(inputs).shape) - 1)


@op("instancenorm")
class InstanceNorm(Op):
    """Zero mean and unit variance over the space of each channel, as `torch.nn.InstanceNorm1d`, `2d` and `3d`.

    On `[C, ...]` (Ulyanov et al., 2016), without running statistics: inference uses the sample's own.
    """

    eps: float = param("number", 1e-5, doc="added to the variance")
    affine: bool = param("flag", False, doc="learn a factor and an offset for each channel")

    weighted: ClassVar[bool] = True

    def infer(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        value = only(inputs)
        need_image(self.name, value)
        if set(value.spatial) == {1}:
            raise ShapeError(
                "argument-value",
                f"`instancenorm` of {value} has one element for each channel, which normalizes to 0",
                help="normalize before the pooling or convolution that leaves a single position",
            )
        _check_eps(self.eps)
        return (value,)

    def weights(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        return _affine(only(inputs).shape[:1], self.affine)

    def elementwise_ops(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> int:
        return _sample_statistics(outputs[0], self.affine)

    def window(self, inputs: tuple[TensorType, ...]) -> Global | None:
        return across(len(only(inputs).shape) - 1)


def _affine(shape: tuple[int, ...], affine: bool) -> tuple[Weight, ...]:
    """Factor 1 and offset 0 to begin with, as in PyTorch."""
    if not affine:
        return ()
    return (Weight("weight", shape, ONES), Weight("bias", shape, ZEROS))


def _sample_statistics(output: TensorType, affine: bool) -> int:
    """Mean, difference, square, sum and scale: 5 for each element, 2 more where factor and offset follow."""
    return (7 if affine else 5) * output.elements


def _check_eps(eps: float) -> None:
    if eps >= 0:
        return
    raise ShapeError(
        "argument-value", f"`eps` is added to a variance and must not be below 0, but is {eps}", argument="eps"
    )


def _too_many_axes(name: str, value: TensorType) -> ShapeError:
    return ShapeError(
        "rank-mismatch",
        f"`{name}` needs channels and at most three spatial axes, but its input is {value}",
        help="merge axes with `reshape` first",
    )


def _even_size(size: int) -> ShapeError:
    return ShapeError(
        "lrn-even-size",
        f"`lrn` over {size} channels has no middle channel",
        argument="size",
        notes=("PyTorch and ONNX disagree on which side of an even neighbourhood is longer; onnxruntime refuses it",),
        help=f"use an odd size: {size - 1} or {size + 1}",
        replacements=(str(size + 1), str(size - 1)),
    )


def _uneven_groups(channels: int, groups: int) -> ShapeError:
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    return ShapeError(
        "groups-divide",
        f"{channels} channels cannot be split into {groups} equal groups",
        argument="groups",
        notes=(f"{channels} = {channels // groups} * {groups} + {channels % groups}",),
        help=f"`groups` must divide {channels}: {', '.join(map(str, divisors))}",
    )
