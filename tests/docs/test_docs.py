"""The documentation against the compiler: every example, every table of names, every link.

An ```arch block is compiled, all of its networks, and has to be free of findings. A comment on the line before it says
more: `<!-- error: CODE -->` that it is rejected with that code alone, `<!-- file: NAME -->` that others may `use` it
under that name, `<!-- part -->` that it is a fragment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import pytest

from archdsl.graph.check import check
from archdsl.graph.costs import QUANTITIES
from archdsl.graph.functions import FUNCTIONS, WORDS
from archdsl.graph.graph import CheckedGraph
from archdsl.graph.lint import refuse_recursion
from archdsl.graph.network import Request
from archdsl.graph.preprocess import SETTINGS
from archdsl.graph.recipe import NUMBERS, TERMS
from archdsl.graph.values import show
from archdsl.language import syntax
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.language.limits import LIMIT_NAMES, Limits
from archdsl.language.parse import parse
from archdsl.language.program import link
from archdsl.language.source import Source
from archdsl.language.words import KEYWORDS
from archdsl.ops.base import OPS
from archdsl.ops.schemes import SCHEMES

ROOT = Path(__file__).parents[2]
REFERENCE = [ROOT / "docs" / "language.md", *sorted((ROOT / "docs" / "language").glob("*.md"))]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *REFERENCE[1:]]
LANGUAGE = "\n".join(page.read_text("utf-8") for page in REFERENCE)
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block and the comment on the line before it; `where` is for the name of its test."""

    where: str
    kind: str
    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(f"{page.name}:{text.count(chr(10), 0, m.start('text'))}", m["kind"], m["mark"] or "", m["text"])
        for m in BLOCK.finditer(text)
    ]


EXAMPLES = [block for page in PAGES for block in blocks(page) if block.kind == "arch" and block.mark != "part"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that pages show as such, for examples that use them."""
    path = tmp_path_factory.mktemp("examples")
    for block in EXAMPLES:
        if block.mark.startswith("file: "):
            (path / block.mark.removeprefix("file: ")).write_text(block.text, "utf-8")
    return path


def findings(text: str, path: Path) -> list[Diagnostic]:
    """What the compiler has to say about all networks of a text that lies, or would lie, at a path."""
    try:
        program = link(parse(Source("example", text), Limits()), path, Limits())
        refuse_recursion(program)
    except ArchError as failure:
        return failure.diagnostics
    found: list[Diagnostic] = []
    for network in program.main.networks:
        try:
            found += check(program, Request(network.name), path).diagnostics
        except ArchError as failure:
            found += failure.diagnostics
    return found


def compiled(text: str) -> CheckedGraph:
    """The first network of a text."""
    program = link(parse(Source("example", text), Limits()), ROOT / "example.arch", Limits())
    return check(program, Request(), ROOT / "example.arch").graph


def rows(text: str) -> list[list[str]]:
    """Cells of the first table in a text, without its head."""
    table = text[re.search(r"^\|", text, re.MULTILINE).start() :].partition("\n\n")[0]  # type: ignore[union-attr]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")] for line in lines]


def after(mark: str) -> str:
    """What follows a mark in the pages of the language."""
    _, found, text = LANGUAGE.partition(mark)
    assert found, mark
    return text


def section(heading: str) -> str:
    """The text under a heading, up to the next one of its level or above."""
    level = len(heading.partition(" ")[0])
    return re.split(rf"^#{{1,{level}}} ", after(f"\n{heading}\n"), maxsplit=1, flags=re.MULTILINE)[0]


# Examples -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.where)
def test_examples(block: Block, folder: Path) -> None:
    found = [f"{each.code}: {each.message}" for each in findings(block.text, folder / "example.arch")]
    if block.mark.startswith("error: "):
        assert [message.partition(":")[0] for message in found] == [block.mark.removeprefix("error: ")]
    else:
        assert found == []


def nodes(value: object) -> Iterator[object]:
    """A syntax tree's nodes, from the top."""
    if is_dataclass(value):
        yield value
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, list | tuple):
        for item in value:
            yield from nodes(item)


def test_every_node_of_the_syntax_has_an_example() -> None:
    texts = [
        block.text for page in REFERENCE for block in blocks(page) if block.kind == "arch" and ": " not in block.mark
    ]
    seen = {type(node).__name__ for text in texts for node in nodes(parse(Source("example", text), Limits()))}
    concrete = {name for name in syntax.__all__ if not getattr(getattr(syntax, name), "__subclasses__", list)()}
    assert concrete - seen == {"Domain", "Step"}  # a union, and what the builder takes apart


def test_every_construct_has_an_example() -> None:
    text = "".join(block.text for page in REFERENCE for block in blocks(page) if block.kind == "arch")
    assert [word for word in sorted(KEYWORDS) if not re.search(rf"\b{word}\b", text)] == []


PREAMBLE = LANGUAGE.partition("<!-- names -->\n```arch\n")[2].partition("\nnetwork")[0]


@pytest.mark.parametrize(("statement", "layers", "keys"), rows(after("<!-- names -->")))
def test_paths_and_keys(statement: str, layers: str, keys: str) -> None:
    graph = compiled(f"{PREAMBLE}\nnetwork names {{\ninput x: [4, 8, 8]\n{statement.strip('`')}\n}}")
    assert [layer.path for layer in graph.layers] == CODE.findall(layers)
    actual = [f"{layer.path}.{weight.name}" for layer in graph.layers for weight in layer.weights]
    stated = CODE.findall(keys)
    assert (actual[: len(stated)] if keys.endswith("...") else actual) == stated


@pytest.mark.parametrize(("expression", "stated"), rows(after("<!-- values -->")))
def test_values(expression: str, stated: str) -> None:
    text = f"network n(v = {expression.strip('`')}) {{ input x: [1]; relu; let used = v }}"
    assert show(compiled(text).parameters["v"]) == stated.strip("`")


@pytest.mark.parametrize(("written", "allows"), rows(after("**Tolerance.**")))
def test_tolerances(written: str, allows: str) -> None:
    text = f'network n {{ input x: [1]; a: relu }}\npublished "t" of n {{ a: params = {written.strip("`")} }}'
    (claim,) = compiled(text).claims
    low, _, high = allows.replace(",", "").partition(" to ")
    assert (claim.low, claim.high) == (int(low), int(high or low))


# Tables ---------------------------------------------------------------------------------------------------------------


def first_codes(heading: str) -> list[str]:
    """What stands in backticks in the first column of a section's first table."""
    return [code for row in rows(section(heading)) for code in CODE.findall(row[0])]


def names(codes: list[str]) -> set[str]:
    """Calls without their arguments."""
    return {code.partition("(")[0] for code in codes}


def test_quantities() -> None:
    assert sorted(first_codes("## Quantities")) == sorted(QUANTITIES)


def test_limits() -> None:
    stated = {CODE.findall(name)[0]: most for name, most, _ in rows(section("## Limits"))}
    actual = {name: getattr(Limits(), name.replace("-", "_")) for name in LIMIT_NAMES}
    assert stated == {
        name: f"2^{most.bit_length() - 1}" if most >= 2**32 else f"{most:,}" for name, most in actual.items()
    }


def test_functions() -> None:
    stated = names([code for row in rows(after("\nFunctions:\n")) for code in CODE.findall(row[0])])
    assert stated | set(SCHEMES) == set(FUNCTIONS)


def test_schemes() -> None:
    assert sorted(first_codes("## Initialization")) == sorted(map(scheme_signature, SCHEMES))


def scheme_signature(name: str) -> str:
    arguments = [key if value is None else f"{key} = {value:g}" for key, value in SCHEMES[name].arguments.items()]
    return f"{name}({', '.join(arguments)})" if arguments else name


def test_words_of_arguments() -> None:
    assert set(first_codes("## Arguments of ops")) | set(SCHEMES) == set(WORDS)


def test_words_of_the_language() -> None:
    assert set(CODE.findall(section("### Words"))) == KEYWORDS


def test_preprocessing() -> None:
    assert first_codes("## Preprocessing") == list(SETTINGS)


def test_recipes() -> None:
    table = {tuple(CODE.findall(name)): CODE.findall(text) for name, text in rows(section("## Recipes"))}
    assert [name for names in table for name in names] == [*TERMS, *NUMBERS]
    for setting, terms in TERMS.items():
        calls = [code for code in table[(setting,)] if code not in form_names(setting)]
        assert calls == [call(term, form) for term, form in terms.items()]


def form_names(setting: str) -> set[str]:
    """Names of arguments, which the text may mention; none of them is a term as well."""
    return {name for form in TERMS[setting].values() for name in form} - set(TERMS[setting])


def call(name: str, form: Mapping[str, object]) -> str:
    """A term with the defaults of its arguments; lists are left out."""
    shown = [
        key if value is None or isinstance(value, tuple) else f"{key} = {plain(value)}" for key, value in form.items()
    ]
    return f"{name}({', '.join(shown)})" if shown else name


def plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def test_tensor_properties() -> None:
    shapes = {"[F]": 1, "[C, L]": 2, "[C, H, W]": 3, "[C, D, H, W]": 4}
    table = {
        CODE.findall(shape)[0]: CODE.findall(properties)
        for shape, properties in rows(after("A tensor has properties."))[:4]
    }
    assert table.keys() == shapes.keys()
    for shape, properties in table.items():
        sizes = [f"in.{name}" for name in properties]
        graph = compiled(
            f"network n {{ input x: {list(range(2, 2 + shapes[shape]))}; relu expect shape = [{', '.join(sizes)}] }}"
        )
        assert graph.verdicts[0].holds


# Links ----------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The names that a page's headings have as link targets."""
    headings = re.findall(r"^#+ (.*)$", re.sub(BLOCK, "", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKED = [*PAGES, *sorted((ROOT / "docs").glob("*/*.md"))]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    text = re.sub(BLOCK, "", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_readme_counts_the_ops() -> None:
    assert re.findall(r"\b(\d+) ops\b", (ROOT / "README.md").read_text("utf-8")) == [str(len(OPS))]
