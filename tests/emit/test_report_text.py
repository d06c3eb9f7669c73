"""CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from report_samples import shared, small

from archdsl.emit.report.text import FORMATS, to_csv, to_html, to_markdown


def test_csv_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/small.csv", to_csv(small()))


def test_json_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/small.json", FORMATS["json"](small()))


def test_markdown_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/small.md", to_markdown(small(), depth=None))


def test_markdown_of_a_batch_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/small_batch.md", FORMATS["md"](small(batch=8)))


def test_csv_has_one_line_for_each_layer() -> None:
    found = small()
    lines = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert [line["path"] for line in lines] == [layer.path for layer in found.layers]
    assert sum(int(line["macs"]) for line in lines if line["training_only"] == "false") == found.totals.macs
    assert next(line for line in lines if line["op"] == "split")["output_shapes"] == "4x16x16 4x16x16"


class Checker(HTMLParser):
    """Counts tags and refuses any that is not closed in order."""

    EMPTY = {"meta", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def test_html_is_well_formed_escaped_and_whole() -> None:
    page = to_html(small())
    found = checked(page)
    words = "".join(found.text)
    assert "Table <1>" in words
    assert "the table | leaves out biases & means" in words
    assert "Table <1>" not in page
    assert "script" not in found.seen
    assert "http" not in page
    for layer in small().layers:
        assert layer.path.rpartition(".")[2] in words
    assert found.seen.count("tbody") == len({layer.path.split(".")[0] for layer in small().layers}) + 1


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_formats_are_the_same_every_time(name: str) -> None:
    assert FORMATS[name](small()) == FORMATS[name](small())
    assert FORMATS[name](small()).endswith("\n")


def test_a_notebook_shows_stages() -> None:
    found = checked(small()._repr_html_())
    words = "".join(found.text)
    assert "body" in words
    assert "input" not in found.seen  # nothing to open: only stages are shown
    assert found.seen.count("html") == 0


def test_shared_weights_and_failed_claims_are_marked() -> None:
    text = to_markdown(shared())
    assert "38\\*" in text
    assert "shares weights with another row" in text
    assert "| expect | net | macs | 1 | 1,152 | FAILED |" in text
