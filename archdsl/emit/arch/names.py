"""How a tensor is called where it is read: `@conv1`, `@block.conv1`, `@.conv1`, or by a name given with `as`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from archdsl.graph.graph import Layer, TensorRef


@dataclass
class Place:
    """Where the next statement stands: its scope, the position it would take, what flows into it."""

    path: str
    flow: TensorRef | None
    position: int = 0
    names: dict[str, TensorRef] = field(default_factory=dict)  # given by `as`, `with` or `module` and seen from here
    training: bool = False
    states: tuple[str, ...] = ()  # of the `recur` whose body this is
    bare: dict[str, TensorRef] = field(default_factory=dict)  # states that no layer's label sets, with their new values
    use: str = ""  # path of the use of a module that stands for all of its uses here

    def inner(self, path: str) -> Place:
        """A scope inside this one."""
        return Place(path, self.flow, names=dict(self.names), training=self.training, use=self.use)


@dataclass
class Known:
    """What `@path` means by now, as elaboration keeps it, and by which paths a tensor is meant."""

    results: dict[str, TensorRef] = field(default_factory=dict)
    paths: dict[TensorRef, list[str]] = field(default_factory=dict)

    def copy(self) -> Known:
        """The same, to be changed on its own."""
        return Known(dict(self.results), {ref: list(paths) for ref, paths in self.paths.items()})

    def set(self, path: str, ref: TensorRef) -> None:
        """From here on `@path` means this tensor."""
        if path in self.results:
            self.paths[self.results[path]].remove(path)
        self.results[path] = ref
        self.paths.setdefault(ref, []).append(path)

    def enter(self, layer: Layer) -> None:
        """The results of a layer."""
        self.set(layer.path, TensorRef(layer.path))
        for index, name in enumerate(layer.op.results(layer.input_types)):
            self.set(f"{layer.path}.{name}", TensorRef(layer.path, index))

    def spell(self, ref: TensorRef, place: Place) -> str:
        """The shortest reference that means this tensor; KeyError where there is none.

        In a module one tensor is meant by its path from the use on, any other from the network's own scope on.
        """
        name = next((name for name, held in place.names.items() if held == ref), None)
        if name is not None:
            return f"@{name}"
        paths = self.paths.get(ref)
        if not paths:
            raise KeyError(ref.name)
        path = min(paths, key=lambda path: (path != ref.path, len(path)))
        for text in _relative(path, place.path, place.use):
            if self._means(text, place) == ref:
                return f"@{text}"
        return f"@.{path}"

    def _means(self, text: str, place: Place) -> TensorRef | None:
        if text in place.names:
            return place.names[text]
        full = (f"{prefix}.{text}" if prefix else text for prefix in _outwards(place.path))
        return next((self.results[path] for path in full if path in self.results), None)


def _outwards(path: str) -> Iterator[str]:
    """A scope and those around it, up to the network's."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _relative(path: str, scope: str, end: str) -> Iterator[str]:
    """A path as seen from a scope and from those around it, up to the scope `end`."""
    for prefix in _outwards(scope):
        if not prefix:
            yield path
        elif path.startswith(f"{prefix}."):
            yield path.removeprefix(f"{prefix}.")
        if prefix == end:
            return
