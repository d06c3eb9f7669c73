"""Lark's tree to the syntax tree of `archdsl.language.syntax`; one method per rule of the grammar."""

from __future__ import annotations

import ast
from typing import Any

from lark import Token, Tree, v_args
from lark.visitors import Transformer_NonRecursive

from archdsl.language import syntax as s
from archdsl.language.diagnostics import error
from archdsl.language.numerals import number_value
from archdsl.language.source import Source, Span
from archdsl.language.words import KEYWORDS, OPERATOR_WORDS

Kids = list[Any]


@v_args(meta=True)
class Builder(Transformer_NonRecursive[Token, Any]):
    """Builds nodes bottom up without recursion, so that depth of nesting costs no stack."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.assigned: list[Span] = []  # `=` of assignments outside any `recur` so far
        for name in RULES:  # lark wraps a method anew each time it is looked up; wrapped once is enough
            setattr(self, name, getattr(self, name))

    def span(self, meta: Any) -> Span:
        if meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def at(self, token: Token) -> Span:
        assert token.start_pos is not None
        assert token.end_pos is not None
        return Span(self.source, token.start_pos, token.end_pos)

    def defined(self, token: Token, words: frozenset[str] = OPERATOR_WORDS) -> str:
        """A name that is given a meaning here; `words` mean something else where it would be used."""
        if token in words:
            message = f"`{token}` is a word of the language and cannot be a name"
            raise error("syntax-error", message, self.at(token), label="choose another name")
        return str(token)

    # Items

    def start(self, meta: Any, kids: Kids) -> s.File:
        for sign in self.assigned:
            message = "unexpected `=`: only a state of a `recur` is assigned"
            help = "a stage is labelled with a colon: `conv1: conv(64, 3)`; a constant is `let x = 3`"
            raise error("syntax-error", message, sign, help=help)
        docstrings = [kid for kid in kids if isinstance(kid, str)]
        return s.File(
            self.source,
            docstrings[0] if docstrings else None,
            tuple(k for k in kids if isinstance(k, s.Use)),
            tuple(k for k in kids if isinstance(k, s.Let)),
            tuple(k for k in kids if isinstance(k, s.Block)),
            tuple(k for k in kids if isinstance(k, s.Network | s.Variant)),
            tuple(k for k in kids if isinstance(k, s.Published)),
        )

    def docstring(self, meta: Any, kids: Kids) -> str:
        return str(kids[0])[3:-3].strip()

    def use(self, meta: Any, kids: Kids) -> s.Use:
        return s.Use(self.at(kids[0]), self.unquote(kids[0]))

    def let(self, meta: Any, kids: Kids) -> s.Let:
        return s.Let(self.span(meta), self.defined(kids[0]), self.at(kids[0]), kids[1])

    def block(self, meta: Any, kids: Kids) -> s.Block:
        name, *rest = kids
        parameters = rest[0] if len(rest) == 2 else ()
        return s.Block(self.span(meta), self.defined(name, KEYWORDS), self.at(name), parameters, rest[-1])

    def network(self, meta: Any, kids: Kids) -> s.Network:
        name, *rest = kids
        parameters = rest[0] if len(rest) == 3 else ()
        return s.Network(self.span(meta), self.defined(name), self.at(name), parameters, rest[-2], rest[-1])

    def variant(self, meta: Any, kids: Kids) -> s.Variant:
        name, base, *rest = kids
        arguments = rest[0] if len(rest) == 2 else None
        return s.Variant(
            self.span(meta), self.defined(name), self.at(name), str(base), self.at(base), arguments, rest[-1]
        )

    def published(self, meta: Any, kids: Kids) -> s.Published:
        title, network, *rest = kids
        settings = rest.pop(0) if rest and isinstance(rest[0], s.Arguments) else None
        return s.Published(
            self.span(meta), self.unquote(title), str(network), self.at(network), settings, tuple(rest)
        )  # fmt: skip

    def row(self, meta: Any, kids: Kids) -> s.Row:
        path, claims, *because = kids
        return s.Row(self.span(meta), path, claims, because[0] if because else None)

    def because(self, meta: Any, kids: Kids) -> str:
        return self.unquote(kids[0])

    def parameters(self, meta: Any, kids: Kids) -> tuple[s.Parameter, ...]:
        return tuple(kids)

    def parameter(self, meta: Any, kids: Kids) -> s.Parameter:
        name, *rest = kids
        domain = next((kid for kid in rest if isinstance(kid, s.OneOf | s.Interval | s.TensorDomain)), None)
        default = next((kid for kid in rest if isinstance(kid, s.Expression)), None)
        return s.Parameter(self.at(name), self.defined(name), domain, default)

    def one_of(self, meta: Any, kids: Kids) -> s.OneOf:
        return s.OneOf(self.span(meta), kids[0])

    def interval(self, meta: Any, kids: Kids) -> s.Interval:
        return s.Interval(self.span(meta), *kids)

    def tensor_domain(self, meta: Any, kids: Kids) -> s.TensorDomain:
        return s.TensorDomain(self.span(meta))

    def default(self, meta: Any, kids: Kids) -> s.Expression:
        value: s.Expression = kids[0]
        return value

    # Statements

    def body(self, meta: Any, kids: Kids) -> s.Body:
        docstring = kids[0] if kids and isinstance(kids[0], str) else None
        return s.Body(self.span(meta), docstring, tuple(kid for kid in kids if not isinstance(kid, str)))

    def input(self, meta: Any, kids: Kids) -> s.InputStatement:
        name, *rest = kids
        dtype = rest[0] if len(rest) == 3 else None
        return s.InputStatement(self.span(meta), str(name), self.at(name), dtype, rest[-2], rest[-1])

    def dtype(self, meta: Any, kids: Kids) -> s.Name:
        return s.Name(self.at(kids[0]), str(kids[0]))

    def dimension(self, meta: Any, kids: Kids) -> s.Dimension:
        name, *rest = kids
        step = next((kid.value for kid in rest if isinstance(kid, s.Step)), None)
        numbers = [kid for kid in rest if not isinstance(kid, s.Step)]
        low, high = numbers[:2] if len(numbers) > 1 else (None, None)
        nominal = numbers[-1] if len(numbers) in (1, 3) else None
        return s.Dimension(self.span(meta), self.defined(name), low, high, step, nominal)

    def step(self, meta: Any, kids: Kids) -> s.Step:
        return s.Step(self.span(meta), kids[0])

    def initialize(self, meta: Any, kids: Kids) -> s.Initialize:
        return s.Initialize(self.span(meta), tuple(kids))

    def train(self, meta: Any, kids: Kids) -> s.Train:
        return s.Train(self.span(meta), tuple(kids))

    def weights(self, meta: Any, kids: Kids) -> s.Weights:
        return s.Weights(self.span(meta), tuple(kids))

    def rule(self, meta: Any, kids: Kids) -> s.Rule:
        kind, text, *to = kids
        raw = [str(string)[1:-1].replace('\\"', '"') for string in (text, *to)]  # regular expressions need backslashes
        return s.Rule(
            self.span(meta), str(kind), self.at(kind), raw[0], self.at(text), raw[1] if to else None
        )  # fmt: skip

    def output(self, meta: Any, kids: Kids) -> s.OutputStatement:
        return s.OutputStatement(self.span(meta), *kids)

    def module(self, meta: Any, kids: Kids) -> s.ModuleStatement:
        name, *rest = kids
        return s.ModuleStatement(self.span(meta), self.defined(name), self.at(name), *rest)

    def assign(self, meta: Any, kids: Kids) -> s.Assign:
        name = self.at(kids[0])
        sign = self.source.text.index("=", name.end)
        self.assigned.append(Span(self.source, sign, sign + 1))
        return s.Assign(self.span(meta), s.LabelName(name, (str(kids[0]),)), kids[1])

    def stage(self, meta: Any, kids: Kids) -> s.Stage:
        return s.Stage(self.span(meta), *kids)

    def chain(self, meta: Any, kids: Kids) -> s.Chain:
        return s.Chain(self.span(meta), tuple(kids))

    def link(self, meta: Any, kids: Kids) -> s.Link:
        label = kids.pop(0) if isinstance(kids[0], s.LabelName) else None
        return s.Link(self.span(meta), label, *kids)

    def results(self, meta: Any, kids: Kids) -> s.Results:
        return s.Results(self.span(meta), tuple(map(self.defined, kids)), tuple(map(self.at, kids)))

    def choice_element(self, meta: Any, kids: Kids) -> s.ChosenElement:
        pairs = tuple(zip(kids[:-1:2], kids[1::2], strict=True))
        return s.ChosenElement(self.span(meta), pairs, kids[-1])

    def label(self, meta: Any, kids: Kids) -> s.LabelName:
        return s.LabelName(self.span(meta), tuple(str(kid) if isinstance(kid, Token) else kid for kid in kids))

    def interpolation(self, meta: Any, kids: Kids) -> s.Expression:
        value: s.Expression = kids[0]
        return value

    def word(self, meta: Any, kids: Kids) -> Token:
        token: Token = kids[0]
        return token

    # Elements

    def call(self, meta: Any, kids: Kids) -> s.Call:
        name, *arguments = kids
        return s.Call(self.span(meta), str(name), self.at(name), arguments[0] if arguments else None)

    def reference(self, meta: Any, kids: Kids) -> s.ReferenceElement:
        return s.ReferenceElement(self.span(meta), kids[0])

    def incoming(self, meta: Any, kids: Kids) -> s.IncomingElement:
        return s.IncomingElement(self.span(meta))

    def skip(self, meta: Any, kids: Kids) -> s.Skip:
        return s.Skip(self.span(meta))

    def braces(self, meta: Any, kids: Kids) -> s.Braces:
        return s.Braces(self.span(meta), kids[0])

    def combinator(self, meta: Any, kids: Kids) -> s.Combinator:
        word, *rest = kids
        return s.Combinator(self.span(meta), str(word), self.at(word), rest[0] if len(rest) == 2 else None, rest[-1])

    def combinator_word(self, meta: Any, kids: Kids) -> Token:
        token: Token = kids[0]
        return token

    def repeat(self, meta: Any, kids: Kids) -> s.Repeat:
        return s.Repeat(self.span(meta), *kids)

    def loop(self, meta: Any, kids: Kids) -> s.Loop:
        *names, items, body = kids
        return s.Loop(self.span(meta), tuple(map(self.defined, names)), tuple(map(self.at, names)), items, body)

    def conditional(self, meta: Any, kids: Kids) -> s.Conditional:
        otherwise = kids.pop() if isinstance(kids[-1], tuple) else None
        branches = tuple(zip(kids[::2], kids[1::2], strict=True))
        return s.Conditional(self.span(meta), branches, otherwise[0] if otherwise else None)

    def recur(self, meta: Any, kids: Kids) -> s.Recur:
        *states, body = kids
        span = self.span(meta)
        self.assigned = [sign for sign in self.assigned if not span.start < sign.start < span.end]
        return s.Recur(span, Span(self.source, span.start, span.start + len("recur")), tuple(states), body)

    def state(self, meta: Any, kids: Kids) -> s.State:
        return s.State(self.at(kids[0]), self.defined(kids[0]), kids[1])

    def otherwise(self, meta: Any, kids: Kids) -> tuple[s.Body]:
        return (kids[0],)  # wrapped, so that `conditional` can tell it from a branch's body

    # Clauses

    def clauses(self, meta: Any, kids: Kids) -> s.Clauses:
        found: dict[str, Any] = {"expects": ()}
        for word, value, span in kids:
            if word == "expects":
                found[word] += value
            elif word in found:
                raise error("syntax-error", f"`{span.text.split()[0]}` is said twice for one statement", span)
            else:
                found[word] = value
        return s.Clauses(self.span(meta), **found)

    def expect(self, meta: Any, kids: Kids) -> tuple[str, Any, Span]:
        return "expects", kids[0], self.span(meta)

    def origin(self, meta: Any, kids: Kids) -> tuple[str, Any, Span]:
        return "origin", kids[0], self.span(meta)

    def training(self, meta: Any, kids: Kids) -> tuple[str, Any, Span]:
        return "training", tuple(kids), self.span(meta)

    def preprocess(self, meta: Any, kids: Kids) -> tuple[str, Any, Span]:
        return "preprocess", tuple(kids), self.span(meta)

    def claims(self, meta: Any, kids: Kids) -> tuple[s.ClaimNode, ...]:
        return tuple(kids)

    def claim(self, meta: Any, kids: Kids) -> s.ClaimNode:
        return s.ClaimNode(self.span(meta), str(kids[0]), self.at(kids[0]), kids[1])

    def named(self, meta: Any, kids: Kids) -> s.Named:
        return s.Named(self.span(meta), str(kids[0]), self.at(kids[0]), kids[1])

    setting = named

    def arguments(self, meta: Any, kids: Kids) -> s.Arguments:
        named = tuple(kid for kid in kids if isinstance(kid, s.Named))
        positional = tuple(kid for kid in kids if not isinstance(kid, s.Named))
        late = next((kid for kid in positional if named and kid.span.start > named[0].span.start), None)
        if late is not None:
            message = "an argument without a name stands after a named one"
            raise error("syntax-error", message, late.span, help="put it first, or give it its name")
        return s.Arguments(self.span(meta), positional, named)

    def root(self, meta: Any, kids: Kids) -> str:
        return ""

    def path(self, meta: Any, kids: Kids) -> s.Path:
        return s.Path(self.span(meta), tuple(map(str, kids)))

    def target(self, meta: Any, kids: Kids) -> s.Path:
        return s.Path(self.span(meta), tuple(kid if isinstance(kid, s.LabelName) else str(kid) for kid in kids))

    computed = label

    # Expressions

    def choice(self, meta: Any, kids: Kids) -> s.Choice:
        return s.Choice(self.span(meta), tuple(kids))

    def either(self, meta: Any, kids: Kids) -> s.Either:
        return s.Either(self.span(meta), tuple(kids))

    def both(self, meta: Any, kids: Kids) -> s.Both:
        return s.Both(self.span(meta), tuple(kids))

    def negation(self, meta: Any, kids: Kids) -> s.Negation:
        return s.Negation(self.span(meta), len(kids) - 1, kids[-1])

    def comparison(self, meta: Any, kids: Kids) -> s.Operation:
        rest = zip(map(str, kids[1::2]), kids[2::2], strict=True)
        return s.Operation(self.span(meta), kids[0], tuple(rest))

    sum = product = comparison

    def unary(self, meta: Any, kids: Kids) -> s.Unary:
        return s.Unary(self.span(meta), tuple(map(str, kids[:-1])), kids[-1])

    exponent = unary

    def power(self, meta: Any, kids: Kids) -> s.Power:
        return s.Power(self.span(meta), tuple(kids))

    def postfix(self, meta: Any, kids: Kids) -> s.Postfix:
        return s.Postfix(self.span(meta), kids[0], tuple(kids[1:]))

    def index(self, meta: Any, kids: Kids) -> s.Index:
        return s.Index(self.span(meta), kids[0])

    def property(self, meta: Any, kids: Kids) -> s.Property:
        return s.Property(self.at(kids[0]), str(kids[0]))

    def number(self, meta: Any, kids: Kids) -> s.Number:
        text = str(kids[0])
        return s.Number(self.span(meta), text, number_value(text, self.span(meta)))

    def string(self, meta: Any, kids: Kids) -> s.String:
        return s.String(self.span(meta), self.unquote(kids[0]))

    def name(self, meta: Any, kids: Kids) -> s.Name:
        return s.Name(self.span(meta), str(kids[0]))

    def function(self, meta: Any, kids: Kids) -> s.Function:
        return s.Function(self.span(meta), str(kids[0]), self.at(kids[0]), kids[1])

    def incoming_value(self, meta: Any, kids: Kids) -> s.Incoming:
        return s.Incoming(self.span(meta))

    def reference_value(self, meta: Any, kids: Kids) -> s.Reference:
        return s.Reference(self.span(meta), kids[0])

    def list(self, meta: Any, kids: Kids) -> s.ListLiteral:
        return s.ListLiteral(self.span(meta), tuple(kids))

    def map(self, meta: Any, kids: Kids) -> s.MapLiteral:
        return s.MapLiteral(self.span(meta), tuple(kids))

    def pair(self, meta: Any, kids: Kids) -> tuple[s.Expression, s.Expression]:
        return (kids[0], kids[1])

    def unquote(self, token: Token) -> str:
        try:
            return str(ast.literal_eval(str(token)))
        except (ValueError, SyntaxError):  # e.g. "\x", which Python's own string syntax refuses too
            message = "this string has an escape that does not exist"
            raise error("unterminated-string", message, self.at(token), help='write a backslash as `"\\\\"`') from None


HELPERS = ("span", "at", "defined", "unquote")
RULES = [name for name in vars(Builder) if not name.startswith("_") and name not in HELPERS]


def build(tree: Tree[Token], source: Source) -> s.File:
    """The syntax tree of a parse."""
    file: s.File = Builder(source).transform(tree)
    return file
