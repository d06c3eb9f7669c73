"""`module name: chain`: one set of weights, applied wherever the name stands as an element.

Each use makes layers of its own under the path of the use; the weights they apply lie under the module's path.
"""

from __future__ import annotations

from dataclasses import replace

from archdsl.graph.claims import claims_of
from archdsl.graph.elaborate import register_statement
from archdsl.graph.results import refuse_taken
from archdsl.graph.state import Here, Value
from archdsl.graph.values import Env, Module
from archdsl.language import syntax as s
from archdsl.language.diagnostics import error


def run_module(statement: s.ModuleStatement, value: Value | None, here: Here) -> Value | None:
    """Declares; nothing is applied yet. Names and references in the chain mean what they mean here."""
    refuse_taken(statement.name, statement.name_span, here)
    clauses = statement.clauses
    if clauses.origin or clauses.training is not None or clauses.preprocess:
        raise error("syntax-error", "only `expect` can follow a `module`", clauses.span)
    path = here.naming.label(statement.name, statement.name_span)
    here.naming.position -= 1  # a module is no layer, so it takes no position
    owner = here.owner(path)
    here.e.claims += claims_of("expect", owner, clauses.expects, here.place(None))
    seen = replace(here, env=Env(dict(here.env.names), here.env.parent))
    here.env.names[statement.name] = Module(owner, statement, seen)
    return value


def register() -> None:
    """Enter the rule of this file; `archdsl.graph.network` does so once."""
    register_statement(s.ModuleStatement, run_module)
