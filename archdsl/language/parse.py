"""Text to syntax tree, and syntax errors in the words of the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

from archdsl import resources
from archdsl.language import syntax as s
from archdsl.language.build import build
from archdsl.language.cache import cache_folder
from archdsl.language.diagnostics import ArchError, Diagnostic, Label, error
from archdsl.language.limits import Limits
from archdsl.language.source import Source, Span
from archdsl.language.words import KEYWORDS, describe, expected_words, meant, unclosed
from archdsl.version import __version__

CLOSING = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
CLOSERS = {"RPAR": ")", "RSQB": "]", "RBRACE": "}"}
ITEM_WORDS = frozenset({"BLOCK", "NETWORK", "PUBLISHED", "USE"})
ITEM = re.compile(r"^(?:block|network|published|use|let)\b", re.MULTILINE)
MOST_ERRORS = 20


@dataclass
class Newlines:
    """Lark's postlex filter: drops newlines inside ( ) and [ ], and watches how deep brackets nest."""

    always_accept = ("_NEWLINE",)
    nesting: int = 0
    open: list[Token] = field(default_factory=list)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        self.open = []
        previous = None
        for token in stream:
            if token.type in CLOSING:
                self._enter(token)
            elif token.type in CLOSERS and self.open and CLOSING[self.open[-1].type] == token:
                self.open.pop()
            inside = bool(self.open) and self.open[-1].type != "LBRACE"
            if token.type == "_NEWLINE" and (inside or previous == "COMMA"):
                continue  # nothing can end after a comma
            if self.open and token.type in ITEM_WORDS:
                token.type = "NAME"  # no item begins in a body: `block{i}: ...` is a label there, on a new line too
            previous = token.type
            yield token

    def _enter(self, token: Token) -> None:
        self.open.append(token)
        if len(self.open) > self.nesting:
            raise _TooDeep(token)


class _TooDeep(Exception):
    def __init__(self, token: Token) -> None:
        super().__init__(token)
        self.token = token


@cache
def _parser() -> tuple[Lark, Newlines]:
    """The LALR tables, kept in the user's cache folder between runs where there is one."""
    newlines = Newlines()
    grammar = (resources.folder("grammars") / "arch.lark").read_text("utf-8")
    options = {"parser": "lalr", "propagate_positions": True, "postlex": newlines, "maybe_placeholders": False}
    folder = cache_folder()
    if folder is None:
        return Lark(grammar, **options), newlines
    try:
        return Lark(grammar, cache=str(folder / f"grammar-{__version__}.lark-cache"), **options), newlines
    except OSError:  # a full or read-only cache folder costs time, nothing else
        return Lark(grammar, **options), newlines


def parse(source: Source, limits: Limits) -> s.File:
    """The syntax tree; raises `ArchError` with the first syntax error of each item that has one."""
    _refuse_large(source, limits)
    try:
        return _parse(source, limits)
    except ArchError as first:
        raise ArchError(_every_item(source, limits) or first.diagnostics) from None


def _refuse_large(source: Source, limits: Limits) -> None:
    if len(source.text) > limits.file_size:
        message = f"the file has {len(source.text):,} characters; the limit is {limits.file_size:,}"
        raise error("file-too-large", message, Span(source, 0, 0), help="raise it with `--limit file-size=...`")


def _parse(source: Source, limits: Limits) -> s.File:
    lark, newlines = _parser()
    newlines.nesting = limits.nesting
    try:
        return build(lark.parse(source.text), source)
    except VisitError as wrapped:
        raise wrapped.orig_exc from None
    except _TooDeep as deep:
        message = f"brackets are nested more than {limits.nesting} deep"
        raise error("limit-nesting", message, _span(deep.token, source), help=_raise_limit("nesting")) from None
    except UnexpectedInput as unexpected:
        raise ArchError([_diagnostic(unexpected, source, newlines.open)]) from None


def tokens(source: Source, limits: Limits) -> tuple[list[Token], Tree[Token]]:
    """A parsed file's tokens but its line ends, as Lark has them, and its tree; raises `ArchError` as `parse` does."""
    _refuse_large(source, limits)
    lark, newlines = _parser()
    newlines.nesting = limits.nesting
    try:
        interactive = lark.parse_interactive(source.text)
        found = [token for token in interactive.iter_parse() if token.type != "_NEWLINE"]
        tree: Tree[Token] = interactive.feed_eof()  # type: ignore[no-untyped-call]
        build(tree, source)  # refuses what the grammar alone lets pass
    except (VisitError, UnexpectedInput, _TooDeep):
        parse(source, limits)  # says what is wrong
        raise
    return found, tree


def _every_item(source: Source, limits: Limits) -> list[Diagnostic]:
    """Errors of each item parsed on its own, so that one mistake does not hide those of other items."""
    starts = [match.start() for match in ITEM.finditer(source.text)]
    found: list[Diagnostic] = []
    for start, end in zip([0, *starts], [*starts, len(source.text)], strict=True):
        try:
            _parse(Source(source.name, source.text[start:end]), limits)
        except ArchError as failure:
            found += (_shifted(diagnostic, source, start) for diagnostic in failure.diagnostics)
        if len(found) >= MOST_ERRORS:
            break
    return found


def _shifted(diagnostic: Diagnostic, source: Source, offset: int) -> Diagnostic:
    def move(span: Span) -> Span:
        return Span(source, span.start + offset, span.end + offset)

    assert diagnostic.span is not None
    labels = tuple(replace(label, span=move(label.span)) for label in diagnostic.labels)
    return replace(diagnostic, span=move(diagnostic.span), labels=labels)


def _diagnostic(unexpected: UnexpectedInput, source: Source, open_brackets: list[Token]) -> Diagnostic:
    if isinstance(unexpected, UnexpectedCharacters):
        return _bad_character(source, unexpected.pos_in_stream or 0)
    assert isinstance(unexpected, UnexpectedToken)
    token = _whole_arrow(unexpected.token, source)
    if token.type == "$END":
        return _unfinished(source, unexpected, open_brackets)
    if token.type in CLOSERS and open_brackets:
        return _wrong_closing(source, token, open_brackets[-1])
    if token.type == "ARROW" and open_brackets and open_brackets[-1].type != "LBRACE":
        return _arrow_in_brackets(source, token, open_brackets[-1])
    before = unexpected.token_history[-1] if unexpected.token_history else None
    if token == ":" and before is not None and before in KEYWORDS:
        message = f"`{before}` is a word of the language and cannot be a label"
        return Diagnostic("syntax-error", message, _span(before, source), label="choose another label")
    expected = set(unexpected.accepts or unexpected.expected)
    if token in KEYWORDS and "NAME" in expected:
        message = f"`{token}` is a word of the language and cannot be a name"
        return Diagnostic("syntax-error", message, _span(token, source), label="choose another name")
    if open_brackets and open_brackets[-1].type != "LBRACE" and open_brackets[-1].line != token.line:
        return _left_open(source, token, open_brackets[-1])
    message = f"unexpected {describe(token.type, str(token))}; expected {expected_words(expected)}"
    return Diagnostic("syntax-error", message, _span(token, source), help=_hint(token, expected, source))


def _left_open(source: Source, token: Token, bracket: Token) -> Diagnostic:
    """A round or square bracket still open from an earlier line: that is the cause, the token only where it shows."""
    closing = CLOSING[bracket.type]
    labels = (Label(_span(token, source), f"still inside `{bracket}` here"),)
    message = f"this `{bracket}` is not closed"
    return Diagnostic("unclosed-bracket", message, _span(bracket, source), label=f"needs a `{closing}`", labels=labels)


def _whole_arrow(token: Token, source: Source) -> Token:
    """Where a minus could stand, `->` arrives as two tokens; report it as what the user wrote."""
    assert token.start_pos is not None
    if token != ">" or not source.text.startswith("->", token.start_pos - 1):
        return token
    return Token("ARROW", "->", token.start_pos - 1, token.line, end_pos=token.start_pos + 1)


def _hint(token: Token, expected: set[str], source: Source) -> str | None:
    help = meant(source.text, _span(token, source).start)
    if help is not None:
        return help
    if token.type == "STRING" and "NAME" in expected and "SKIP" not in expected:
        return 'a rule of `weights` begins with its kind: `prefix "old." = "new."`'
    if token == "=":
        return "a stage is labelled with a colon: `conv1: conv(64, 3)`; a constant is `let x = 3`"
    return None


def _arrow_in_brackets(source: Source, token: Token, bracket: Token) -> Diagnostic:
    label = Label(_span(bracket, source), f"this `{bracket}` is still open: is a `{CLOSING[bracket.type]}` missing?")
    return Diagnostic("syntax-error", "unexpected `->` inside brackets", _span(token, source), labels=(label,))


def _unfinished(source: Source, unexpected: UnexpectedToken, open_brackets: list[Token]) -> Diagnostic:
    end = Span(source, len(source.text), len(source.text))
    if not open_brackets:
        expected = expected_words(set(unexpected.accepts or unexpected.expected))
        return Diagnostic("syntax-error", f"unexpected end of the file; expected {expected}", end)
    bracket = open_brackets[-1]
    closing = CLOSING[bracket.type]
    brace = unclosed(source.text) if bracket.type == "LBRACE" else None
    place = _span(bracket, source) if brace is None else Span(source, brace, brace + 1)
    message = f"this `{bracket}` is never closed"
    return Diagnostic("unclosed-bracket", message, place, label=f"needs a `{closing}`")


def _wrong_closing(source: Source, token: Token, bracket: Token) -> Diagnostic:
    closing = CLOSING[bracket.type]
    labels = (Label(_span(bracket, source), "opened here"),)
    if token == closing:  # the bracket itself is right, something before it is missing
        span = _span(token, source)
        message = f"unexpected `{token}`; expected a value or a layer"
        return Diagnostic("syntax-error", message, span, help=meant(source.text, span.start))
    message = f"`{token}` does not close `{bracket}`"
    return Diagnostic("unclosed-bracket", message, _span(token, source), label=f"expected `{closing}`", labels=labels)


def _bad_character(source: Source, offset: int) -> Diagnostic:
    character = source.text[offset]
    here = Span(source, offset, offset + 1)
    if source.text.startswith('"""', offset):
        return Diagnostic(
            "unterminated-string", 'this docstring has no closing `"""`', Span(source, offset, offset + 3)
        )
    if character == '"':
        return Diagnostic("unterminated-string", 'this string has no closing `"` on its line', here)
    if character == "'":
        return Diagnostic("unexpected-character", "strings are written in double quotes", here, help='write "..."')
    name = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
    return Diagnostic("unexpected-character", f"{name} is not part of the language", here)


def _raise_limit(name: str) -> str:
    return f"raise it with `--limit {name}=...` if this is meant"


def _span(token: Token, source: Source) -> Span:
    assert token.start_pos is not None
    assert token.end_pos is not None
    return Span(source, token.start_pos, max(token.end_pos, token.start_pos + 1))
