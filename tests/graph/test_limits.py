"""Every compilation ends: what unrolls, nests or grows too far is refused by its own diagnostic, quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import messages

import archdsl
from archdsl.language.limits import Limits

INPUT = "input x: [8, 16, 16]"
DOUBLED = "; ".join(["let v0 = [1, 2]", *(f"let v{i + 1} = v{i} + v{i}" for i in range(60))])
CHAIN = "\n".join(f"block b{i + 1} {{ b{i}; b{i} }}" for i in range(30))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"network n {{ {INPUT}; repeat 1000000000000 {{ conv(8, 3, pad = 1) }} }}", "limit-layers"),
        (f"network n {{ {INPUT}; repeat 10000 {{ repeat 10000 {{ repeat 10000 {{ relu }} }} }} }}", "limit-layers"),
        (f"network n {{ {INPUT}; for i in range(9999) {{ for j in range(9999) {{ let y = 1 }} }} }}",
         "limit-statements"),
        (f"block b(n) {{ repeat n {{ repeat n {{ relu }} }} }}\nnetwork n {{ {INPUT}; b(10000) }}", "limit-layers"),
        (f"block b0 {{ relu }}\n{CHAIN}\nnetwork n {{ {INPUT}; repeat 1 {{ b30 }} }}", "limit-layers"),
        (f"block b0 {{ relu }}\n{CHAIN}\nnetwork n {{ {INPUT}; b30 }}", "limit-layers"),
        ("network n { input x: [100000, 100000]; relu }", "limit-elements"),
        ("network n { input x: [100000]; linear(100000) }", "limit-elements"),
        (f"network n {{ {INPUT}; {'{' * 100} relu {'}' * 100} }}", "limit-nesting"),
        (f"network n(v = {'(' * 100}1{')' * 100}) {{ {INPUT}; conv(v, 1) }}", "limit-nesting"),
        (f"network n {{ {INPUT}; let y = {' + '.join(['1'] * 20000)}; conv(y, 1) }}", None),
        (f"network n {{ {INPUT}; let y = {'-' * 20000}1; conv(y, 1) }}", None),
        (f"network n {{ {INPUT}; {' -> '.join(['relu'] * 5000)} }}", None),
        (f"network n {{ {INPUT}; {DOUBLED}; relu }}", "limit-list"),
    ],
)  # fmt: skip
def test_limits(text: str, code: str | None) -> None:
    found = messages(text)
    assert [message.split(":")[0] for message in found] == ([code] if code else [])


def test_a_network_of_ten_to_the_twelve_layers_costs_neither_time_nor_memory(tmp_path) -> None:
    spec = tmp_path / "huge.arch"
    spec.write_text(f"network n {{ {INPUT}; repeat 1000000000000 {{ conv(8, 3, pad = 1) }} }}")
    code = (
        "import resource, subprocess, sys\n"
        f"status = subprocess.run([sys.executable, '-m', 'archdsl', 'check', {str(spec)!r}], stderr=-3).returncode\n"
        "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    status, kilobytes = map(int, out.split())
    assert status == 1
    assert kilobytes < 200_000


def test_limits_can_be_raised(tmp_path) -> None:
    spec = tmp_path / "wide.arch"
    spec.write_text(f"network n {{ {INPUT}; repeat 25000 {{ relu }} }}")
    with pytest.raises(archdsl.ArchError, match="limit-layers"):
        archdsl.load(spec)
    assert len(archdsl.load(spec, limits=Limits(layers=30_000)).checked.layers) == 25_000


def test_a_long_file_is_refused_by_its_size(tmp_path) -> None:
    spec = tmp_path / "long.arch"
    spec.write_text("#" * 1_000_001)
    with pytest.raises(archdsl.ArchError, match="file-too-large"):
        archdsl.load(spec)


@pytest.mark.parametrize("text", ["(" * 10**6, "{" * 10**6, "()" * 500_000, "[" * 500_000 + "]" * 500_000, ")" * 10**6])
def test_a_megabyte_of_brackets(text: str) -> None:
    found = messages(text)
    assert len(found) == 1
    assert found[0].split(":")[0] in ("syntax-error", "limit-nesting", "unclosed-bracket")


@pytest.mark.parametrize("outer", ["repeat 100000", "for i in range(100000)"])
@pytest.mark.parametrize("inner", ["repeat 100000", "for j in range(100000)"])
def test_rounds_in_which_nothing_stands_are_counted(outer: str, inner: str) -> None:
    (found,) = messages(f"network n {{ input x: [3]; {outer} {{ {inner} {{ }} }}; relu }}")
    assert found == "limit-statements: this unrolls to more than 200,000 statements; the limit is 200,000"
    assert not messages("network n { input x: [3]; repeat 3 { for j in range(4) { } }; relu }")
