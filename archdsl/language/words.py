"""Terminals of the grammar in the words of the language, and what is meant where the text does not fit it.

No reader ever meets a grammar token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

KEYWORDS = frozenset(
    """
use let block network published of input initialize output train repeat for in if else skip expect from training
preprocess because by not and or one tensor concat add mul max weights module recur over time with as
""".split()
)

#: words that mean something inside an expression, so no value can have their name
OPERATOR_WORDS = frozenset({"in", "if", "else", "and", "or", "not"})

PUNCTUATION = {
    "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`", "COMMA": "`,`",
    "COLON": "`:`", "EQUAL": "`=`", "AT": "`@`", "DOT": "`.`", "SEMICOLON": "`;`", "__ANON_0": "`->`",
    "__ANON_1": "`->`", "__ANON_2": "`..`", "PLUS": "`+`", "MINUS": "`-`", "TIMES": "`*`", "_POWER": "`**`",
    "COMPARE": "a comparison", "NUMBER": "a number", "INDEX": "a number", "STRING": "a string",
    "DOCSTRING": "a docstring", "NAME": "a name", "STEM": "a name",
    "_NEWLINE": "the end of the line", "$END": "the end of the file",
}  # fmt: skip

VALUE = {"NUMBER", "STRING", "LPAR", "LSQB", "MINUS", "PLUS"}
LAYER = {"NAME", "SKIP", "CONCAT", "REPEAT", "RECUR"}
ITEM = {"BLOCK", "NETWORK", "PUBLISHED"}
CLAUSE = {"EXPECT", "FROM", "TRAINING", "PREPROCESS", "AS"}
OPERATORS = {"PLUS", "MINUS", "TIMES", "_POWER", "COMPARE", "AND", "OR", "IN", "IF", "LSQB", "DOT"}
SEPARATORS = {"_NEWLINE", "SEMICOLON"}


def describe(terminal: str, text: str) -> str:
    """What stands in the file, quoted as it stands there."""
    if terminal == "_NEWLINE":
        return "end of the line"
    if terminal == "$END":
        return "end of the file"
    if text in KEYWORDS:
        return f"the word `{text}`"
    return f"`{text}`" if len(text) <= 30 else f"`{text[:27]}...`"


def expected_words(terminals: Iterable[str]) -> str:
    """'a value', '`,` or `)`', 'a layer or `}`': what could stand here instead."""
    terminals = set(terminals)
    left = set(terminals)
    words: list[str] = []
    for group, word in (
        (ITEM, "a `block`, a `network` or a `published` table"),
        (LAYER, "a layer"),
        (VALUE, "a value"),
    ):
        if group <= left:
            words.append(word)
            left -= {"NAME", "INDEX", "IN", "AT", "LBRACE", "NOT", *group}
            left -= {
                "FOR",
                "IF",
                "ADD",
                "MUL",
                "MAX",
                "LET",
                "INPUT",
                "OUTPUT",
                "INITIALIZE",
                "USE",
                "DOCSTRING",
                "MODULE",
            }
    if ITEM & terminals:
        left -= SEPARATORS | {"$END"}
    if left >= SEPARATORS or "$END" in left:
        # between statements almost everything may follow; the end of the statement says it best
        left -= OPERATORS | CLAUSE | SEPARATORS | {"$END", "LPAR", "EQUAL"}
        words.append("the end of the statement")
    if left & {"RPAR", "RSQB", "COMMA", "LBRACE"}:
        left -= OPERATORS
    words += sorted({PUNCTUATION.get(name, f"`{name.lower()}`") for name in left})
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1] if words else "nothing more"


# What is meant where a statement does not fit the grammar -------------------------------------------------------------

_NUMBER = r"\d[\d_]*(?:\.\d+)?"
_TENSOR = r"@[\w.]+"
_ARITHMETIC = re.compile(
    rf"(?:\w+:)?\s*(?:(?P<left>{_NUMBER})\s*(?P<before>[-+*])\s*{_TENSOR}|{_TENSOR}\s*(?P<after>[-+*/])\s*(?P<right>{_NUMBER}))"
)
_CONDITION = re.compile(r"\bif\b(?!.*\belse\b)(?:[^={]|[=!<>]=)*$")
#: comments, strings and docstrings, whose braces mean nothing; and braces
_BRACES = re.compile(r'"""[\s\S]*?"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|[{}]')


def meant(text: str, offset: int) -> str | None:
    """Help for the statement at an offset, for what people write who know other languages."""
    start = max(text.rfind(mark, 0, offset) for mark in "{;\n") + 1
    before, statement = text[start:offset], re.split(r"[};\n#]", text[start:], maxsplit=1)[0].strip()
    if text[offset : offset + 1] == "=" and _CONDITION.search(before):
        return "a comparison is written `==`"
    if re.fullmatch(_NUMBER, statement):
        return _number_as_branch(statement, text[:start])
    found = _ARITHMETIC.match(statement)
    return f"layers compute with tensors: `{_scale(found)}`" if found else None


def _number_as_branch(number: str, before: str) -> str | None:
    """A number merged with a tensor is a layer on that tensor."""
    merges = re.findall(r"\b(add|mul)\s*\{[^{}]*$", before)
    if not merges:
        return None
    layer = f"scale({number})" if merges[-1] == "mul" else f"scale(1, offset = {number})"
    return f"a branch is a layer, not a number; in place of the `{merges[-1]}`: `{layer}`"


def _scale(found: re.Match[str]) -> str:
    sign, number = found["before"] or found["after"], found["left"] or found["right"]
    if sign in "*/":
        return f"scale({number})" if sign == "*" else f"scale(1 / {number})"
    if sign == "+":
        return f"scale(1, offset = {number})"
    return f"scale(-1, offset = {number})" if found["before"] else f"scale(1, offset = -{number})"


def unclosed(text: str) -> int | None:
    """Offset of the brace that lacks its partner, as the layout tells: what closes it stands too far left."""
    opened: list[int] = []
    for found in _BRACES.finditer(text):
        if found[0] == "{":
            opened.append(found.start())
        elif found[0] == "}" and opened:
            last = opened.pop()
            alone = not text[text.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
            if alone and _indent(text, last) > _indent(text, found.start()):
                return last
    return opened[-1] if opened else None


def _indent(text: str, offset: int) -> int:
    """Columns before the text of the line that an offset lies in."""
    line = text[text.rfind("\n", 0, offset) + 1 :]
    return len(line) - len(line.lstrip(" \t"))
