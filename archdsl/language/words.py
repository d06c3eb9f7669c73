"""Terminals of the grammar in the words of the language; no reader ever meets a grammar token."""

from __future__ import annotations

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
