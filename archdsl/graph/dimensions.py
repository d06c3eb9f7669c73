"""Shapes of inputs: numbers, and symbols such as `H` for sizes that are left open."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from archdsl.graph.evaluate import evaluate
from archdsl.graph.state import Here
from archdsl.graph.values import kind_of, show
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, error
from archdsl.language.similar import did_you_mean
from archdsl.language.source import Span
from archdsl.ops.base import TensorType
from archdsl.ops.dims import Dim, Symbol, dim

#: A shape from outside: numbers, and texts such as `H` or `H:32..512by32=224`.
Asked = tuple[int | str, ...]
SYMBOL = re.compile(
    r"(?P<name>[A-Za-z_]\w*)(:(?P<low>\d+)\.\.(?P<high>\d+)(by(?P<step>\d+))?)?(=(?P<nominal>\d+))?", re.ASCII
)
#: What reports count at where nothing else is said: it can be halved six times.
NOMINAL = 64
BATCH = "N"


@dataclass(frozen=True, slots=True)
class _Open:
    """A symbol as it is declared."""

    name: str
    low: int | None = None
    high: int | None = None
    step: int | None = None
    nominal: int | None = None


def input_shape(statement: s.InputStatement, here: Here) -> tuple[int, ...]:
    """The sizes of an input, as its statement says or as asked from outside; symbols are entered into the scope."""
    items = statement.shape.items
    asked = here.e.input_override.get(statement.name, (None,) * len(items))
    if len(asked) != len(items):
        message = f"`--input` gives `{statement.name}` {len(asked)} axes, but the network declares {len(items)}"
        raise error("bad-input-shape", message, statement.shape.span)
    shape, declared = [], []
    for item, wanted in zip(items, asked, strict=True):
        own = _declared(item, here)
        size = own if wanted is None else _asked(wanted, own, item, here)
        declared.append(own)
        shape.append(size if isinstance(size, int) else _enter(size, item.span, here))
        if isinstance(own, _Open) and own.name not in here.env.names:
            here.env.names[own.name] = shape[-1]  # the network may call it by its own name
    if tuple(map(int, shape)) != tuple(map(_nominal, declared)):
        here.e.overridden.append(f"`{statement.name}: {show(tuple(shape))}`")
    return _limited(tuple(shape), statement, here)


def _limited(shape: tuple[int, ...], statement: s.InputStatement, here: Here) -> tuple[int, ...]:
    elements = TensorType(shape).elements
    if elements <= here.e.limits.elements:
        return shape
    message = f"an input of {elements:,} numbers is too large; the limit is {here.e.limits.elements:,}"
    help = "raise it with `--limit elements=...` if this is meant"
    raise error("limit-elements", message, statement.shape.span, help=help)


def _declared(item: s.Expression, here: Here) -> int | _Open:
    """A size, or the symbol that a range, a nominal size or a name without a meaning declares."""
    if isinstance(item, s.Dimension):
        if _known(item.name, here):
            message = f"`{item.name}` has a meaning here already"
            help = f"write `{item.name}` alone where the same size is meant"
            raise error("duplicate-definition", message, item.span, help=help)
        numbers = (item.low, item.high, item.step, item.nominal)
        return _Open(item.name, *(None if number is None else int(_size(number, here)) for number in numbers))
    if not isinstance(item, s.Name) or _known(item.name, here):
        return _size(item, here)
    guess = did_you_mean(item.name, here.env.known(), item.span) if len(item.name) > 1 else {}
    if guess:
        notes = (f"for an open size of that name say where reports count: `{item.name} = {NOMINAL}`",)
        raise error("unknown-name", f"there is no `{item.name}` here", item.span, notes=notes, **guess)
    return _Open(item.name)


def _asked(wanted: int | str, own: int | _Open, item: s.Expression, here: Here) -> int | _Open:
    """The size asked from outside; what a symbol's text leaves out is taken from the statement."""
    if isinstance(wanted, int):
        return wanted
    new = _parsed(wanted)
    if _known(new.name, here):
        return _again(new, item, here)
    if isinstance(own, int):
        return replace(new, nominal=int(own)) if new.nominal is None else new
    if new.low is not None:
        return new if new.nominal is not None else replace(new, nominal=own.nominal)
    return replace(own, name=new.name, nominal=own.nominal if new.nominal is None else new.nominal)


def _again(new: _Open, item: s.Expression, here: Here) -> int:
    """A symbol that another axis has already."""
    size = here.env.lookup(new.name)
    if new.name not in here.e.symbols and new.name not in here.e.sizes:
        message = f"`{new.name}` of `--input` has a meaning in the network already"
        raise error("symbolic-range", message, item.span, help="choose another name")
    if new != _Open(new.name):
        raise _said_twice(new.name, item.span)
    assert isinstance(size, int)
    return size


def opened(asked: Asked, own: tuple[int, ...], span: Span, symbols: dict[str, Symbol]) -> tuple[int, ...]:
    """The sizes asked of an input that has been laid out at `own`; a symbol that is new enters `symbols`."""
    found: list[int] = []
    for wanted, size in zip(asked, own, strict=True):
        if isinstance(wanted, int):
            found.append(wanted)
            continue
        new = _parsed(wanted)
        if new.name in symbols and new != _Open(new.name):
            raise _said_twice(new.name, span)
        if new.name not in symbols:
            symbols[new.name] = _symbol(replace(new, nominal=int(size) if new.nominal is None else new.nominal), span)
        found.append(dim(symbols[new.name]))
    return tuple(found)


def _said_twice(name: str, span: Span) -> ArchError:
    message = f"`--input` says twice what `{name}` is"
    return error("symbolic-range", message, span, help=f"the second time write `{name}` alone")


def _nominal(declared: int | _Open) -> int:
    return int(declared) if isinstance(declared, int) else declared.nominal or declared.low or NOMINAL


def _known(name: str, here: Here) -> bool:
    try:
        here.env.lookup(name)
    except KeyError:
        return False
    return True


def _size(item: s.Expression, here: Here) -> int:
    size = evaluate(item, here.place(None))
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        message = f"a size is a whole number of at least 1, not {kind_of(size)}"
        raise error("bad-input-shape", message, item.span)
    return size


def _enter(found: _Open, span: Span, here: Here) -> int:
    """A new symbol as a size; a plain number where the request fixes it."""
    size: int | Dim | None = here.e.sizes.get(found.name)
    if size is None:
        symbol = _symbol(found, span)
        here.e.symbols[found.name] = symbol
        size = dim(symbol)
    here.env.names[found.name] = size
    return size


def _symbol(found: _Open, span: Span) -> Symbol:
    """Defaults: the low end as the nominal size; without a range from half to twice the nominal size."""
    if found.name == BATCH:
        raise error("symbolic-range", f"`{BATCH}` is the batch, which is no part of the shape", span)
    step = found.step or 1
    nominal = _nominal(found)
    low = -(-nominal // (2 * step)) * step if found.low is None else found.low
    high = 2 * nominal if found.high is None else found.high
    if not low <= nominal <= high:
        message = f"the nominal size {nominal} of `{found.name}` lies outside {low} .. {high}"
        raise error("symbolic-range", message, span)
    for what, number in (("low end", low), ("high end", high), ("nominal size", nominal)):
        if number % step:
            message = f"the {what} {number} of `{found.name}` is no multiple of {step}"
            raise error("symbolic-range", message, span, help=f"e.g. {-(-number // step) * step}")
    return Symbol(found.name, nominal, low, high, step)


def _parsed(text: str) -> _Open:
    matched = SYMBOL.fullmatch(text)
    if matched is None:
        message = f"`{text}` is neither a size nor a symbol such as `H` or `H:32..512by32=224`"
        raise error("symbolic-range", message)
    numbers = (matched[name] for name in ("low", "high", "step", "nominal"))
    return _Open(matched["name"], *(None if number is None else int(number) for number in numbers))
