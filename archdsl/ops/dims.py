"""Sizes that are left open: integers that also know how they follow from symbols such as `H` and `W`.

A `Dim` is an `int`, its value at the nominal sizes, so that every rule of an op computes with it as with a number.
It carries a `Sum`, the expression in normal form.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from archdsl.ops import sums
from archdsl.ops.sums import Sum, Symbol

__all__ = [
    "Dim", "OpenSizeError", "Symbol", "apart", "dim", "factor", "names", "openness", "sizes_text", "symbolic",
    "with_value",
]  # fmt: skip


class OpenSizeError(ValueError):
    """A size that is left open where a plain number is needed, a root of it for example."""


class Dim(int):
    """A size that depends on symbols. As an integer it is the size at the nominal ones.

    Sums, products and floor divisions carry the expression, and become plain integers where it reduces to a number.
    `==` asks whether both are equal at every size, so a `Dim` never equals a plain integer and is never 0; `<` and its
    kin compare nominal sizes. `str` and `repr` are the expression, a format such as `,` gives the nominal size, and
    `int()` drops the expression, and as a `float` it raises `OpenSizeError`, since that would be lost unnoticed.
    """

    sum: Sum

    def __new__(cls, sum: Sum) -> Dim:
        self = super().__new__(cls, sums.value(sum, None))
        self.sum = sum
        return self

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """What it depends on, by name."""
        return tuple(sorted(sums.symbols_of(self.sum), key=lambda symbol: symbol.name))

    def at(self, sizes: Mapping[str, int]) -> int:
        """Its value where each symbol has the given size."""
        return sums.value(self.sum, sizes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Dim):
            return int(self) == int(other) and apart(self, other) is None
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = int.__hash__

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return sums.text_of(self.sum)

    __repr__ = __str__

    def __float__(self) -> float:
        raise OpenSizeError(f"a number in it, {self}, {openness(self)}")

    def __reduce__(self) -> tuple[type[Dim], tuple[Sum]]:
        return Dim, (self.sum,)

    def __deepcopy__(self, memo: object) -> Dim:
        return self

    def __add__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.plus(self.sum, it))

    def __sub__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.plus(self.sum, sums.times(it, sums.fixed(-1))))

    def __rsub__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.plus(it, sums.times(self.sum, sums.fixed(-1))))

    def __mul__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.times(self.sum, it))

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.divide(self.sum, it))

    def __rfloordiv__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.divide(it, self.sum))

    def __mod__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.remainder(self.sum, it))

    def __rmod__(self, other: Any) -> Any:
        return _of(other, lambda it: sums.remainder(it, self.sum))

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __pow__(self, other: Any, modulus: None = None) -> Any:  # type: ignore[override]
        if isinstance(other, Dim) or not isinstance(other, int) or other < 0:
            return int(self).__pow__(other)
        return math.prod([self] * other)

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Dim:
        return self

    __floor__ = __ceil__ = __trunc__ = __pos__

    def __round__(self, digits: object = None) -> Dim:
        return self

    def __abs__(self) -> Any:
        return self if int(self) >= 0 else -self


def dim(symbol: Symbol) -> Dim:
    """The size that a symbol stands for."""
    return Dim(Sum(((((symbol, 1),), symbol.step),)))


def symbolic(value: object) -> bool:
    """Whether a size, or one of a list of them, depends on a symbol."""
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(map(symbolic, value)))


def names(values: Iterable[object]) -> str:
    """`H`, or `H and W`: the symbols that these sizes depend on."""
    found = sorted({symbol.name for value in values for symbol in _symbols_in(value)})
    return " and ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def openness(size: object) -> str:
    """`depends on H`, behind `2 * H`; behind `H` itself, that would say nothing."""
    symbols = names([size])
    return "is open" if str(size) == symbols else f"depends on {symbols}"


def _symbols_in(value: object) -> Iterator[Symbol]:
    if isinstance(value, Dim):
        yield from value.symbols
    elif isinstance(value, tuple):
        yield from itertools.chain.from_iterable(map(_symbols_in, value))


def factor(size: object) -> str:
    """A size as part of a product: a compound one in brackets."""
    return sums.bracketed(str(size))


def with_value(size: int) -> str:
    """`18`, or for an open size what it is at the nominal one too: `H // 7 = 18`."""
    return f"{size} = {int(size)}" if isinstance(size, Dim) else str(size)


def sizes_text(sizes: Mapping[str, int]) -> str:
    """`H = 224, W = 224`."""
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def apart(left: Dim, right: Dim) -> dict[str, int] | None:
    """Sizes of the symbols at which two sizes differ; None where they are equal at all of them.

    Both are polynomials on each class of sizes that leave the same rests by all divisors. Sizes one after the other
    meet every class twice, all symbols in step and each one alone, which tells those of the first degree apart.
    """
    if left.sum == right.sum:
        return None
    symbols = sorted(sums.symbols_of(left.sum) | sums.symbols_of(right.sum), key=lambda symbol: symbol.name)
    period = min(math.lcm(*sums.divisors_of(left.sum), *sums.divisors_of(right.sum)), sums.LONGEST_PERIOD)
    for moving, count in itertools.product((symbols, *([symbol] for symbol in symbols)), range(2 * period + 2)):
        sizes = {symbol.name: symbol.nominal + symbol.step * count * (symbol in moving) for symbol in symbols}
        if left.at(sizes) != right.at(sizes):
            return sizes
    return None


def _of(other: object, combine: Callable[[Sum], Sum]) -> Any:
    """The result with the other operand as a plain integer or a `Dim`; floats are left to Python."""
    if not isinstance(other, int):
        return NotImplemented
    result = combine(other.sum if isinstance(other, Dim) else sums.fixed(int(other)))
    constant = result.constant
    return Dim(result) if constant is None else constant
