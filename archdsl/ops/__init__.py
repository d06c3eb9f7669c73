"""What each layer means: shapes, weights, counts and windows, a file per family.

`OPS` is the full table only here; `archdsl.ops.base` alone knows no op.
"""

from archdsl.ops import activation, channels, convolution, linear, merge, normalization, pooling, resampling, shaping
from archdsl.ops.base import OPS

__all__ = [
    "OPS",
    "activation",
    "channels",
    "convolution",
    "linear",
    "merge",
    "normalization",
    "pooling",
    "resampling",
    "shaping",
]
