"""What each layer means: shapes, weights, counts and windows, a file per family.

`OPS` is the full table only here; `archdsl.ops.base` alone knows no op.
"""

from archdsl.ops import (
    activation,
    arithmetic,
    attention,
    channels,
    convolution,
    embedding,
    linear,
    local,
    merge,
    normalization,
    pooling,
    rearranging,
    recurrence,
    recurrent,
    reduction,
    regions,
    resampling,
    shaping,
    stochastic,
    transposed,
)
from archdsl.ops.base import OPS

__all__ = [
    "OPS",
    "activation",
    "arithmetic",
    "attention",
    "channels",
    "convolution",
    "embedding",
    "linear",
    "local",
    "merge",
    "normalization",
    "pooling",
    "rearranging",
    "recurrence",
    "recurrent",
    "reduction",
    "regions",
    "resampling",
    "shaping",
    "stochastic",
    "transposed",
]
