"""Diagnostics as text: layout (golden), Unicode, long lines, and what a hostile source cannot do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archdsl.language.diagnostics import Diagnostic, Fix, Frame, Label
from archdsl.language.render import render_text
from archdsl.language.snippet import draw, escape, text_width
from archdsl.language.source import Source, Span

GOOGLENET = """\
block inception(n1x1, pool_proj) {
    concat {
        b1: conv_relu(n1x1, 1)
        b4: maxpool(3, stride = 2, pad = 1) -> conv_relu(pool_proj, 1)
    }
}

network googlenet {
    input image: [3, 224, 224]
    inception_3a: inception(64, 32)
}
"""


def at(source: Source, text: str, nth: int = 0) -> Span:
    """The span of the nth occurrence of a piece of the source."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def plain(*diagnostics: Diagnostic, width: int = 100) -> str:
    return render_text(diagnostics, color=False, width=width)


def concat_shape(source: Source) -> Diagnostic:
    """The example of the language's design: origin, surface, stack and a fix."""
    return Diagnostic(
        "concat-shape",
        "`concat` inputs disagree on height and width",
        at(source, "concat"),
        label="`b4` is [N, 32, 14, 14]; `b1` is 28x28",
        labels=(
            Label(
                at(source, "maxpool(3, stride = 2, pad = 1)"),
                "28x28 becomes 14x14 here: floor((28 + 2*1 - 3) / 2) + 1 = 14",
            ),
        ),
        notes=("axis 1 (channels) is the one that `concat` joins",),
        fix=Fix("`stride = 1` keeps 28x28", at(source, "stride = 2"), "stride = 1"),
        stack=(
            Frame("googlenet", at(source, "googlenet")),
            Frame("inception_3a", at(source, "inception(64, 32)")),
        ),
    )


def test_shape_error(golden):
    source = Source("specs/googlenet.arch", GOOGLENET)
    golden("render/shape_error.txt", render_text([concat_shape(source)], color=False, width=120))


def test_colors(golden):
    source = Source("specs/googlenet.arch", GOOGLENET)
    golden("render/colors.txt", render_text([concat_shape(source)], color=True, width=120))


def test_color_changes_nothing_but_color(golden):
    source = Source("specs/googlenet.arch", GOOGLENET)
    colored = render_text([concat_shape(source)], color=True, width=120)
    for code in ("1;31", "1;33", "1;36", "1;32", "1;34", "1", "31", "32", "0"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert [line.rstrip() for line in colored.splitlines()] == plain(concat_shape(source), width=120).splitlines()


def test_label_that_does_not_fit_moves_below(golden):
    source = Source("specs/googlenet.arch", GOOGLENET)
    golden("render/narrow.txt", plain(concat_shape(source), width=72))


def test_several_files(golden):
    used = Source("common.arch", "block conv_relu(out, kernel) {\n    conv: conv(out, kernel) -> relu\n}\n")
    source = Source("net.arch", "network n {\n    input image: [3, 8, 8]\n    a: conv_relu(64, 11)\n}\n")
    frames = (Frame("n", at(source, "n {")), Frame("a", at(source, "conv_relu(64, 11)")))
    inner = Diagnostic(
        "kernel-too-large",
        "a kernel of 11 does not fit into 8",
        at(used, "kernel", 1),
        label="11 > 8",
        labels=(Label(at(source, "11"), "`kernel` is 11"), Label(at(source, "image"), "[N, 3, 8, 8]")),
        help="use a kernel of at most 8",
        fix=Fix("`8` fits", at(source, "11"), "8"),
        stack=(*frames, Frame("conv", at(used, "conv: conv"))),
    )
    golden("render/several_files.txt", plain(inner))


def test_marks_on_one_line_and_gaps(golden):
    text = "let a = f(x, y)\n# one\n" + "let b = 1\n" + "# more\n" * 9 + "let c = 2\n"
    source = Source("m.arch", text)
    labels = (Label(at(source, "y"), "second"), Label(at(source, "x"), "first"), Label(at(source, "b"), "third"))
    marked = Diagnostic("m", "message", at(source, "f"), "warning", "here", (*labels, Label(at(source, "c"), "far")))
    golden("render/marks.txt", plain(marked))


def test_span_over_several_lines(golden):
    source = Source("specs/googlenet.arch", GOOGLENET)
    start, end = GOOGLENET.index("concat"), GOOGLENET.index("}\n}")
    body = Diagnostic("few-branches", "`concat` has one branch", Span(source, start, end + 2), "warning", "all of this")
    golden("render/several_lines.txt", plain(body))


@pytest.mark.parametrize("text", ["network n {\n", "network n {", "", "\n", "a\r\n"])
def test_end_of_file(text):
    source = Source("e.arch", text)
    end = Diagnostic("unclosed-bracket", "the file ends inside `{`", Span(source, len(text), len(text)), label="`}`")
    assert [line.strip() for line in plain(end).splitlines()][-3] == "| " + " " * (
        source.position(len(text))[1] - 1
    ) + "^ `}`"


def test_empty_span_and_span_of_a_newline_get_one_caret():
    source = Source("e.arch", "conv(\nrelu\n")
    for span in (Span(source, 5, 5), Span(source, 5, 6), Span(source, 5, 8)):
        assert plain(Diagnostic("c", "m", span)).splitlines()[3:5] == ["1 | conv(", "  |      ^"]


def test_no_span(golden):
    missing = Diagnostic(
        "file-not-found", "there is no file `x.arch`", notes=("looked in .",), help="did you mean `y`?"
    )
    golden("render/no_span.txt", plain(missing))


def test_remarks_of_several_lines(golden):
    source = Source("a.arch", "let x = 1\n")
    note = Diagnostic("c", "message", at(source, "x"), "note", notes=("one\ntwo",), help="first\nsecond")
    golden("render/remarks.txt", plain(note))


def test_deep_stack_is_cut_in_the_middle():
    source = Source("a.arch", "x\n")
    frames = tuple(Frame(f"f{i}", Span(source, 0, 1)) for i in range(30))
    text = plain(Diagnostic("c", "m", Span(source, 0, 1), stack=frames))
    assert "= in: f0 (line 1) > f1 (line 1) > f2 (line 1) > f3 (line 1) > (22 more) > f26 (line 1)" in text


def test_stack_names_only_what_each_frame_adds():
    source = Source("a.arch", "stage2: stage(16)\nunit\n")
    calls = ("stage", "unit", "unit", "unit")
    paths = ("stage2", "stage2.unit0", "stage2.unit0.3", "stage20")
    frames = tuple(Frame(path, at(source, call)) for path, call in zip(paths, calls, strict=True))
    text = plain(Diagnostic("c", "m", at(source, "16"), stack=frames))
    assert "  = in: stage2 (line 1) > unit0 (line 2) > 3 (unit, line 2) > stage20 (line 2)" in text.splitlines()


def test_fix_help_is_said_once():
    source = Source("a.arch", "conv(64, 7, strde = 2)\n")
    span = at(source, "strde")
    twice = Diagnostic("c", "m", span, help="did you mean `stride`?", fix=Fix("did you mean `stride`?", span, "stride"))
    assert plain(twice).splitlines()[-5:-2] == [
        "help: did you mean `stride`? (checked: no other error follows)",
        "1 - conv(64, 7, strde = 2)",
        "1 + conv(64, 7, stride = 2)",
    ]


def test_fix_that_deletes_and_fix_that_adds_lines(golden):
    source = Source("a.arch", "network n {\n    let unused = 3\n    relu\n")
    delete = Diagnostic("c", "m", at(source, "let"), fix=Fix("remove it", at(source, "    let unused = 3\n"), ""))
    end = Span(source, len(source.text), len(source.text))
    add = Diagnostic("c", "m", end, fix=Fix("close the body", end, "}\n# end"))
    golden("render/fixes.txt", plain(delete, add))


def test_tabs_and_wide_characters_line_up(golden):
    text = "\tb5: conv(日本語, e\u0301té, ｘ, 👍)\tz # ok\n"
    source = Source("wide.arch", text)
    found = [Diagnostic("c", "m", at(source, piece), label=piece) for piece in ("日本語", "té", "ｘ", "👍", "z")]
    golden("render/wide.txt", plain(*found))


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ｘ", 2), ("👍", 2), ("", 0), ("\u0301", 0)]
)
def test_text_width(text, width):
    assert text_width(text) == width


HOSTILE = [
    "\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\x9b31m", "\r", "\b\b\b", "\x00", "\u202e", "\u2066", "\u2028", "\x7f",
    "\u200b", "\ud800", "\x85", "\u061c", "\xa0", "\x0c", "\ue000", "\ufeff",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_nothing_hostile_reaches_the_terminal(hostile):
    source = Source(f"dir{hostile}/a.arch", f"let x{hostile} = 1\nlet y = 2{hostile}\n")
    span = at(source, "= 1")
    everywhere = Diagnostic(
        "c", f"m{hostile}", span, label=f"l{hostile}", labels=(Label(at(source, "2"), f"s{hostile}"),),
        notes=(f"n{hostile}",), help=f"h{hostile}", fix=Fix(f"f{hostile}", span, f"= {hostile}2"),
        stack=(Frame(f"a{hostile}", span), Frame(f"b{hostile}", span)),
    )  # fmt: skip
    text = plain(everywhere)
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count(escape(hostile)) >= 12


@given(st.text(), st.integers(0, 60), st.integers(0, 60), st.integers(1, 130))
def test_any_text_renders_within_the_width(text, start, length, width):
    source = Source("a.arch", text)
    start = min(start, len(text))
    span = Span(source, start, min(start + length, len(text)))
    printed = plain(Diagnostic("c", "m", span), width=width).split("\n")
    assert all(line.isprintable() for line in printed)
    snippet = [line for line in printed if " | " in line]
    assert all(text_width(line) <= max(width, 20 + 5) + 1 for line in snippet)
    assert any(set(line.partition("|")[2].strip()) == {"^"} for line in printed)


@example("\u0816A", 1)
@given(st.text(st.characters(categories=["L", "Mn", "So", "Cc", "Zs"]), min_size=1), st.integers(0, 200))
def test_carets_point_at_their_character(line, index):
    """The printed columns of a row are the widths of what stands before them."""
    line = line.replace("\n", " ")
    index = min(index, len(line) - 1)
    row = draw(line, index, 40)
    assert text_width(row.text) <= 40
    assert row.first <= index < row.first + len(row.columns) - 1
    column, end = row.column(index), row.column(index + 1)
    # the last of them: combining marks before the character take no column
    prefix = max(i for i in range(len(row.text) + 1) if text_width(row.text[:i]) == column)
    shown = row.text[prefix:]
    if line[index].isprintable() and line[index].isascii():
        assert shown[0] == line[index]
        assert end - column == 1


def test_long_line_is_a_window_around_each_mark(golden):
    text = "let x = [" + ", ".join(str(i) for i in range(400)) + "]\n"
    source = Source("long.arch", text)
    long = Diagnostic(
        "c", "m", at(source, "200"), label="in the middle",
        labels=(Label(at(source, "let"), "at the start"), Label(at(source, "]"), "at the end")),
        fix=Fix("replace it", at(source, "200"), "0"),
    )  # fmt: skip
    golden("render/long_line.txt", plain(long, width=80))


def test_carets_wider_than_the_window_stay_inside():
    source = Source("long.arch", "x" * 500)
    lines = plain(Diagnostic("c", "m", Span(source, 10, 490)), width=60).splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[4].count("^") > 30


def test_a_megabyte_on_one_line_is_quick():
    text = "x" * 500_000 + "ERR" + "日" * 500_000
    source = Source("big.arch", text)
    span = at(source, "ERR")
    found = [Diagnostic("c", "m", span, labels=(Label(Span(source, 0, 1), "start"),), fix=Fix("f", span, "OK"))] * 20
    begin = time.perf_counter()
    printed = plain(*found)
    assert time.perf_counter() - begin < 2
    assert len(printed) < 20_000


def test_closing_line():
    findings = [Diagnostic("c", "m"), *[Diagnostic("c", "m", severity="warning")] * 2]
    assert plain(*findings).splitlines()[-1] == "1 error, 2 warnings"
    assert plain(*findings, *findings, Diagnostic("c", "m", severity="note")).endswith("2 errors, 4 warnings, 1 note")
    assert plain() == ""


def test_rendering_imports_nothing_heavy():
    """`check` must start quickly: no rich, NumPy, ONNX or torch behind the renderer."""
    code = "import sys, archdsl.language.render; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"rich", "numpy", "onnx", "torch", "networkx", "lark", "json"} & set(found)
    assert "archdsl.language.render" in found


def test_golden_folder_has_no_strays():
    folder = Path(__file__).parent.parent / "golden" / "render"
    used = Path(__file__).read_text()
    assert [path.name for path in folder.iterdir() if f"render/{path.name}" not in used] == []
