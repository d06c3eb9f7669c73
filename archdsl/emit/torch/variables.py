"""Names for the tensors of a `forward`, chosen as a person would.

The running value is `x` and stays `x` as long as each step uses the one before. What is kept for later, and each
branch that is a single step, has its label as its name; a longer branch, or one without a label, is `y`, `z` ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from archdsl.emit.torch.spelling import numbered, variable
from archdsl.emit.torch.statements import Statement
from archdsl.graph.graph import TensorRef

#: An op with more results than this gives them as one tuple, `parts[0]`, `parts[1]` ...
MOST_RESULTS = 6


@dataclass(slots=True)
class Naming:
    """Statements being named in order; `users` are the positions that use a tensor, past the last one: the result."""

    statements: Sequence[Statement]
    users: dict[TensorRef, list[int]]
    label: Callable[[TensorRef], str | None]
    fixed: Mapping[TensorRef, str]
    names: dict[TensorRef, str] = field(default_factory=dict)
    holders: dict[str, TensorRef] = field(default_factory=dict)
    running: set[TensorRef] = field(default_factory=set)

    def last_use(self, ref: TensorRef) -> int:
        return max(self.users.get(ref, ()), default=-1)

    def free(self, name: str, position: int) -> bool:
        """The name holds nothing that is needed after the statement."""
        return name not in self.holders or self.last_use(self.holders[name]) <= position

    def bind(self, ref: TensorRef, name: str) -> str:
        self.names[ref] = name
        self.holders[name] = ref
        return name


def names(
    statements: Sequence[Statement],
    arguments: Mapping[TensorRef, str],
    returned: Sequence[TensorRef],
    label: Callable[[TensorRef], str | None],
    fixed: Mapping[TensorRef, str],
) -> tuple[dict[TensorRef, str], list[str]]:
    """A variable for every tensor, and what each statement assigns to.

    `arguments` have their names; those in `fixed` get theirs for themselves alone, whatever happens in between.
    """
    users: dict[TensorRef, list[int]] = {}
    for position, statement in enumerate(statements):
        for ref in dict.fromkeys(statement.inputs):
            users.setdefault(ref, []).append(position)
    for ref in returned:
        users.setdefault(ref, []).append(len(statements))
    naming = Naming(statements, users, label, fixed)
    for ref, name in arguments.items():
        naming.bind(ref, name)
        naming.running.update([ref] if name == "x" else [])
    for ref, name in fixed.items():
        naming.bind(ref, variable(name, set(naming.holders)))
    targets = [_name_results(naming, position, statement) for position, statement in enumerate(statements)]
    return naming.names, targets


def _name_results(naming: Naming, position: int, statement: Statement) -> str:
    """Bind the names; returns what stands before the `=`."""
    results = statement.results
    if len(results) == 1:
        (ref,) = results
        return naming.bind(ref, _choose(naming, position, statement, ref)) if ref else "_"
    if len(results) > MOST_RESULTS and statement.ops and naming.fixed.keys().isdisjoint(results):
        return _tuple(naming, position, [ref for ref in results if ref])
    return ", ".join(
        naming.bind(ref, _one_of_several(naming, position, statement, ref)) if ref else "_" for ref in results
    )


def _tuple(naming: Naming, position: int, refs: list[TensorRef]) -> str:
    base = _fresh(naming, position, naming.label(TensorRef(refs[0].path)) or "parts")
    for ref in refs:
        naming.names[ref] = f"{base}[{ref.index}]"
    naming.holders[base] = max(refs, key=naming.last_use)
    return base


def _one_of_several(naming: Naming, position: int, statement: Statement, ref: TensorRef) -> str:
    """Names that the spec gives; else `x0`, `x1` for the results of an op, or its label with the number."""
    if ref in naming.fixed:
        return naming.names[ref]
    given = any(naming.label(other) for other in statement.results if other and other.index)
    if statement.ops and not (given and naming.label(ref)):
        return _fresh(naming, position, f"{naming.label(TensorRef(ref.path)) or 'x'}{ref.index}")
    return _fresh(naming, position, naming.label(ref) or "y")


def _choose(naming: Naming, position: int, statement: Statement, ref: TensorRef) -> str:
    label, users = naming.label(ref), naming.users.get(ref, [])
    if ref in naming.fixed:
        return naming.names[ref]
    if label and len(users) > 1 and _kept(naming, users):
        return _fresh(naming, position, label)
    held = _continued(naming, position, statement)
    if held is None and label and len(statement.inputs) == 1 and _ends(naming, ref):
        return _fresh(naming, position, label)
    naming.running.add(ref)
    return held or _generic(naming, position)


def _continued(naming: Naming, position: int, statement: Statement) -> str | None:
    """The variable of the only input, if this is its only use and it is a running value."""
    inputs = set(statement.inputs)
    if len(inputs) != 1:
        return None
    (ref,) = inputs
    only = naming.users[ref] == [position]
    return naming.names[ref] if only and ref in naming.running else None


def _ends(naming: Naming, ref: TensorRef) -> bool:
    """A branch ends in it: it is merged with others, or is a result."""
    users = naming.users.get(ref, [])
    last = len(naming.statements)
    return all(user == last or len(set(naming.statements[user].inputs)) > 1 for user in users)


def _kept(naming: Naming, users: list[int]) -> bool:
    """Something else becomes the running value before the last use, beyond branches of a single step."""
    *others, last = users
    return last == len(naming.statements) or not all(_is_side(naming, naming.statements[user]) for user in others)


def _is_side(naming: Naming, statement: Statement) -> bool:
    results = [ref for ref in statement.results if ref is not None]
    return statement.training_only or all(_ends(naming, ref) and naming.label(ref) for ref in results)


def _generic(naming: Naming, position: int) -> str:
    free = (name for name in ("x", "y", "z") if naming.free(name, position))
    return next(free, None) or _fresh(naming, position, "y")


def _fresh(naming: Naming, position: int, name: str) -> str:
    name = variable(name)
    if naming.free(name, position):
        return name
    return numbered(name, {held for held in naming.holders if not naming.free(held, position)})
