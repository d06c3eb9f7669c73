"""Parameters and multiply-accumulates of the papers' tables by plain arithmetic: no graph, no ops."""

from __future__ import annotations

from dataclasses import dataclass

BASIC, BOTTLENECK = 1, 4
UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@dataclass
class Count:
    """Running totals; every method returns the channels that it leaves."""

    params: int = 0
    macs: int = 0

    @property
    def totals(self) -> tuple[int, int]:
        return self.params, self.macs

    def conv(self, channels: int, out: int, area: int, grid: int, groups: int = 1) -> int:
        """A convolution without biases whose kernel covers `area` cells, on an output of `grid` x `grid`."""
        self.params += out * channels // groups * area
        self.macs += out * channels // groups * area * grid**2
        return out

    def norm(self, channels: int) -> int:
        self.params += 2 * channels
        return channels

    def conv_norm(self, channels: int, out: int, area: int, grid: int, groups: int = 1) -> int:
        return self.norm(self.conv(channels, out, area, grid, groups))

    def chain(self, channels: int, grid: int, *layers: tuple[int, int]) -> int:
        """Normalized convolutions in a row, each (output channels, kernel area)."""
        for out, area in layers:
            channels = self.conv_norm(channels, out, area, grid)
        return channels

    def linear(self, channels: int, out: int) -> int:
        self.params += channels * out + out
        self.macs += channels * out
        return out


def resnet(depth: int, kind: str) -> tuple[int, int]:
    """Table 1 of He et al. with shortcuts of this kind and the stride in the first layer of a unit."""
    count = Count()
    channels = count.conv_norm(3, 64, 49, 112)
    expansion = BOTTLENECK if depth >= 50 else BASIC
    for stage, units in enumerate(UNITS[depth]):
        width, grid = 64 * 2**stage, 56 // 2**stage
        out = width * expansion
        for _ in range(units):
            if expansion == BASIC:
                count.chain(channels, grid, (width, 9), (width, 9))
            else:
                count.chain(channels, grid, (width, 1), (width, 9), (out, 1))
            if kind == "C" or (kind == "B" and channels != out):
                count.conv_norm(channels, out, 1, grid)
            channels = out
    count.linear(channels, 1000)
    return count.totals


def resnet_cifar(depth: int) -> tuple[int, int]:
    """Section 4.2 of He et al.; the shortcuts have no weights, so the plain networks have as many."""
    count = Count()
    channels = count.conv_norm(3, 16, 9, 32)
    for stage, width in enumerate((16, 32, 64)):
        for _ in range((depth - 2) // 6):
            channels = count.chain(channels, 32 // 2**stage, (width, 9), (width, 9))
    count.linear(channels, 10)
    return count.totals


def resnext(depth: int, cardinality: int, width: int) -> tuple[int, int]:
    """Table 1 of Xie et al.: the 3x3 strides, so the first 1x1 of a stage runs on the larger grid."""
    count = Count()
    channels = count.conv_norm(3, 64, 49, 112)
    for stage, units in enumerate(UNITS[depth]):
        inner, out, grid = cardinality * width * 2**stage, 256 * 2**stage, 56 // 2**stage
        for unit in range(units):
            count.conv_norm(channels, inner, 1, 2 * grid if stage and not unit else grid)
            count.conv_norm(inner, inner, 9, grid, cardinality)
            count.conv_norm(inner, out, 1, grid)
            if channels != out:
                count.conv_norm(channels, out, 1, grid)
            channels = out
    count.linear(channels, 1000)
    return count.totals


def densenet(
    blocks: tuple[int, ...], growth: int, stem: int, classes: int, *, bottleneck: bool, keep: float, grid: int
) -> tuple[int, int]:
    """Huang et al.; `grid` is that of the first block, 56 behind a 7x7 of stride 2 and a pool, 32 behind a 3x3."""
    count = Count()
    imagenet = grid == 56
    channels = count.conv(3, stem, 49 if imagenet else 9, 112 if imagenet else grid)
    if imagenet:
        count.norm(channels)
    for block, layers in enumerate(blocks):
        for _ in range(layers):
            width = count.norm(channels)
            if bottleneck:
                width = count.norm(count.conv(channels, 4 * growth, 1, grid))
            channels += count.conv(width, growth, 9, grid)
        if block < len(blocks) - 1:
            channels = count.conv(count.norm(channels), int(channels * keep), 1, grid)
            grid //= 2
    count.linear(count.norm(channels), classes)
    return count.totals


def inception_v4() -> tuple[int, int]:
    """Figures 3 to 9 of Szegedy et al., 2016."""
    count = Count()
    channels = _stem(count)
    for _ in range(4):
        outs = [((96, 1),), ((96, 1),), ((64, 1), (96, 9)), ((64, 1), (96, 9), (96, 9))]
        channels = sum(count.chain(channels, 35, *layers) for layers in outs)
    channels = _reduction_a(count, channels, 192, 224, 256, 384)
    for _ in range(7):
        outs = [
            ((128, 1),), ((384, 1),), ((192, 1), (224, 7), (256, 7)),
            ((192, 1), (192, 7), (224, 7), (224, 7), (256, 7)),
        ]  # fmt: skip
        channels = sum(count.chain(channels, 17, *layers) for layers in outs)
    left = count.conv_norm(count.conv_norm(channels, 192, 1, 17), 192, 9, 8)
    right = count.conv_norm(count.chain(channels, 17, (256, 1), (256, 7), (320, 7)), 320, 9, 8)
    channels += left + right
    for _ in range(3):
        narrow = count.conv_norm(channels, 384, 1, 8)
        wide = count.chain(channels, 8, (384, 1), (448, 3), (512, 3))
        forks = sum(count.conv_norm(width, 256, 3, 8) for width in (narrow, narrow, wide, wide))
        channels = forks + count.conv_norm(channels, 256, 1, 8) + count.conv_norm(channels, 256, 1, 8)
    count.linear(channels, 1000)
    return count.totals


def inception_resnet_v1() -> tuple[int, int]:
    """Figures 10 to 15 of Szegedy et al., 2016; the layers before the sums have biases instead of a normalization."""
    count = Count()
    channels = count.conv_norm(3, 32, 9, 149)
    channels = count.chain(channels, 147, (32, 9), (64, 9))
    channels = count.conv_norm(count.conv_norm(channels, 80, 1, 73), 192, 9, 71)
    channels = count.conv_norm(channels, 256, 9, 35)
    for _ in range(5):
        _residual(count, channels, 35, ((32, 1),), ((32, 1), (32, 9)), ((32, 1), (32, 9), (32, 9)))
    channels = _reduction_a(count, channels, 192, 192, 256, 384)
    for _ in range(10):
        _residual(count, channels, 17, ((128, 1),), ((128, 1), (128, 7), (128, 7)))
    first = count.conv_norm(count.conv_norm(channels, 256, 1, 17), 384, 9, 8)
    second = count.conv_norm(count.conv_norm(channels, 256, 1, 17), 256, 9, 8)
    third = count.conv_norm(count.chain(channels, 17, (256, 1), (256, 9)), 256, 9, 8)
    channels += first + second + third
    for _ in range(5):
        _residual(count, channels, 8, ((192, 1),), ((192, 1), (192, 3), (192, 3)))
    count.linear(channels, 1000)
    return count.totals


def _stem(count: Count) -> int:
    """Figure 3."""
    channels = count.conv_norm(3, 32, 9, 149)
    channels = count.chain(channels, 147, (32, 9), (64, 9))
    channels += count.conv_norm(channels, 96, 9, 73)
    left = count.conv_norm(count.conv_norm(channels, 64, 1, 73), 96, 9, 71)
    right = count.conv_norm(count.chain(channels, 73, (64, 1), (64, 7), (64, 7)), 96, 9, 71)
    return left + right + count.conv_norm(left + right, 192, 9, 35)


def _reduction_a(count: Count, channels: int, k: int, l: int, m: int, n: int) -> int:  # noqa: E741 (the paper's names)
    single = count.conv_norm(channels, n, 9, 17)
    double = count.conv_norm(count.chain(channels, 35, (k, 1), (l, 9)), m, 9, 17)
    return channels + single + double


def _residual(count: Count, channels: int, grid: int, *branches: tuple[tuple[int, int], ...]) -> None:
    width = sum(count.chain(channels, grid, *layers) for layers in branches)
    count.conv(width, channels, 1, grid)
    count.params += channels
