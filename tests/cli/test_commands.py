"""Every command on good and on bad input: what it prints, what it writes, how it exits."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import sklearn

from archdsl.cli.app import COMMANDS, run

PHOTO = Path(sklearn.__file__).parent / "datasets/images/china.jpg"
SMALL = """
block cr(out) { conv: conv(out, 3, pad = 1) -> relu }
network small(classes = 3) expect params = 251 {
    input image: [3, 16, 16]
    stem: cr(8) -> maxpool(2)
    head: avgpool(global) -> flatten -> linear(2)    training weight = 0.5
    output logits: avgpool(global) -> flatten -> fc: linear(classes) -> softmax
}
network wide = small(classes = 5)
"""


@dataclass
class Result:
    status: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command line in this process."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["archdsl", *map(str, arguments)])
        status = run()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.arch"
    path.write_text(SMALL)
    return path


def test_compile_writes_three_files_and_prints_the_report(cli: Cli, spec: Path, tmp_path: Path) -> None:
    result = cli("compile", spec, "-o", tmp_path / "deep" / "out")
    assert result.status == 0
    assert result.err == ""
    written = sorted(path.name for path in (tmp_path / "deep/out").iterdir())
    assert written == ["small.onnx", "small.py", "small.report.json"]
    report = json.loads((tmp_path / "deep/out/small.report.json").read_text())
    assert report["schema"] == "archdsl.report/1"
    assert report["totals"]["params"] == 8 * 3 * 9 + 8 + 8 * 3 + 3
    onnx.checker.check_model(onnx.load(tmp_path / "deep/out/small.onnx"), full_check=True)
    compile((tmp_path / "deep/out/small.py").read_text(), "small.py", "exec")


def test_quiet_is_quiet(cli: Cli, spec: Path, tmp_path: Path) -> None:
    assert cli("compile", spec, "-o", tmp_path / "out", "-q") == Result(0, "", "")
    assert cli("export", spec, "-o", tmp_path / "x.onnx", "-q") == Result(0, "", "")


def test_check(cli: Cli, spec: Path, tmp_path: Path) -> None:
    result = cli("check", spec)
    assert (result.status, result.out) == (0, f"{spec}: 2 networks checked, 1 claims\n")
    spec.write_text(SMALL.replace("conv(out", "cnv(out"))
    result = cli("check", spec)
    assert result.status == 1
    assert result.out == ""
    assert "error[unknown-op]: there is no op or block `cnv`" in result.err
    assert result.err.count("unknown-op") == 1  # both networks meet it, and it is one mistake


def test_strict_makes_warnings_errors(cli: Cli, spec: Path) -> None:
    spec.write_text(SMALL + "block unused { relu }\n")
    assert cli("check", spec).status == 0
    assert cli("check", spec, "--strict").status == 1


def test_machine_formats_are_on_stdout(cli: Cli, spec: Path) -> None:
    spec.write_text(SMALL.replace("conv(out", "cnv(out"))
    result = cli("check", spec, "--format", "json")
    assert (result.status, result.err) == (1, "")
    (diagnostic,) = json.loads(result.out)["diagnostics"]
    assert diagnostic["code"] == "unknown-op"
    assert (diagnostic["line"], diagnostic["column"]) == (2, 23)
    sarif = json.loads(cli("check", spec, "--format", "sarif").out)
    assert sarif["runs"][0]["results"][0]["ruleId"] == "unknown-op"
    assert cli("check", spec, "--format", "github").out.startswith("::error ")


def test_report_formats(cli: Cli, spec: Path, tmp_path: Path) -> None:
    data = json.loads(cli("report", spec, "--format", "json").out)
    assert data["network"] == "small"
    assert data["parameters"] == {"classes": 3}
    assert json.loads(cli("report", spec, "--network", "wide", "--format", "json").out)["parameters"] == {"classes": 5}
    for form in ("table", "csv", "md", "html"):
        assert "stem" in cli("report", spec, "--format", form).out
    assert cli("report", spec, "--format", "csv", "-o", tmp_path / "r.csv").out == ""
    assert "stem" in (tmp_path / "r.csv").read_text()
    assert "\x1b" not in cli("report", spec).out


def test_set_and_input(cli: Cli, spec: Path) -> None:
    data = json.loads(cli("report", spec, "--set", "classes=7", "--input", "image=3x32x32", "--format", "json").out)
    assert data["outputs"][0]["shape"] == ["N", 7]
    assert data["inputs"][0]["shape"] == ["N", 3, 32, 32]


def test_export_leaves_training_parts_out(cli: Cli, spec: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    assert "opset 17" in cli("export", spec, "-o", target).out
    model = onnx.load(target)
    assert [value.name for value in model.graph.output] == ["logits"]
    assert not [tensor.name for tensor in model.graph.initializer if tensor.name.startswith("head")]
    first = target.read_bytes()
    cli("export", spec, "-o", target)
    assert target.read_bytes() == first
    cli("export", spec, "-o", target, "--seed", 1)
    assert target.read_bytes() != first


def test_export_with_weights_from_a_file(cli: Cli, spec: Path, tmp_path: Path) -> None:
    import archdsl

    weights = archdsl.load(spec).initialize(seed=5)
    np.savez(tmp_path / "w.npz", **weights)
    cli("export", spec, "-o", tmp_path / "a.onnx", "--weights", tmp_path / "w.npz")
    cli("export", spec, "-o", tmp_path / "b.onnx", "--seed", 5)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    del weights["fc.bias"]
    weights["fc.weight"] = np.zeros((4, 8), np.float32)
    np.savez(tmp_path / "w.npz", surplus=np.zeros(1), **weights)
    result = cli("export", spec, "-o", tmp_path / "a.onnx", "--weights", tmp_path / "w.npz")
    assert result.status == 1
    for part in ("missing: fc.bias", "unexpected: surplus", "misshapen: fc.weight is [4, 8], not [3, 8]"):
        assert part in result.err
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 broken")
    assert "weights-unreadable" in cli("export", spec, "-o", tmp_path / "a.onnx", "--weights", tmp_path / "w.npz").err


def test_torch_source(cli: Cli, spec: Path, tmp_path: Path) -> None:
    assert "class Small(" in cli("torch", spec).out
    cli("torch", spec, "-o", tmp_path / "s.py")
    assert "class Small(" in (tmp_path / "s.py").read_text()


def test_run_on_a_photograph(cli: Cli, spec: Path, tmp_path: Path) -> None:
    result = cli("run", spec, "--image", PHOTO, "--top", 2)
    assert result.status == 0
    assert "ms on cpu" in result.out
    assert "mean nothing" in result.err
    (tmp_path / "names.txt").write_text("cat\ndog\nhouse\n")
    cli("export", spec, "-o", tmp_path / "x.onnx")
    out = cli("run", tmp_path / "x.onnx", "--image", PHOTO, "--labels", tmp_path / "names.txt").out
    assert all(name in out for name in ("cat", "dog", "house"))


def test_run_on_what_is_no_photograph_or_on_no_gpu(cli: Cli, spec: Path, tmp_path: Path) -> None:
    result = cli("run", spec, "--image", spec)
    assert result.status == 1
    assert "image-unreadable" in result.err
    result = cli("run", spec, "--image", PHOTO, "--device", "cuda")
    assert result.status == 1
    assert "cuda-unavailable" in result.err


def test_verify(cli: Cli, spec: Path) -> None:
    result = cli("verify", spec)
    assert result.status == 0
    assert "agree" in result.out


def test_verify_names_the_first_layer_that_parts(cli: Cli, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.runtime import verify as module

    def shifted(*arguments: object) -> list[dict[str, np.ndarray]]:
        return [{name: array + 1 for name, array in found.items()} for found in honest(*arguments)]

    honest = module.run_onnx
    monkeypatch.setattr(module, "run_onnx", shifted)
    result = cli("verify", spec)
    assert result.status == 1
    assert "error[verify-differs]" in result.err
    assert "they part first at `stem.0.conv`" in result.err


@pytest.mark.parametrize("text", [SMALL, SMALL.replace("-> relu }", "-> batchnorm -> relu }").replace("251", "267")])
def test_verify_without_torch_says_what_to_install(
    cli: Cli, spec: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write_text(text)
    monkeypatch.setitem(sys.modules, "torch", None)  # what Python does where a module is not there
    result = cli("verify", spec)
    assert result.status == 1
    assert "error[torch-missing]" in result.err
    assert cli("report", spec).status == 0


def test_list_and_explain(cli: Cli, spec: Path) -> None:
    rows = json.loads(cli("list", spec, "--format", "json").out)["networks"]
    assert [(row["network"], row["source"], row["parameters"]) for row in rows] == [
        ("small", str(spec), {"classes": 3}),
        ("wide", str(spec), {"classes": 5}),
    ]
    assert [(row["inputs"], row["params"], row["held"]) for row in rows] == [
        ({"image": [3, 16, 16]}, 251, 1),
        ({"image": [3, 16, 16]}, 269, 0),
    ]
    assert "googlenet" in cli("list").out
    assert "concat" in cli("explain", "concat-shape").out
    result = cli("explain", "concat-shap")
    assert result.status == 1
    assert "did you mean `concat-shape`" in result.err


@pytest.mark.parametrize(
    "line",
    [
        ["nope"],
        ["check"],
        ["report", "googlenet", "--format", "xml"],
        ["report", "googlenet", "--set", "classes"],
        ["report", "googlenet", "--set", "classes=1 +"],
        ["report", "googlenet", "--set", "classes="],
        ["report", "googlenet", "--set", "classes=nope"],
        ["report", "googlenet", "--input", "image=3x"],
        ["report", "googlenet", "--input", "image=3xHx2-W"],
        ["report", "googlenet", "--input", "image=3xH:32..xW"],
        ["report", "googlenet", "--input", "image=0xHxW"],
        ["report", "googlenet", "--limit", "speed=3"],
        ["export", "googlenet"],
        ["run", "googlenet"],
    ],
)
def test_wrong_command_lines_exit_with_2(cli: Cli, line: list[str]) -> None:
    result = cli(*line)
    assert result.status == 2
    assert result.err


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["report", "gogglenet"], "file-not-found"),
        (["report", "googlenet", "--network", "nope"], "unknown-network"),
        (["report", "googlenet", "--set", "clases=10"], "unknown-parameter"),
        (["report", "googlenet", "--input", "photo=3x4x4"], "unknown-parameter"),
        (["report", "googlenet", "--input", "image=3x4"], "bad-input-shape"),
        (["report", "googlenet", "--input", "image=3xHxW"], "symbolic-weights"),
        (["report", "googlenet", "--input", "image=3xH:500..900xW"], "symbolic-range"),
        (["export", "googlenet", "-o", "/nonexistent/x.onnx"], "cannot-write"),
        (["export", "googlenet", "-o", "/tmp"], "cannot-write"),
        (["export", "googlenet", "-o", "x.onnx", "--opset", "99"], "opset-unsupported"),
        (["export", "googlenet", "-o", "x.onnx", "--opset", "5"], "opset-unsupported"),
        (["run", "nothing.onnx", "--image", str(PHOTO)], "model-unreadable"),
    ],
)
def test_rejected_input_exits_with_1(
    cli: Cli, line: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli(*line)
    assert result.status == 1
    assert f"error[{code}]" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(
    cli: Cli, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "x.onnx"
    target.parent.mkdir()
    target.write_bytes(b"the old file")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = cli("export", spec, "-o", target)
    assert result.status == 1
    assert "no space left" in result.err
    assert target.read_bytes() == b"the old file"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_where_the_folder_should_be(cli: Cli, spec: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert "cannot-write" in cli("compile", spec, "-o", tmp_path / "out").err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert result.status == 0
    assert re.search(rf"Examples?:\s+archdsl {command}", result.out)


def test_open_sizes_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    spec = tmp_path / "net.arch"
    spec.write_text("network net { input image: [3, 32, 24]; conv(4, 3, stride = 2); output out: relu }")
    shown = cli("report", str(spec), "--input", "image=3xHxW").out
    assert "image [N, 3, H, W] float32" in shown
    assert "one sample at H = 32, W = 24" in shown
    data = json.loads(cli("report", str(spec), "--input", "image=3xH:16..64by16xW=48", "--format", "json").out)
    assert data["symbols"] == {"H": 32, "W": 48}
    assert data["outputs"][0]["shape"] == ["N", 4, "H // 2 - 1", "(W + 1) // 2 - 1"]
