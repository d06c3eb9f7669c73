"""Random damage to programs: what must end in diagnostics, or still be a valid network."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from program_ops import Draw, chance, pick

import archdsl

SPECS = Path(__file__).parents[1] / "specs"
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9_.]*|->|\*\*|//|\.\.|[<>=!]=|\s+|.')
UNPLACED = ("not-text", "no-network")  # of a file as a whole
NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "7",
    "1e9",
    "10 ** 18",
    "0.5",
    "1e-300",
    "9" * 30,
    "64K",
    '"3"',
    "true",
    "[1, 2]",
    "in",
    "[]",
)
PIECES = (
    *"(){}[],:;=@.|\n\"'#\\%\t",
    "->", "**", "//", "..", '"""', "\0", "é", "𝟘", "\r\n", "\ufeff", "in", "if", "else", "repeat", "for", "let", "skip",
    "from", "training", "expect", "module", "recur over time with", "as", "concat", "network", "block", "input",
    "output", "global", "same", "in.channels", "@main", "{" * 70, "(" * 70, "input i: [T]",
    "-" * 200, "not " * 100, "conv(3, 3)",
)  # fmt: skip


def shipped() -> tuple[str, ...]:
    """The texts of the specs that stand alone, the short ones, so that thousands can be compiled."""
    texts = (path.read_text("utf-8") for path in sorted(SPECS.rglob("*.arch")))
    return tuple(text for text in texts if len(text) < 4000 and 'use "' not in text)


@st.composite
def mutations(draw: Draw, texts: st.SearchStrategy[str]) -> str | bytes:
    """A text with one to four edits; rarely bytes that are no text."""
    text = draw(texts)
    if chance(draw, 0.03):
        place = draw(st.integers(0, len(text)))
        return text[:place].encode() + draw(st.binary(min_size=1, max_size=8)) + text[place:].encode()
    tokens = TOKEN.findall(text)
    for _ in range(pick(draw, (1, 1, 2, 4))):
        tokens = _edited(draw, tokens)
    return "".join(tokens)


def _edited(draw: Draw, tokens: list[str]) -> list[str]:
    if not tokens:
        return [pick(draw, PIECES)]
    at = draw(st.integers(0, len(tokens) - 1))
    kind = pick(draw, ("delete", "double", "swap", "rename", "number", "bracket", "insert", "cut"))
    if kind == "delete":
        return tokens[:at] + tokens[at + pick(draw, (1, 1, 2, 5)) :]
    if kind == "double":
        length = pick(draw, (1, 1, 3, 10, 40))
        return tokens[: at + length] + tokens[at : at + length] + tokens[at + length :]
    if kind == "swap":
        other = draw(st.integers(0, len(tokens) - 1))
        changed = list(tokens)
        changed[at], changed[other] = changed[other], changed[at]
        return changed
    if kind == "insert":
        return [*tokens[:at], pick(draw, PIECES), *tokens[at:]]
    if kind == "cut":
        return tokens[:at]
    return _replaced(draw, tokens, kind)


def _replaced(draw: Draw, tokens: list[str], kind: str) -> list[str]:
    """Another token for one of a kind: a name, a number or a bracket."""
    fits = {"rename": str.isidentifier, "number": str.isdigit, "bracket": "(){}[]".__contains__}[kind]
    places = [i for i, token in enumerate(tokens) if fits(token)]
    if not places:
        return tokens
    at = pick(draw, places)
    names = [tokens[i] for i in places]
    new = {"rename": (*names, "x", "conv", "e1"), "number": NUMBERS, "bracket": ("", "(", "]", "}", "{")}[kind]
    return [*tokens[:at], pick(draw, new), *tokens[at + 1 :]]


def outcome(text: str | bytes) -> str:
    """`valid` or `refused`; AssertionError for a diagnostic that is not in its text, and whatever else is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.arch"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            net = archdsl.load(path)
        except archdsl.ArchError as refusal:
            return _checked(refusal)
        net.report().to_dict()
        return "valid"


def _checked(refusal: archdsl.ArchError) -> str:
    """Every diagnostic says something; each about the program, not the file as such, says where."""
    assert refusal.diagnostics
    for diagnostic in refusal.diagnostics:
        span = diagnostic.span
        assert diagnostic.message
        assert span is not None or diagnostic.code in UNPLACED, diagnostic
        assert span is None or 0 <= span.start <= span.end <= len(span.source.text), diagnostic
    return "refused"
