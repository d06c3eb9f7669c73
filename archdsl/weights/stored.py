"""What a layer computes with where its weight is stored in another form, and how the stored form begins.

As `torch.nn.utils.parametrizations` computes it, in double precision, rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from archdsl.ops.convolution import Conv
from archdsl.ops.linear import Linear
from archdsl.ops.transposed import Deconv

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

Stored = Conv | Linear | Deconv
#: Steps of the power method by which singular vectors begin, and the least length that it divides by (PyTorch's).
STEPS, LEAST = 15, 1e-12


def is_plain(op: object) -> bool:
    """Whether the layer's `weight` is what it computes with."""
    return not isinstance(op, Stored) or (op.norm == "none" and not (isinstance(op, Conv) and op.table))


def plain_weight(op: Stored, channels: int, read: Callable[[str], np.ndarray]) -> np.ndarray:
    """The weight that the layer computes with, float32; `read` gives what is stored, by the weights' names.

    `channels` are those that come in, which a connection table does not tell.
    """
    if isinstance(op, Conv) and op.table:
        return _connected(op, channels, read("weight"))
    if op.norm == "weight":
        direction = read("parametrizations.weight.original1").astype("float64")
        return _single(direction * (read("parametrizations.weight.original0") / lengths(direction)))
    weight = read("parametrizations.weight.original").astype("float64")
    left, right = (read(f"parametrizations.weight.0.{name}").astype("float64") for name in ("_u", "_v"))
    return _single(weight / (left @ matrix(weight, op.rows) @ right))


def _single(numbers: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(numbers, dtype=np.float32)


def _connected(op: Conv, channels: int, stored: np.ndarray) -> np.ndarray:
    """`[out, channels, *kernel]`, zeros where nothing is connected."""
    import numpy as np

    full = np.zeros((op.out, channels, *stored.shape[1:]), "float32")
    rows = np.repeat(np.arange(op.out), [len(row) for row in op.table])
    full[rows, [channel for row in op.table for channel in row]] = stored
    return full


def lengths(direction: np.ndarray) -> np.ndarray:
    """Euclidean length of what each index of the first axis holds, `[n, 1, ...]`."""
    import numpy as np

    return np.asarray(np.sqrt((direction**2).sum(axis=tuple(range(1, direction.ndim)), keepdims=True)))


def matrix(weight: np.ndarray, rows: int) -> np.ndarray:
    """The weight with the axis `rows` in front and all others as one."""
    import numpy as np

    moved = np.moveaxis(weight, rows, 0)
    return moved.reshape(moved.shape[0], -1)


def singular_vectors(weight: np.ndarray, rows: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Left and right singular vectors to the largest singular value, nearly: the power method from random ones on."""
    found = matrix(weight.astype("float64"), rows)
    left, right = found[:, 0], _unit(generator.standard_normal(found.shape[1:]))
    for _ in range(STEPS):
        left = _unit(found @ right)
        right = _unit(found.T @ left)
    return left, right


def _unit(vector: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(vector / max(float(np.linalg.norm(vector)), LEAST))


Begin = Callable[["np.ndarray", int, "Generator"], "np.ndarray"]

#: How what is stored besides a weight begins, by the scheme that `archdsl.ops.stored` gives it: from the weight itself.
BEGINNINGS: Mapping[str, Begin] = {
    "norm": lambda weight, rows, generator: lengths(weight.astype("float64")),
    "left_singular": lambda weight, rows, generator: singular_vectors(weight, rows, generator)[0],
    "right_singular": lambda weight, rows, generator: singular_vectors(weight, rows, generator)[1],
}
