"""What is meant by text that the grammar refuses, and which brace lacks its partner."""

from __future__ import annotations

import pytest

from archdsl.language.words import meant, unclosed


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ('if mode |= "a" { relu }', "a comparison is written `==`"),
        ("{ relu; if mode |= 3 { relu } }", "a comparison is written `==`"),
        ("if a == 2 and b |= 3 { relu }", "a comparison is written `==`"),
        ("let k = 3 if a |= 2 else 4", "a comparison is written `==`"),
        ("mul { skip; 0|.5 }", "a branch is a layer, not a number; in place of the `mul`: `scale(0.5)`"),
        ("mul { skip; 3 |}", "a branch is a layer, not a number; in place of the `mul`: `scale(3)`"),
        ("mul {\n  skip\n  3|\n}", "a branch is a layer, not a number; in place of the `mul`: `scale(3)`"),
        ("add { skip; 2 |}", "a branch is a layer, not a number; in place of the `add`: `scale(1, offset = 2)`"),
        ("1 |- @x", "layers compute with tensors: `scale(-1, offset = 1)`"),
        ("{ relu; y: |1 - @x }", "layers compute with tensors: `scale(-1, offset = 1)`"),
        ("2|*@enc.a", "layers compute with tensors: `scale(2)`"),
        ("@x |* 2", "layers compute with tensors: `scale(2)`"),
        ("@x |/ 2.5", "layers compute with tensors: `scale(1 / 2.5)`"),
        ("@x |- 1", "layers compute with tensors: `scale(1, offset = -1)`"),
        ("@x |+ 1", "layers compute with tensors: `scale(1, offset = 1)`"),
    ],
)
def test_help(text: str, help: str) -> None:
    assert meant(text.replace("|", ""), text.index("|")) == help


@pytest.mark.parametrize(
    "text",
    [
        "conv1 |= conv(3, 1)",
        "let k = 3 if a else b |= 4",
        "relu; 3 |; tanh",
        "concat { skip; 3 |}",
        "mul { skip; relu }\n3 |",
        "conv(3, 1|",
        "|",
    ],
)
def test_no_help_where_nothing_is_known(text: str) -> None:
    assert meant(text.replace("|", ""), text.index("|")) is None


@pytest.mark.parametrize(
    "text",
    [
        "network n |{\n  relu\n",
        # the line that closes it stands further left than the line that opened it
        "network n {\n  add |{\n    skip\n  tanh\n}\n",
        "network n {\n  add {\n    if a |{\n      skip\n  }\n  tanh\n}\n",
        "block b {\n\tif a |{\n\t\trelu\n}\n",
        # braces on one line, in strings and in comments have no layout
        "network n |{\n  add { skip; relu }\n  if a { b: { relu } }\n",
        'network n |{\n  """ } """\n  weights { prefix "}" = "{" }  # }\n',
        # where the layout says nothing, the innermost that is open
        "network n {\nadd {\nmul |{\n}\n}\n".replace("}\n}\n", ""),
    ],
)
def test_the_brace_that_lacks_its_partner(text: str) -> None:
    assert unclosed(text.replace("|", "")) == text.index("|")


def test_all_braces_are_closed() -> None:
    assert unclosed("network n {\n  add { skip; relu }\n}\n") is None
