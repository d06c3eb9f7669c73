"""Parts of a graph to statements: one for each layer, scopes in braces, each followed by its origin."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from archdsl.emit.arch import spelling
from archdsl.emit.arch.names import Known, Place
from archdsl.emit.arch.parts import Part, entry, plainest
from archdsl.graph.graph import Graph, Input, Layer, TensorRef
from archdsl.language.source import Span
from archdsl.ops.dims import Symbol
from archdsl.ops.recurrence import SUFFIX, Recur, Steps

#: what a body calls the tensor that flows into it, where more than its first layer reads that
ENTRY = "entering"


@dataclass
class Writer:
    """The statements so far, a line each; braces open and close as the language has them."""

    graph: Graph
    root: Part
    known: Known = field(default_factory=Known)
    symbols: set[Symbol] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    outputs: int = 0  # how many of the graph's outputs are written

    def body(self, parts: list[Part], place: Place) -> None:
        """The parts of one scope in order."""
        queue = list(parts)
        while queue:
            part = queue.pop(0)
            self.unlabelled_states(part, place)
            if isinstance(part.node, Layer) and isinstance(part.node.op, Steps):
                end = next(i for i, other in enumerate(queue) if other.path == part.path.removesuffix(SUFFIX))
                self.loop(part.node, queue[:end], queue[end].node, place)
                del queue[: end + 1]
            else:
                self.part(part, place)

    def part(self, part: Part, place: Place) -> None:
        """An input, a layer with or without a tail, a merge, a use of a module, or a scope."""
        node = part.node
        if isinstance(node, Input):
            self.lines.append(spelling.input_text(node, self.symbols))
            place.flow = TensorRef(node.path)
            self.known.set(node.path, place.flow)
            return
        training = self._training(part, place)
        before = place.flow
        inside = replace(place, training=place.training or bool(training))
        if part.path in self.graph.uses:
            self.use(part, inside, training)
        elif node is None:
            self.scope(part, inside, training)
        elif node.op.combinator and not part.name.isdigit() and self._is_merge(part):
            self.merge(node, inside)
        else:
            self.layer(part, node, inside, training)
        place.position, place.names = inside.position, inside.names
        place.flow = before if training else inside.flow

    def _is_merge(self, part: Part) -> bool:
        assert isinstance(part.node, Layer)
        return part.name.partition("_")[0] == part.node.op.name

    def _training(self, part: Part, place: Place) -> str:
        """The clause of a training-only part, "" for all others. Outputs declared before it are written before it."""
        if place.training:
            return ""
        for number, output in enumerate(self.graph.outputs):
            if output.training_only and output.name == part.path:
                if not place.path:
                    self.declare_outputs(number, place)
                    self.outputs = number + 1
                weight = "" if output.weight is None else f" weight = {spelling.value(output.weight)}"
                return f" training{weight}"
        return ""

    def declare_outputs(self, end: int, place: Place) -> None:
        """`output NAME: @tensor`, for those that are not written yet; what follows reads the last of them."""
        for output in self.graph.outputs[self.outputs : end]:
            self.lines.append(f"output {output.name}: {self.known.spell(output.tensor, place)}")
            if output.name not in self.known.results:
                self.known.set(output.name, output.tensor)
            place.flow = output.tensor
        self.outputs = max(self.outputs, end)

    def line(self, text: str, span: Span, path: str) -> None:
        """A statement and where it comes from: the block around it, if there is one, file and line."""
        scopes = [path]
        while scopes[-1]:
            scopes.append(scopes[-1].rpartition(".")[0])
        found = (self.graph.scopes[scope].block for scope in scopes[1:] if scope in self.graph.scopes)
        block = next((f"{name}, " for name in found if name), "")
        self.lines.append(f"{text}  # {block}{span.source.name}:{span.line}")

    # Statements

    def label(self, part: Part, place: Place, call: bool) -> str:
        """`conv1: `, or nothing where an unlabelled call gets this position by itself."""
        name = part.name
        if name.isdigit():
            needless = call and int(name) == place.position
            place.position = int(name) + 1
            return "" if needless else f"{name}: "
        place.position += 1
        if name in place.states and place.names.get(name) != TensorRef(""):
            return f"{name} = "
        return f"{spelling.label(name)}: "

    def call(self, layer: Layer, place: Place, start: bool = True) -> tuple[str, str]:
        """The op with all its arguments, and the clause that says what it reads, where that does not flow in."""
        given = spelling.arguments(layer.op)
        origin = ""
        if len(layer.op.operands) == 1:
            (ref,) = layer.inputs
            origin = "" if ref == place.flow else f" from {self.known.spell(ref, place)}"
        else:
            read = zip(layer.op.operands, layer.inputs, strict=False)
            tensors = ((name, "in" if ref == place.flow else self.known.spell(ref, place)) for name, ref in read)
            given += (f"{name} = {text}" for name, text in tensors)
        text = ", ".join(given)
        return f"{layer.op.name}({text})" if text else layer.op.name, origin

    def layer(self, part: Part, layer: Layer, place: Place, training: str) -> None:
        """A layer, and behind it what its label names too."""
        label = self.label(part, place, call=True)
        text, origin = self.call(layer, place)
        if label.endswith("= ") and origin:  # an assignment takes no clause
            self.lines.append(origin.removeprefix(" from "))
            origin = ""
        self.known.enter(layer)
        place.flow = TensorRef(layer.path)
        text += self.results_named(layer, place)
        tail = replace(place.inner(part.path), position=1)
        links = [self.link(inner, tail) for inner in part.parts.values()]
        place.flow = tail.flow or place.flow
        self.known.set(part.path, place.flow)
        self.line(label + " -> ".join([text, *links]) + origin + training, layer.span, layer.path)
        self._assigned(label, place)

    def _assigned(self, label: str, place: Place) -> None:
        if label.endswith("= ") and place.flow is not None:
            place.names[label.removesuffix(" = ")] = place.flow

    def results_named(self, layer: Layer, place: Place) -> str:
        """` as NAME, NAME`: names that the text gave to the results of this layer in this scope."""
        prefix = f"{place.path}." if place.path else ""
        names = []
        for index in range(len(layer.output_types)):
            ref = TensorRef(layer.path, index)
            name = self.graph.names.get(ref, "")
            if not name.startswith(prefix) or "." in name.removeprefix(prefix) or not name:
                break
            names.append(name.removeprefix(prefix))
            place.names[names[-1]] = ref
        return f" as {', '.join(names)}" if names else ""

    def link(self, part: Part, tail: Place) -> str:
        """What stands behind `->` in the chain of a label: a layer without weights, or several in braces."""
        if isinstance(part.node, Layer) and not part.parts:
            label = self.label(part, tail, call=True)
            text, _ = self.call(part.node, tail)
            self.known.enter(part.node)
            tail.flow = TensorRef(part.path)
            return label + text
        label = self.label(part, tail, call=False)
        lines, self.lines = self.lines, []
        inner = tail.inner(part.path)
        self.body(list(part.parts.values()), inner)
        inside, self.lines = "\n".join(self.lines), lines
        assert inner.flow is not None
        tail.flow = inner.flow
        self.known.set(part.path, inner.flow)
        return f"{label}{{\n{inside}\n}}"

    def merge(self, layer: Layer, place: Place) -> None:
        """`add { @a; @b }`: its branches are statements before it."""
        given = ", ".join(spelling.arguments(layer.op))
        branches = "; ".join("skip" if ref == place.flow else self.known.spell(ref, place) for ref in layer.inputs)
        head = f"{layer.op.name}({given})" if given else layer.op.name
        self.known.enter(layer)
        place.flow = TensorRef(layer.path)
        named = self.results_named(layer, place)
        self.line(f"{head} {{ {branches} }}{named}", layer.span, layer.path)

    def scope(self, part: Part, place: Place, training: str) -> None:
        """`label: { ... }`."""
        label = self.label(part, place, call=False)
        scope = self.graph.scopes.get(part.path)
        opening = f"{label}{{"
        if scope is not None:
            self.line(opening, scope.span, f"{part.path}.")
        else:
            self.lines.append(opening)
        inner = place.inner(part.path)
        self.modules(part, inner)
        self.body(list(part.parts.values()), inner)
        stage = self.graph.stages.get(part.path)
        if stage is not None and stage.result != inner.flow:
            self.lines.append(self.known.spell(stage.result, inner))
            inner.flow = stage.result
        self.lines.append(f"}}{training}")
        assert inner.flow is not None
        place.flow = inner.flow
        self.known.set(part.path, inner.flow)
        self._assigned(label, place)

    # Modules

    def modules(self, part: Part, place: Place) -> None:
        """Declarations of the modules whose weights lie in this scope, those used by others first."""
        for owner in reversed(dict.fromkeys(self.graph.uses.values())):
            if owner.rpartition(".")[0] == part.path:
                self.module(owner, plainest(self.graph, self.root, owner), place)

    def module(self, owner: str, use: Part, place: Place) -> None:
        """`module name: chain`, as its first use applies it; references begin at the network, not at a use."""
        known, lines = self.known, self.lines
        self.known = known.copy()
        flow = entry(self.graph, self.root, use)
        inside = Place(use.path, flow, training=True, use=use.path)
        for layer in self.graph.layers:  # by the time of its use, what it reads has been made
            if layer.path != use.path and not layer.path.startswith(f"{use.path}."):
                self.known.enter(layer)
        self.lines = []
        name = owner.rpartition(".")[2]
        if isinstance(use.node, Layer):
            text, _ = self.call(use.node, inside)
            self.known.enter(use.node)
            inside.flow, inside.position = TensorRef(use.path), 1
            links = [self.link(inner, inside) for inner in use.parts.values()]
            lines.append(f"module {name}: {' -> '.join([text, *links])}  # {self._origin(use.node.span)}")
        else:
            if flow is not None and any(flow in layer.inputs for layer in list(use.layers())[1:]):
                inside.names[ENTRY] = flow
                self.lines.append(f"skip as {ENTRY}")
            self.body(list(use.parts.values()), inside)
            stage = self.graph.stages.get(use.path)
            if stage is not None and stage.result != inside.flow:
                self.lines.append(self.known.spell(stage.result, inside))
            lines += [f"module {name}: {{", *self.lines, "}"]
        self.lines, self.known = lines, known
        place.names[name] = TensorRef("")  # no tensor: a reference of this name would not reach a stage

    def _origin(self, span: Span) -> str:
        return f"{span.source.name}:{span.line}"

    def use(self, part: Part, place: Place, training: str) -> None:
        """`label: module`."""
        flow = entry(self.graph, self.root, part)
        label = self.label(part, place, call=True)
        origin = "" if flow in (None, place.flow) else f" from {self.known.spell(flow, place)}"
        name = self.graph.uses[part.path].rpartition(".")[2]
        for layer in part.layers():
            self.known.enter(layer)
        last = list(part.layers())[-1]
        stage = self.graph.stages.get(part.path)
        place.flow = stage.result if stage else TensorRef(last.path)
        self.known.set(part.path, place.flow)
        span = self.graph.scopes[part.path].span if part.path in self.graph.scopes else last.span
        self.line(f"{label}{name}{origin}{training}", span, part.path)

    # Recurrence

    def loop(self, steps: Layer, parts: list[Part], end: Input | Layer | None, place: Place) -> None:
        """`recur over time with h = @first { ... }`."""
        assert isinstance(end, Layer)
        assert isinstance(end.op, Recur)
        sequence, *first = steps.inputs
        if sequence != place.flow:
            self.lines.append(self.known.spell(sequence, place))
            place.flow = sequence
        names = end.op.states
        begins = (f"{name} = {self.known.spell(ref, place)}" for name, ref in zip(names, first, strict=True))
        given = f" with {', '.join(begins)}" if names else ""
        self.line(f"recur over time{given} {{", steps.span, steps.path)
        states = {name: TensorRef(steps.path, 1 + i) for i, name in enumerate(names)}
        step = TensorRef(steps.path)
        labelled = {part.name for part in parts}
        bare = {name: ref for name, ref in zip(names, end.inputs[1:], strict=True) if name not in labelled}
        inner = replace(place, flow=step, names={**place.names, **states}, states=names, bare=bare)
        if any(step in layer.inputs for layer in [layer for part in parts for layer in part.layers()][1:]):
            self.lines.append(f"in as {ENTRY}")
            inner.names[ENTRY] = step
        self.body(parts, inner)
        result, *after = end.inputs
        for name, ref in zip(names, after, strict=True):
            if inner.names[name] != ref:
                self.assign(name, ref, inner)
        if result != inner.flow:
            self.lines.append(self.known.spell(result, inner))
        self.known.enter(end)
        place.flow, place.position = TensorRef(end.path), inner.position
        self.lines.append("}" + self.results_named(end, place))

    def unlabelled_states(self, part: Part, place: Place) -> None:
        """States that are set to a tensor which is there already: each takes a position, which is missing now."""
        while place.bare and part.name.isdigit() and int(part.name) > place.position:
            name = next((name for name, ref in place.bare.items() if self.known.paths.get(ref)), None)
            if name is None:
                return
            self.assign(name, place.bare[name], place)

    def assign(self, name: str, ref: TensorRef, place: Place) -> None:
        """`h = @tensor`."""
        self.lines.append(f"{name} = {self.known.spell(ref, place)}")
        place.position, place.flow, place.names[name] = place.position + 1, ref, ref
        place.bare.pop(name, None)
