"""Weights that are made when they are read, one at a time, so that a network larger than memory can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Make = Callable[[], "np.ndarray"]


class Lazy(Mapping[str, "np.ndarray"]):
    """Arrays by `state_dict` key; each is made anew whenever it is read, and kept by nobody here.

    A maker gives equal arrays each time. `{**lazy}` and `dict(lazy)` make them all.
    """

    def __init__(self, makers: Mapping[str, Make]) -> None:
        self.makers = dict(makers)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.makers[key]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __contains__(self, key: object) -> bool:
        return key in self.makers  # the default of `Mapping` would make the array

    def __len__(self) -> int:
        return len(self.makers)


def makers(weights: Mapping[str, np.ndarray]) -> dict[str, Make]:
    """How to make each array: what a pass starts from to replace some of them."""
    if isinstance(weights, Lazy):
        return dict(weights.makers)
    return {key: lambda key=key: weights[key] for key in weights}  # type: ignore[misc]
