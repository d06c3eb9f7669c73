"""`archdsl export` and `run`: what they refuse to write over, class names, and images of other sizes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import sklearn

import archdsl
from archdsl.cli.app import run

PHOTO = Path(sklearn.__file__).parent / "datasets/images/china.jpg"
SPEC = """
network net {
    input image: [3, 16, 16] preprocess resize = 20, crop = 16
    map: conv(3, 3)
    output logits: avgpool(global) -> flatten -> linear(4)
    output mask: @map
}
"""
NAMES = "ant\nbee\ncat\ndog\n"

Cli = Callable[[str], tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in a folder with a spec, weights, a map, names and a photograph."""
    monkeypatch.chdir(tmp_path)
    Path("net.arch").write_text(SPEC)
    np.savez("w.npz", **archdsl.load("net.arch").initialize(5))
    Path("map.toml").write_text('[rename]\n"a" = "b"\n')
    Path("names.txt").write_text(NAMES)
    Path("photo.jpg").write_bytes(PHOTO.read_bytes())

    def call(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archdsl", *line.split()])
        status = run()
        return (status, *capsys.readouterr())

    return call


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir()}


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("export net.arch -o net.arch", "FILE"),
        ("export net.arch -o ./net.arch", "FILE"),
        ("export net.arch -o linked.arch", "FILE"),
        ("export net.arch -o w.npz --weights w.npz", "--weights"),
        ("export net.arch -o map.toml --weights w.npz --map map.toml", "--map"),
        ("export net.arch -o names.txt --labels names.txt", "--labels"),
        ("export net.arch -o x --labels x.data", "--labels"),
        ("compile net.arch -o . --weights net.onnx", "--weights"),
    ],
)
def test_what_a_command_reads_is_not_written_over(cli: Cli, line: str, option: str) -> None:
    Path("linked.arch").symlink_to("net.arch")
    Path("x.data").write_text(NAMES)
    archdsl.load("net.arch").save_onnx("net.onnx")
    before = files()
    status, _, err = cli(line)
    assert status == 1
    assert f"error[cannot-write]: cannot write `{line.split()[3]}" in err or "compile" in line
    assert f"it is what {option} reads" in err
    assert files() == before


@pytest.mark.parametrize(
    "options",
    [
        "--no-weights --verify",
        "--no-weights --weights w.npz",
        "--no-fold-bn --passes fold_batchnorm",
        "--verify --tolerance nan",
        "--verify --tolerance -1",
    ],
)
def test_options_that_leave_nothing_of_each_other(cli: Cli, options: str) -> None:
    status, _, err = cli(f"export net.arch -o x.onnx {options}")
    assert status == 2
    assert options.split()[0 if "tolerance" not in options else 1] in err
    assert not Path("x.onnx").exists()


def test_what_verify_allows_is_told_in_the_model(cli: Cli) -> None:
    assert cli("export net.arch -q -o x.onnx --verify --tolerance 1e-3")[0] == 0
    found = {item.key: item.value for item in onnx.load("x.onnx").metadata_props}
    assert json.loads(found["archdsl.verify"])["tolerance"] == 1e-3


@pytest.mark.parametrize(
    "line", ["export net.arch -o x.onnx", "run net.arch --image photo.jpg", "run m.onnx --image photo.jpg"]
)
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("ant\nbee\n", "error[labels]: 2 labels are given, but no output has that many classes"),
        ("", "error[labels]: `list.txt` is empty"),
        ("1\n" * 2_100_000, "error[file-too-large]"),
    ],
)
def test_names_that_fit_no_output_are_refused(cli: Cli, line: str, content: str, words: str) -> None:
    archdsl.load("net.arch").save_onnx("m.onnx")
    Path("list.txt").write_text(content)
    status, out, err = cli(f"{line} --labels list.txt")
    assert (status, out) == (1, "")
    assert words in err
    assert not Path("x.onnx").exists()


def labels(cli: Cli, content: bytes, more: str = "") -> str:
    Path("list.txt").write_bytes(content)
    assert cli(f"export net.arch -q -o x.onnx --labels list.txt {more}")[0] == 0
    return {item.key: item.value for item in onnx.load("x.onnx").metadata_props}["archdsl.labels"]


@pytest.mark.parametrize("content", ["a\nb\nc\nd\n", "a\r\nb\r\nc\r\nd", "a\rb\rc\rd\r"])
def test_names_end_with_the_line(cli: Cli, content: str) -> None:
    assert labels(cli, content.encode()) == '["a", "b", "c", "d"]'


def test_other_signs_do_not_end_a_name(cli: Cli) -> None:
    assert labels(cli, "a\fb\nc\u2028d\ne\x85\nf\n".encode()) == '["a\\fb", "c\u2028d", "e\x85", "f"]'


def test_a_map_of_scores_has_names_too(cli: Cli) -> None:
    assert labels(cli, b"ant\nbee\ncat\n") == '["ant", "bee", "cat"]'


@pytest.mark.parametrize(("names", "shown"), [(NAMES, True), ("ant\nbee\ncat\n", False)])
def test_names_of_another_output_are_not_put_beside_scores(cli: Cli, names: str, shown: bool) -> None:
    Path("names.txt").write_text(names)
    status, out, _ = cli("run net.arch --image photo.jpg --labels names.txt")
    assert status == 0
    assert ("bee" in out) is shown


def test_a_long_list_needs_its_limit(cli: Cli) -> None:
    content = b"".join(b"%d" % i * 1_200_000 + b"\n" for i in range(4))
    Path("list.txt").write_bytes(content)
    assert "error[file-too-large]" in cli("export net.arch -o x.onnx --labels list.txt")[2]
    assert len(labels(cli, content, "--limit file-size=2000000")) > len(content)


def test_a_folder_is_no_list_of_names(cli: Cli) -> None:
    status, _, err = cli("export net.arch -o x.onnx --labels .")
    assert status == 1
    assert "error[not-a-file]: `.` is a directory" in err
    assert "one class name a line" in err


def test_the_single_file_takes_the_older_data_away(cli: Cli) -> None:
    Path("wide.arch").write_text(SPEC.replace("conv(3, 3)", "conv(64, 3)"))
    assert cli("export wide.arch -q -o x.onnx --external always")[0] == 0
    assert Path("x.onnx.data").exists()
    assert cli("export wide.arch -q -o x.onnx --no-weights --external always")[0] == 0
    assert not Path("x.onnx.data").exists()


@pytest.mark.parametrize("size", ["3x24x24", "3x24x32", "3xHxW"])
def test_photographs_fit_whatever_size_is_asked_for(cli: Cli, size: str) -> None:
    assert cli(f"run net.arch -q --image photo.jpg --input image={size}")[::2] == (0, "")
    assert cli(f"export net.arch -q -o x.onnx --input image={size}") == (0, "", "")
    assert cli("run x.onnx --image photo.jpg")[::2] == (0, "")


@pytest.mark.parametrize("line", ["export net.arch -o x.onnx", "bench net.arch", "profile net.arch", "verify net.arch"])
@pytest.mark.parametrize("batch", [2**31, 10**20, 0])
def test_a_batch_that_nothing_can_count_is_a_wrong_command_line(cli: Cli, line: str, batch: int) -> None:
    assert cli(f"{line} --batch {batch}")[0] == 2


@pytest.mark.parametrize("command", ["bench", "profile", "verify"])
def test_a_batch_that_no_memory_holds_is_refused(cli: Cli, command: str) -> None:
    status, out, err = cli(f"{command} net.arch --batch 2000000000")
    assert (status, out) == (1, "")
    assert "error[out-of-memory]: there is no room for the random input `image` of [2000000000, 3, 16, 16]" in err


@pytest.mark.parametrize("command", ["bench", "profile"])
def test_more_threads_than_are_of_use_are_refused(cli: Cli, command: str) -> None:
    most = 4 * (os.cpu_count() or 1)
    status, _, err = cli(f"{command} net.arch --threads {most + 1}")
    assert status == 2
    assert f"1<=x<={most}" in err


def test_files_that_cannot_be_profiled_are_named(cli: Cli) -> None:
    assert "`none.onnx` cannot be read: No such file" in cli("profile none.onnx")[2]
    archdsl.load("net.arch").save_onnx("m.onnx")
    model = onnx.load("m.onnx")
    model.graph.node[0].op_type = "Nope"
    onnx.save(model, "m.onnx")
    assert "onnxruntime cannot load `m.onnx`" in cli("profile m.onnx")[2]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_infinite_results_are_explained_by_the_precision_asked_for(cli: Cli, precision: str) -> None:
    Path("large.arch").write_text(SPEC.replace("    map:", "    initialize conv = constant(value = 1e18)\n    map:"))
    Path("samples").mkdir()
    np.savez("samples/a.npz", image=np.full((3, 16, 16), 1e30))
    status, _, err = cli(f"export large.arch -o x.onnx --precision {precision} --calibrate samples")
    assert status == 1
    assert "error[precision]" in err
    assert ("65,504" in err) is (precision == "fp16")
    assert not Path("x.onnx").exists()
