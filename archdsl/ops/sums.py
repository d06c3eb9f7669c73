"""Sums of products of symbols and floor divisions with whole coefficients, in one normal form.

That is how a size of a tensor follows from the sizes that an input leaves open (`archdsl.ops.dims`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Union

#: Sizes in a row at which two sums are compared at most.
LONGEST_PERIOD = 256


@dataclass(frozen=True, slots=True)
class Symbol:
    """An open size: a multiple of `step` from `low` to `high`; reports count at `nominal`."""

    name: str
    nominal: int
    low: int
    high: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Floor:
    """`numerator // divisor`, where that is no `Sum` itself."""

    numerator: Sum
    divisor: Sum


#: A symbol stands for its size divided by its step, which is any whole number.
Atom = Union[Symbol, Floor]
#: Atoms with their powers, in the order of their texts; empty for a constant.
Product = tuple[tuple[Atom, int], ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Products and their coefficients, none of them 0: higher degrees first, then by their texts, a constant last."""

    terms: tuple[tuple[Product, int], ...]

    @property
    def constant(self) -> int | None:
        """The number that it is at every size; None if there is no such."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None


# Arithmetic of sums ---------------------------------------------------------------------------------------------------


def fixed(value: int) -> Sum:
    """A number as a sum."""
    return Sum((((), value),)) if value else Sum(())


def _collected(terms: Iterable[tuple[Product, int]]) -> Sum:
    found: dict[Product, int] = {}
    for product, coefficient in terms:
        found[product] = found.get(product, 0) + coefficient
    kept = [(product, coefficient) for product, coefficient in found.items() if coefficient]
    return Sum(tuple(sorted(kept, key=lambda term: (-sum(power for _, power in term[0]), _product_text(1, term[0])))))


def plus(left: Sum, right: Sum) -> Sum:
    """`left + right`."""
    return _collected((*left.terms, *right.terms))


def times(left: Sum, right: Sum) -> Sum:
    """`left * right`."""
    return _collected((_joined(p, q), c * d) for p, c in left.terms for q, d in right.terms)


def _joined(left: Product, right: Product) -> Product:
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: _atom_text(item[0])))


def remainder(left: Sum, right: Sum) -> Sum:
    """`left % right`; raises ZeroDivisionError."""
    return plus(left, times(fixed(-1), times(right, divide(left, right))))


def divide(left: Sum, right: Sum) -> Sum:
    """`left // right`; raises ZeroDivisionError."""
    divisor = right.constant
    if divisor == 0:
        raise ZeroDivisionError("integer division or modulo by zero")
    if divisor is None:
        return _by_sum(left, right)
    if divisor < 0:
        left, divisor = times(left, fixed(-1)), -divisor
    return _by_number(left, divisor)


def _by_number(left: Sum, divisor: int) -> Sum:
    """Whole multiples are taken out, and what is left of a leading minus turned: -(-H // 2) is (H + 1) // 2."""
    whole = _collected((product, coefficient // divisor) for product, coefficient in left.terms)
    rest = plus(left, times(whole, fixed(-divisor)))
    if not rest.terms or rest.constant is not None:
        return whole
    if left.terms[0][1] < 0:
        turned = plus(times(left, fixed(-1)), fixed(divisor - 1))
        return times(_by_number(turned, divisor), fixed(-1))
    return plus(whole, _floor(rest, divisor))


def _floor(rest: Sum, divisor: int) -> Sum:
    """Coefficients from 1 to divisor - 1: reduced by what they share, and one floor inside another made one."""
    shared = math.gcd(divisor, *(coefficient for product, coefficient in rest.terms if product))
    if shared > 1:
        reduced = _collected((product, coefficient // shared) for product, coefficient in rest.terms)
        return _by_number(reduced, divisor // shared)
    floors = [term for term in rest.terms if any(isinstance(atom, Floor) for atom, _ in term[0])]
    if len(floors) == 1 and floors[0][1] == 1 and len(floors[0][0]) == 1 and floors[0][0][0][1] == 1:
        inner = floors[0][0][0][0]
        assert isinstance(inner, Floor)
        if inner.divisor.constant is not None:
            # floor((floor(x / a) + y) / b) = floor((x + a y) / (a b)) for whole x and y
            others = plus(rest, Sum(((floors[0][0], -1),)))
            numerator = plus(inner.numerator, times(others, inner.divisor))
            return _by_number(numerator, divisor * inner.divisor.constant)
    return Sum((((((Floor(rest, fixed(divisor)), 1),)), 1),))


def _by_sum(left: Sum, right: Sum) -> Sum:
    """What divides evenly is taken out; sizes are positive, so the floor stays the same."""
    (product, coefficient), *more = right.terms
    if more:
        whole = _proportion(left, right)
        return whole if whole is not None else _quotient(left, right)
    found: list[tuple[Product, int]] = []
    for other, number in left.terms:
        without = _without(other, product)
        if without is not None and number % coefficient == 0:
            found.append((without, number // coefficient))
    whole = _collected(found)
    rest = plus(left, times(times(whole, right), fixed(-1)))
    return plus(whole, _quotient(rest, right)) if rest.terms else whole


def _quotient(left: Sum, right: Sum) -> Sum:
    return Sum((((((Floor(left, right), 1),)), 1),)) if left.terms else left


def _proportion(left: Sum, right: Sum) -> Sum | None:
    """`left / right` where it is one product: that of their leading terms."""
    if not left.terms:
        return left
    (product, coefficient), (by, number) = left.terms[0], right.terms[0]
    without = _without(product, by)
    if without is None or coefficient % number:
        return None
    whole = _collected([(without, coefficient // number)])
    return whole if times(whole, right) == left else None


def _without(product: Product, factor: Product) -> Product | None:
    powers = dict(product)
    for atom, power in factor:
        powers[atom] = powers.get(atom, 0) - power
    if min(powers.values(), default=0) < 0:
        return None
    return tuple((atom, power) for atom, power in powers.items() if power)


# What a sum is at given sizes, and as text ----------------------------------------------------------------------------


def value(sum: Sum, sizes: Mapping[str, int] | None) -> int:
    """The number where each symbol has the given size, or its nominal one."""
    total = 0
    for product, coefficient in sum.terms:
        for atom, power in product:
            coefficient *= _atom_value(atom, sizes) ** power
        total += coefficient
    return total


def _atom_value(atom: Atom, sizes: Mapping[str, int] | None) -> int:
    if isinstance(atom, Floor):
        return value(atom.numerator, sizes) // value(atom.divisor, sizes)
    return (atom.nominal if sizes is None else sizes[atom.name]) // atom.step


def _atoms(sum: Sum) -> Iterator[Atom]:
    for product, _ in sum.terms:
        for atom, _ in product:
            yield atom
            if isinstance(atom, Floor):
                yield from _atoms(atom.numerator)
                yield from _atoms(atom.divisor)


def symbols_of(sum: Sum) -> set[Symbol]:
    """What it depends on."""
    return {atom for atom in _atoms(sum) if isinstance(atom, Symbol)}


def divisors_of(sum: Sum) -> list[int]:
    """The numbers that floors divide by; for what is no number, the longest that `archdsl.ops.dims.apart` tries."""
    floors = (atom.divisor.constant for atom in _atoms(sum) if isinstance(atom, Floor))
    return [LONGEST_PERIOD if divisor is None else divisor for divisor in floors]


def bracketed(text: str) -> str:
    """As part of a product: what is more than a name or a number stands in brackets."""
    return f"({text})" if " " in text else text


def text_of(sum: Sum) -> str:
    """As Python and the language write it."""
    text = ""
    for product, coefficient in sum.terms:
        term = _product_text(abs(coefficient), product)
        sign = "-" if coefficient < 0 else "+"
        first = f"-{bracketed(term)}" if coefficient < 0 else term  # -(H // 2) is not -H // 2
        text += f" {sign} {term}" if text else first
    return text or "0"


def _product_text(coefficient: int, product: Product) -> str:
    """`64 * (H // 32) * W`; a step that divides the coefficient is part of its symbol's text."""
    factors = []
    for atom, power in product:
        for _ in range(power):
            text, coefficient = _part(atom, coefficient)
            factors.append(text)
    if coefficient != 1 or not factors:
        factors.insert(0, str(coefficient))
    return factors[0] if len(factors) == 1 else " * ".join(map(bracketed, factors))


def _part(atom: Atom, coefficient: int) -> tuple[str, int]:
    """A factor's text, and what is left of the coefficient: 12 of symbols in steps of 8 are 3 * (H // 2)."""
    if isinstance(atom, Floor):
        return _atom_text(atom), coefficient
    shared = math.gcd(coefficient, atom.step)
    step = atom.step // shared
    return atom.name if step == 1 else f"{atom.name} // {step}", coefficient // shared


def _atom_text(atom: Atom) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    scale = math.lcm(*_leftover_steps(atom.numerator))  # so that a size stands there, not a number of its steps
    top, bottom = (text_of(times(part, fixed(scale))) for part in (atom.numerator, atom.divisor))
    return " // ".join(map(bracketed, (top, bottom)))


def _leftover_steps(sum: Sum) -> Iterator[int]:
    for product, coefficient in sum.terms:
        for atom, _ in product:
            if isinstance(atom, Symbol):
                yield atom.step // math.gcd(coefficient, atom.step)
