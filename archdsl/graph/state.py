"""What grows while a network is elaborated, and where in it an element stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from archdsl.graph.below import stands_below
from archdsl.graph.bind import Bound
from archdsl.graph.evaluate import Place
from archdsl.graph.graph import Claim, Input, Layer, Output, Scope, Stage, TensorRef
from archdsl.graph.renames import Rename
from archdsl.graph.values import Env, Module, Poison, Results, Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import ArchError, Diagnostic, Fix, Frame, Label, error
from archdsl.language.limits import Limits
from archdsl.language.program import Program
from archdsl.language.reserved import RESERVED
from archdsl.language.similar import did_you_mean
from archdsl.language.source import Span
from archdsl.ops.base import Init, Op, TensorType, Weight
from archdsl.ops.dims import Symbol

Key = tuple[str, object, object]
Value = Tensor | Poison


@dataclass
class Elaboration:
    """The graph so far and everything found on the way."""

    program: Program
    limits: Limits
    nodes: dict[str, Input | Layer] = field(default_factory=dict)
    diagnostics: dict[Key, Diagnostic] = field(default_factory=dict)
    instances: Counter[Key] = field(default_factory=Counter)
    fixes: dict[Key, tuple[Fix, ...]] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    results: Results = field(default_factory=Results)  # what `@path` means
    stages: dict[str, Stage] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    output_spans: dict[str, Span] = field(default_factory=dict)
    network: Frame | None = None  # what is elaborated, as the outermost frame of every stack
    variant: bool = False
    claims: list[Claim] = field(default_factory=list)
    calls: dict[str, tuple[s.Call | s.Combinator, Bound]] = field(default_factory=dict)
    inferred: dict[tuple[Op, tuple[TensorType, ...]], tuple[tuple[TensorType, ...], tuple[Weight, ...]]] = field(
        default_factory=dict
    )
    environments: dict[int, Env] = field(default_factory=dict)  # by identity of the file's source
    initial: dict[str, Init] = field(default_factory=dict)
    input_override: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)  # symbols that are taken as plain numbers
    overridden: list[str] = field(default_factory=list)
    recipe: dict[str, object] = field(default_factory=dict)
    renames: list[Rename] = field(default_factory=list)
    uses: dict[str, str] = field(default_factory=dict)  # where a module is applied -> the path that owns its weights
    names: dict[TensorRef, str] = field(default_factory=dict)  # given with `as`, with the path of their scope
    owners: dict[str, Layer] = field(default_factory=dict)  # the first layer that applies each shared set of weights
    statements: int = 0
    layers: int = 0

    def globals(self, node: s.Node) -> Env:
        """What a file's own items see: its lets, then those of the other files, then the words of the language."""
        from archdsl.graph.evaluate import evaluate
        from archdsl.graph.functions import BUILTINS

        if not self.environments:
            shared = Env({}, Env(dict(BUILTINS)))
            for file in reversed(self.program.files):
                own = Env({}, shared)
                place = Place(own, None, _no_stage, self.limits)
                for let in file.lets:
                    own.names[let.name] = evaluate(let.value, place)
                self.environments[id(file.source)] = own
            for own in self.environments.values():
                shared.names.update({name: value for name, value in own.names.items() if name not in shared.names})
        return self.environments[id(node.span.source)]

    def report(self, diagnostic: Diagnostic, stack: tuple[Frame, ...], fixes: tuple[Fix, ...] = ()) -> None:
        """Keep a finding; the same one met in another instance is only counted."""
        self.instances[diagnostic.key] += 1
        if diagnostic.key in self.diagnostics:
            return
        if self.network is not None and (stack or self.variant):
            stack = (self.network, *stack)
        self.diagnostics[diagnostic.key] = replace(diagnostic, stack=stack, fix=None)
        self.fixes[diagnostic.key] = fixes or ((diagnostic.fix,) if diagnostic.fix else ())

    def reject(self, failure: ArchError, stack: tuple[Frame, ...]) -> None:
        for diagnostic in failure.diagnostics:
            self.report(diagnostic, stack)

    def count_statement(self, span: Span, number: int = 1) -> None:
        self.statements += number
        if self.statements > self.limits.statements:
            raise too_many("statements", self.limits.statements, span)

    def findings(self) -> list[Diagnostic]:
        """All findings, each with the number of instances it was met in."""
        return [self._counted(key, diagnostic) for key, diagnostic in self.diagnostics.items()]

    def _counted(self, key: Key, diagnostic: Diagnostic) -> Diagnostic:
        others = self.instances[key] - 1
        if not others:
            return diagnostic
        note = f"the same in {others} more instance{'s' if others > 1 else ''}"
        return replace(diagnostic, notes=(*diagnostic.notes, note))


def _no_stage(path: s.Path) -> object:
    raise error("unknown-reference", "outside a network there are no stages", path.span)


class Stop(ArchError):
    """A limit was reached: elaboration ends here."""


def too_many(what: str, limit: int, span: Span, number: int | None = None) -> Stop:
    """The diagnostic of a limit on what unrolls."""
    found = f"at least {number:,}" if number is not None and number > limit else f"more than {limit:,}"
    message = f"this unrolls to {found} {what}; the limit is {limit:,}"
    help = f"raise it with `--limit {what}=...` if this is meant"
    return Stop([Diagnostic(f"limit-{what}", message, span, help=help)])


@dataclass
class Naming:
    """Hands out names inside one scope: labels as given, positions as `nn.Sequential` counts them."""

    path: str
    position: int = 0
    taken: dict[str, Span] = field(default_factory=dict)
    merges: Counter[str] = field(default_factory=Counter)

    def join(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def number(self) -> str:
        """The path of the next element, which has no label."""
        self.position += 1
        return self.join(str(self.position - 1))

    def merge(self, word: str, span: Span) -> str:
        """The path of a merge without a label: `concat`, `concat_2` ... (it takes no position)."""
        self.merges[word] += 1
        count = self.merges[word]
        name = word if count == 1 else f"{word}_{count}"
        if name in self.taken:
            return self.merge(word, span)
        self.taken[name] = span
        return self.join(name)

    def label(self, name: str, span: Span) -> str:
        """The path of a labelled element; it takes a position too, so that numbers are positions.

        A number as a label is the position itself; it may leave positions out.
        """
        if name.isdigit():
            return self._at(name, span)
        if name in RESERVED:
            message = f"`{name}` cannot be a label: {RESERVED[name]}"
            raise error("reserved-label", message, span, help=f"e.g. `{name}_1`")
        if name in self.taken:
            raise self._twice(name, span)
        self.taken[name] = span
        self.position += 1
        return self.join(name)

    def _at(self, name: str, span: Span) -> str:
        number = int(name[:12])
        if str(number) != name:
            raise error("reserved-label", f"`{name}` cannot be a label: a position is written `{number}`", span)
        if number < self.position:
            message = f"position {number} is taken: {self.position} is the next"
            raise error("duplicate-label", message, span, help="labels count as positions, too")
        self.position = number
        return self.number()

    def _twice(self, name: str, span: Span) -> ArchError:
        if self.taken[name] == span:
            message = f"the label `{name}` is used again in the next round of a loop"
            help = "let it count, e.g. `for i in range(n) { " + name + "{i}: ... }`, or make the body a block"
            return error("duplicate-label", message, span, help=help)
        first = Label(self.taken[name], "first used here")
        return error("duplicate-label", f"the label `{name}` is used twice in one scope", span, labels=(first,))


@dataclass(frozen=True)
class Loop:
    """The `recur` whose body is being run: `env` has its states as they are now, `after` those with a new value."""

    path: str
    outer: Loop | None
    length: int
    env: Env
    after: dict[str, Value] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """How often its body runs for one sample."""
        return self.length * (self.outer.repeats if self.outer else 1)

    @property
    def paths(self) -> tuple[str, ...]:
        """Its own path and those of the loops around it."""
        return (self.path, *(self.outer.paths if self.outer else ()))


@dataclass(frozen=True)
class Nested:
    """A network that is used inside another: what its inputs are bound to, its outputs so far, layers before it."""

    inputs: dict[str, Value]
    layers: int
    outputs: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Here:
    """Where an element stands. `entry` is what `in` means as an element; `root` the block instance's path."""

    e: Elaboration
    env: Env
    naming: Naming
    entry: Value | None
    root: str = ""
    stack: tuple[Frame, ...] = ()
    training: bool = False
    network: bool = False  # directly in the network's body, where inputs and outputs are declared
    use: str | None = None  # path of the use of a module that this is in
    loop: Loop | None = None
    nested: Nested | None = None  # the innermost network around, where that is not the one that is compiled

    def place(self, incoming: object) -> Place:
        return Place(self.env, incoming, self.resolve, self.e.limits)

    def inner(self, **changes: object) -> Here:
        return replace(self, **changes)  # type: ignore[arg-type]

    def resolve(self, path: s.Path) -> object:
        """The tensor of `@path`: looked up in this scope, then outwards to the block instance's own."""
        known = self.local(path.text) if len(path.parts) == 1 else None
        if isinstance(known, Module):
            message = f"`{path.text}` is a module, which is no tensor"
            raise error("not-a-tensor", message, path.span, help="label a use of it, and refer to that")
        if known is not None:
            return known
        text = path.text.removeprefix(".")
        for prefix in [self.root] if path.from_root else self._prefixes():
            full = f"{prefix}.{text}" if prefix else text
            if full in self.e.results:
                return self._reached(self.e.results[full], path)
        names = [name for prefix in self._prefixes() for name in _below(prefix, self.e.results)]
        guess = stands_below(path, self.e.program) or did_you_mean(path.text, names, path.span)
        message = f"no stage `{path.text}` stands before this"
        raise error("unknown-reference", message, path.span, **guess)

    def _reached(self, found: Value, path: s.Path) -> Value:
        """The tensor, unless it lies in the body of a `recur` that this is not in."""
        node = self.e.nodes.get(found.ref.path) if isinstance(found, Tensor) else None
        if not isinstance(node, Layer) or node.loop in ("", *(self.loop.paths if self.loop else ())):
            return found
        message = f"`{path.text}` is another tensor in each step of `{node.loop}`"
        help = f"make it a state, whose last value is `@{node.loop}.NAME`, or the result of the body's last statement"
        raise error("recur-inside", message, path.span, help=help)

    def local(self, name: str) -> Value | Module | None:
        """The tensor or module that a name stands for here."""
        try:
            value = self.env.lookup(name)
        except KeyError:
            return None
        return value if isinstance(value, Tensor | Poison | Module) else None

    def owner(self, path: str) -> str:
        """The path that owns the weights of what lies at `path`."""
        if self.use is None or not (path == self.use or path.startswith(f"{self.use}.")):
            return path
        return self.e.uses[self.use] + path[len(self.use) :]

    def _prefixes(self) -> list[str]:
        prefixes = [self.naming.path]
        while prefixes[-1] != self.root:
            prefixes.append(prefixes[-1].rpartition(".")[0])
        return prefixes


def _below(prefix: str, paths: dict[str, Value]) -> list[str]:
    start = f"{prefix}." if prefix else ""
    return [path.removeprefix(start) for path in paths if path.startswith(start)]
