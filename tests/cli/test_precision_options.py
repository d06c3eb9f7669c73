"""`archdsl export --precision` and `--calibrate`: what they print, what they write, what they refuse."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from photographs import ORIGINALS, photographs

from archdsl.cli.app import run

SPEC = """
network small {
    input image: [3, 16, 16]    preprocess resize = 20, crop = 16, mean = [0.5, 0.5, 0.5]
    conv(32, 3, pad = 1) -> relu -> conv(32, 3, pad = 1) -> relu -> avgpool(global) -> flatten
    output logits: linear(5)
}
"""


class Cli:
    """Runs `archdsl export` of the small network to `x.onnx` in an empty folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._patch, self._capture = folder, monkeypatch, capsys
        (folder / "small.arch").write_text(SPEC)
        monkeypatch.chdir(folder)

    def __call__(self, *arguments: object, command: str = "export small.arch -o x.onnx") -> tuple[int, str, str]:
        self._patch.setattr(sys, "argv", ["archdsl", *command.split(), *map(str, arguments)])
        status = run()
        return (status, *self._capture.readouterr())

    @property
    def written(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file() and path.name != "small.arch")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    photographs(tmp_path / "photos", 4, 32)
    return Cli(tmp_path, monkeypatch, capsys)


def test_int8_prints_its_accuracy_and_runs(cli: Cli) -> None:
    status, out, err = cli("--precision", "int8", "--calibrate", "photos")
    assert (status, err) == (0, "")
    heading, line, size = out.splitlines()[-4:-1]
    assert heading == "int8 against fp32 on 2 samples held back from 8:"
    cosine = r"(0\.99|1\.00)\d{3}"
    others = r"\(different samples: [01]\.\d{5}\); same top class on [012] of 2"
    assert re.fullmatch(rf"  logits: cosine {cosine}, at worst {cosine} {others}", line)
    assert re.fullmatch(r"  4\d\.\d kB -> 1\d\.\d kB", size)
    assert "freshly initialized" in out
    assert cli.written == ["x.onnx"]
    status, out, err = cli(ORIGINALS[0], command="run x.onnx --image")
    assert (status, err) == (0, "")
    assert "top classes" in out


def test_weights_of_a_file_need_no_excuse(cli: Cli) -> None:
    assert cli(command="weights small.arch -o w.npz")[0] == 0
    _, out, _ = cli("--precision", "int8", "--calibrate", "photos", "--weights", "w.npz")
    assert "against fp32" in out
    assert "freshly initialized" not in out


def test_fp16_needs_no_samples_and_runs(cli: Cli) -> None:
    status, out, _ = cli("--precision", "fp16")
    assert status == 0
    assert "fp16 against fp32 on 4 samples of random numbers" in out
    assert {item.data_type for item in onnx.load("x.onnx").graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert cli(ORIGINALS[0], command="run x.onnx --image")[0] == 0


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_quiet_is_quiet_and_again_gives_the_same_bytes(cli: Cli, precision: str) -> None:
    found = []
    for _ in range(2):
        assert cli("--precision", precision, "--calibrate", "photos", "-q") == (0, "", "")
        found.append(Path("x.onnx").read_bytes())
    assert found[0] == found[1]


def test_unreadable_images_are_warned_about(cli: Cli) -> None:
    Path("photos/broken.png").write_text("no image")
    status, _, err = cli("--precision", "int8", "--calibrate", "photos")
    assert status == 0
    assert "warning[calibration]" in err
    assert "broken.png" in err


def test_a_folder_of_arrays(cli: Cli) -> None:
    Path("arrays").mkdir()
    for place in range(5):
        np.savez(f"arrays/{place}.npz", image=np.random.default_rng(place).standard_normal((3, 16, 16)))
    status, out, _ = cli("--precision", "int8", "--calibrate", "arrays")
    assert status == 0
    assert "on 1 sample held back from 5:" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--precision int8", 1, "error[calibration]: int8 needs samples"),
        ("--precision int8 --calibrate missing", 1, "error[calibration]: there is no folder `missing`"),
        ("--precision int8 --calibrate small.arch", 1, "error[calibration]: `small.arch` is a file"),
        ("--precision int8 --calibrate empty", 1, "error[calibration]: there are no samples in `empty`"),
        ("--precision int8 --calibrate photos --no-weights", 2, "--no-weights leaves nothing"),
        ("--precision fp16 --no-weights", 2, "--no-weights leaves nothing"),
        ("--calibrate photos", 2, "--calibrate goes with"),
        ("--precision int4", 2, "'int4' is not one of"),
    ],
)
def test_refusals_write_nothing(cli: Cli, arguments: str, status: int, words: str) -> None:
    Path("empty").mkdir()
    found, out, err = cli(*arguments.split())
    assert (found, out) == (status, "")
    assert words in err
    assert cli.written == []
