"""`archdsl weights`, and `--weights`, `--map` and `--partial` wherever they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import archdsl
from archdsl.cli.app import run

SMALL = """
network small(classes = 3) {
    input image: [3, 8, 8]
    stem: conv(8, 3, pad = 1, init = he_normal)
    norm: batchnorm
    relu
    head: avgpool(global) -> flatten -> linear(2)    training weight = 0.5
    output logits: avgpool(global) -> flatten -> fc: linear(classes)
}
"""


@dataclass
class Result:
    status: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs a command line in a folder with the spec and its weights."""
    monkeypatch.chdir(tmp_path)
    Path("small.arch").write_text(SMALL)
    safetensors.numpy.save_file(archdsl.load("small.arch").initialize(5), "w.safetensors")

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["archdsl", *map(str, arguments)])
        status = run()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(status, captured.out, captured.err)

    return call


def arrays() -> dict[str, np.ndarray]:
    return archdsl.load("small.arch").initialize(5)


def test_initialized_weights(cli: Cli) -> None:
    result = cli("weights", "small.arch", "--init", 5, "-o", "new.safetensors")
    assert (result.status, result.err) == (0, "")
    assert result.out == "wrote new.safetensors (11 arrays, 302 numbers)\n"
    found = safetensors.numpy.load_file("new.safetensors")
    assert found.keys() == arrays().keys()
    for name, array in arrays().items():
        np.testing.assert_array_equal(found[name], array)
    with safetensors.safe_open("new.safetensors", "numpy") as archive:
        assert archive.metadata()["archdsl.network"] == "small"


def test_conversion_keeps_every_number(cli: Cli) -> None:
    assert cli("weights", "small.arch", "--weights", "w.safetensors", "-o", "a.npz", "-q").out == ""
    assert cli("weights", "small.arch", "--weights", "a.npz", "-o", "b.safetensors").status == 0
    found = safetensors.numpy.load_file("b.safetensors")
    for name, array in arrays().items():
        np.testing.assert_array_equal(found[name], array)


def test_an_exported_model_is_a_source(cli: Cli) -> None:
    cli("export", "small.arch", "--weights", "w.safetensors", "--no-fold-bn", "-o", "m.onnx", "-q")
    result = cli("weights", "small.arch", "--weights", "m.onnx", "-o", "a.npz")
    assert result.status == 0
    assert "warning[weights-partial]" in result.err
    assert "initialized: head.* (2)" in result.err
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["norm.running_var"], arrays()["norm.running_var"])


def test_comparison_of_what_fits(cli: Cli) -> None:
    result = cli("weights", "small.arch", "--against", "w.safetensors")
    assert (result.status, result.out, result.err) == (0, "11 of 11 arrays of `small` fit `w.safetensors`\n", "")


def test_comparison_of_what_does_not(cli: Cli) -> None:
    result = cli("weights", "small.arch", "--set", "classes=7", "--against", "w.safetensors")
    assert result.status == 1
    assert result.out.splitlines() == [
        "9 of 11 arrays of `small` fit `w.safetensors`",
        "  misshapen: fc.weight is [3, 8], not [7, 8], fc.bias is [3], not [7]",
        "cause: the checkpoint has 3 classes, the spec 7",
        "  `--set classes=3` makes the network fit; `--partial` loads all other weights",
    ]


def test_a_map_makes_it_fit(cli: Cli) -> None:
    safetensors.numpy.save_file({f"net.{name}": array for name, array in arrays().items()}, "w.safetensors")
    result = cli("weights", "small.arch", "--against", "w.safetensors")
    assert result.status == 1
    assert "cause: the checkpoint has the network's names with `net.` before them" in result.out
    Path("rules.toml").write_text('[prefix]\n"net." = ""\n')
    assert cli("weights", "small.arch", "--against", "w.safetensors", "--map", "rules.toml").status == 0
    assert cli("export", "small.arch", "--weights", "w.safetensors", "--map", "rules.toml", "-o", "x.onnx").status == 0


def test_a_bad_map_is_shown_at_its_line(cli: Cli) -> None:
    Path("rules.toml").write_text('[prefix]\n"net." = 3\n')
    result = cli("export", "small.arch", "--weights", "w.safetensors", "--map", "rules.toml", "-o", "x.onnx")
    assert result.status == 1
    assert "--> rules.toml:2:1" in result.err
    assert not Path("x.onnx").exists()


def test_partial_loads_what_fits_and_says_so(cli: Cli) -> None:
    command = ("weights", "small.arch", "--set", "classes=7", "--weights", "w.safetensors", "-o", "a.npz")
    result = cli(*command)
    assert result.status == 1
    assert "error[weights-mismatch]: `w.safetensors` does not fit `small`" in result.err
    assert not Path("a.npz").exists()
    result = cli(*command, "--partial")
    assert result.status == 0
    assert "9 of 11 arrays come from `w.safetensors`; the others are initialized" in result.err
    assert "misshapen: fc.weight" in result.err
    with np.load("a.npz") as found:
        np.testing.assert_array_equal(found["stem.weight"], arrays()["stem.weight"])
        assert found["fc.weight"].shape == (7, 8)


def test_a_nan_is_warned_of_with_its_name(cli: Cli) -> None:
    given = arrays()
    given["stem.weight"][0, 0, 0, 0] = np.nan
    safetensors.numpy.save_file(given, "w.safetensors")
    for target in ("x.onnx", "x.npz"):
        command = "export" if target.endswith("onnx") else "weights"
        result = cli(command, "small.arch", "--weights", "w.safetensors", "-o", target)
        assert result.status == 0
        assert "warning[weights-not-finite]: `w.safetensors` has numbers that are NaN or infinite" in result.err
        assert "in stem.weight" in result.err
    assert cli("weights", "small.arch", "--weights", "w.safetensors", "-o", "y.npz", "-q").err == ""


def test_a_prefix_that_was_taken_off_is_a_note(cli: Cli) -> None:
    safetensors.numpy.save_file({f"module.{name}": array for name, array in arrays().items()}, "w.safetensors")
    command = ("weights", "small.arch", "--weights", "w.safetensors", "-o", "a.npz")
    assert cli(*command).err == ""
    assert "note[weights-prefix]" in cli(*command, "-v").err


HOSTILE = "fc.\x1b[31m\u540d\ncause: none" + "x" * 1000


def test_names_from_a_file_cannot_forge_lines(cli: Cli) -> None:
    safetensors.numpy.save_file(arrays() | {HOSTILE: np.zeros(1)}, "w.safetensors")
    result = cli("weights", "small.arch", "--against", "w.safetensors")
    name = r"fc.\x1b[31m\u540d\ncause: none".replace(r"\u540d", "\u540d")
    assert result.out.splitlines()[1].startswith(f"  unexpected: {name}xxx")
    assert [len(line) < 150 for line in result.out.splitlines()] == [True] * 3
    result = cli("weights", "small.arch", "--weights", "w.safetensors", "-o", "a.npz")
    assert f"  = unexpected: {name}xxx" in result.err


def test_names_that_the_terminal_cannot_show(cli: Cli) -> None:
    safetensors.numpy.save_file(arrays() | {"\u540d": np.zeros(1)}, "w.safetensors")
    command = [sys.executable, "-m", "archdsl", "weights", "small.arch", "--against", "w.safetensors"]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert r"unexpected: \u540d" in done.stdout


def test_what_is_left_over_without_a_cause_has_a_way_out(cli: Cli) -> None:
    safetensors.numpy.save_file(arrays() | {"surplus": np.zeros(1)}, "w.safetensors")
    assert cli("weights", "small.arch", "--against", "w.safetensors").out.splitlines()[1:] == [
        "  unexpected: surplus",
        "help: `--partial` loads what fits, and initializes the rest",
    ]


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "a.npz", "--map", "nope"),
        ("-o", "a.npz", "--partial"),
        ("--against", "w.safetensors", "--init", "0"),
    ],
)
def test_options_that_would_do_nothing(options: tuple[str, ...], cli: Cli) -> None:
    result = cli("weights", "small.arch", *options)
    assert (result.status, result.out) == (2, "")
    assert not Path("a.npz").exists()


def test_wrong_command_lines(cli: Cli) -> None:
    assert cli("weights", "small.arch").status == 2
    assert cli("weights", "small.arch", "-o", "a.npz", "--against", "w.safetensors").status == 2
    assert cli("weights", "small.arch", "--weights", "w.safetensors", "--against", "w.safetensors").status == 2


def test_nothing_is_left_where_writing_fails(cli: Cli) -> None:
    assert "weights-format" in cli("weights", "small.arch", "-o", "a.bin").err
    assert "cannot-write" in cli("weights", "small.arch", "-o", "no/a.npz").err
    Path("w.safetensors").write_bytes(Path("w.safetensors").read_bytes()[:-10])
    assert "weights-unreadable" in cli("weights", "small.arch", "--weights", "w.safetensors", "-o", "a.npz").err
    assert sorted(path.name for path in Path().iterdir()) == ["small.arch", "w.safetensors"]


TERMINATED = """
import os, signal, sys
from archdsl.cli import main
from archdsl.language import output
output.sync = lambda file: os.kill(os.getpid(), signal.SIGTERM)  # everything is written, nothing has its name
sys.argv[0] = "archdsl"
main()
"""


def test_a_process_that_is_told_to_end_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "small.arch").write_text(SMALL)
    target = tmp_path / "small.safetensors"
    target.write_bytes(b"older")
    command = [sys.executable, "-c", TERMINATED, "weights", "small.arch", "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (143, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.arch", "small.safetensors"]
    assert target.read_bytes() == b"older"
