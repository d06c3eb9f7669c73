"""Names for tensors: `-> split(4) as f, i, o, g`."""

from __future__ import annotations

from archdsl.graph.state import Here, Value
from archdsl.graph.values import POISON, Tensor
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.language.source import Span
from archdsl.ops import OPS


def name_results(names: s.Results, result: Value | None, here: Here) -> None:
    """Bind names to the results of an element in order; fewer names than results are fine.

    More are reported (`result-count`), and those that are left over poison. Raises `ArchError`
    (`duplicate-definition`, `not-a-tensor`).
    """
    here.env.names.update(dict.fromkeys(names.names, POISON))
    for name, span in zip(names.names, names.name_spans, strict=True):
        refuse_taken(name, span, here)
    if result is None:
        raise error("not-a-tensor", "nothing flows here that could be named", names.span)
    if not isinstance(result, Tensor):
        return
    results = result.siblings or (result,)
    if len(names.names) > len(results):
        given = "1 result" if len(results) == 1 else f"{len(results)} results"
        message = f"there are {len(names.names)} names, but this has {given}"
        here.e.reject(error("result-count", message, names.name_spans[len(results)]), here.stack)
    for name, tensor in zip(names.names, results, strict=False):
        here.env.names[name] = tensor
        here.e.names.setdefault(tensor.ref, here.naming.join(name))


def refuse_taken(name: str, span: Span, here: Here) -> None:
    """A name that stands for a tensor or a module in place of an element can be no op and no block."""
    kind = "an op" if name in OPS else "a block" if name in here.e.program.blocks else None
    if kind is not None:
        message = f"`{name}` is {kind}, so nothing else can have this name here"
        raise error("duplicate-definition", message, span)
