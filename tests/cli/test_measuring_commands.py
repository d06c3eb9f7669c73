"""`archdsl bench`, `archdsl profile` and `archdsl verify --against`: what they print, and how they exit."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnxruntime
import pytest

import archdsl
from archdsl.cli.app import run
from archdsl.graph.sizes import nominal
from archdsl.runtime import gemm

SMALL = """
block cr(out) { conv: conv(out, 3, pad = 1) -> relu }
network small(classes = 3) {
    input image: [3, 16, 16]
    stem: cr(8) -> maxpool(2)
    more: cr(8)
    output logits: avgpool(global) -> flatten -> fc: linear(classes)
}
network open { input image: [3, H, W]; conv(4, 3); output y: avgpool(global) -> flatten }
"""


WIDTH = 24  # of the margin beside a source


@dataclass
class Result:
    status: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs a command line in a folder with the spec and its export."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setitem(gemm.SIZES, "cpu", (32,))
    Path("small.arch").write_text(SMALL)

    def call(line: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["archdsl", *line.split()])
        status = run()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(status, captured.out, captured.err)

    assert call("export small.arch -o small.onnx").status == 0
    return call


def test_bench_prints_networks_in_their_order(cli: Cli) -> None:
    found = cli("bench small.onnx small.arch --runs 3 --threads 1 --batch 2")
    assert found.status == 0
    assert re.search(r"^small.onnx +2 .* ms .* 1\.00 .*%\n^small.arch +2 .* ms .*%", found.out, re.MULTILINE)
    assert "3 runs each in turns, after 3; 1 thread, CPUExecutionProvider" in found.out
    assert f"onnxruntime {onnxruntime.__version__}" in found.out
    assert "32x32 by 32x32 float32" in found.out


def test_bench_as_json(cli: Cli) -> None:
    found = cli("bench small.arch small.onnx --runs 2 --warm-up 0 --format json")
    data = json.loads(found.out)
    assert (data["schema"], data["runs"], data["warm_up"]) == ("archdsl.bench/1", 2, 0)
    spec, file = data["timings"]
    report = json.loads(cli("report small.arch --format json").out)
    assert spec["macs"] == file["macs"] == report["totals"]["macs"]
    assert spec["ratio"] == 1
    assert min(file["median_ms"], file["throughput"], file["share"]) > 0


def test_open_sizes_are_nominal_in_a_spec_and_asked_for_in_a_file(cli: Cli) -> None:
    data = json.loads(cli("bench small.arch --network open --runs 1 --format json").out)
    sizes = nominal(archdsl.load("small.arch", "open").checked)
    assert data["timings"][0]["inputs"] == {"image": [1, 3, sizes["H"], sizes["W"]]}
    assert cli("export small.arch --network open -o open.onnx").status == 0
    found = cli("bench open.onnx --runs 1")
    assert found.status == 1
    assert "error[onnx-input]: `open.onnx` leaves sizes of its input `image` open" in found.err
    data = json.loads(cli("bench open.onnx --runs 1 --input image=3x32x40 --format json").out)
    assert data["timings"][0]["inputs"] == {"image": [1, 3, 32, 40]}
    assert data["timings"][0]["macs"] == 4 * 30 * 38 * 27


def test_profile_by_line(cli: Cli) -> None:
    found = cli("profile small.arch --runs 3")
    assert found.status == 0
    assert re.search(r"^2 +block cr\(out\) .* 4 .*%", found.out, re.MULTILINE)
    for row in ("(layout)", "(between kernels)", "total"):
        assert row in found.out


def test_profile_beside_the_source(cli: Cli) -> None:
    found = cli("profile small.arch --runs 3 --format source")
    annotated = [(line[:WIDTH], line[WIDTH + 2 :]) for line in found.out.splitlines() if line[WIDTH:].startswith("|")]
    source = ["small.arch", *SMALL.splitlines()]
    assert [line for _, line in annotated][: len(source)] == source
    margins = {line.strip(): margin.split() for margin, line in annotated}
    assert margins["network small(classes = 3) {"] == []
    lines = [margins[name] for name in ("stem: cr(8) -> maxpool(2)", "more: cr(8)")]
    last = margins["output logits: avgpool(global) -> flatten -> fc: linear(classes)"]
    assert sum(float(shares[1].rstrip("%")) for shares in (*lines, last)) == pytest.approx(100, abs=0.2)
    times = [shares[0] for shares in (*lines, last, margins.get("(layout)") or ["0%"], margins["(between kernels)"])]
    assert sum(float(share.rstrip("%")) for share in times) == pytest.approx(100, abs=0.4)


def test_profile_of_a_file_by_node(cli: Cli) -> None:
    found = cli("profile small.onnx --runs 2 --batch 3 --threads 1")
    assert found.status == 0
    assert re.search(r"^stem\.0\.conv +Conv +1 ", found.out, re.MULTILINE)  # with its activation
    assert re.search(r"^Conv +2 ", found.out, re.MULTILINE)
    assert "batch 3, 1 thread" in found.out
    data = json.loads(cli("profile small.onnx --runs 2 --format json").out)
    assert data["lines"] == []
    assert sum(kernel["ms"] for kernel in data["kernels"]) == pytest.approx(data["kernels_ms"])


def test_profile_as_json(cli: Cli) -> None:
    data = json.loads(cli("profile small.arch --runs 2 --format json").out)
    assert data["schema"] == "archdsl.profile/1"
    assert sum(line["own"]["macs"] for line in data["lines"]) == sum(node["macs"] for node in data["nodes"])
    parts = [*(layer["ms"] for layer in data["layers"]), data["layout"]["ms"], data["between_ms"]]
    assert sum(parts) == pytest.approx(data["total_ms"])


def test_verify_against_needs_no_torch(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = cli("verify small.arch --against small.onnx")
    assert found.status == 0
    assert "weights: from small.onnx, 6 by name and 0 by their layers" in found.out
    assert "all of them agree" in found.out
    assert cli("verify small.arch --against small.onnx -q").out == "they agree within 1e-05\n"


def test_verify_against_a_file_in_other_names(cli: Cli) -> None:
    model = onnx.load("small.onnx")
    for tensor in model.graph.initializer:
        tensor.name = f"their.{tensor.name}"
    for node in model.graph.node:
        node.input[1:] = [f"their.{name}" for name in node.input[1:]]
    onnx.save(model, "theirs.onnx")
    assert "0 by name and 6 by their layers" in cli("verify small.arch --against theirs.onnx").out
    Path("map.toml").write_text('[prefix]\n"their." = ""\n')
    assert "6 by name and 0 by their layers" in cli("verify small.arch --against theirs.onnx --map map.toml").out


def test_verify_against_names_the_first_layer_that_parts(cli: Cli) -> None:
    cli("weights small.arch --init 7 -o w.npz")
    found = cli("verify small.arch --weights w.npz --against small.onnx")
    assert found.status == 1
    assert "error[verify-differs]: the network and `small.onnx` differ by more than 1e-05" in found.err
    assert re.search(r"they part first at `stem[\w.]*`, theirs `stem[\w.]*`", found.err)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("bench none.onnx", "model-unreadable"),
        ("bench none.arch", "file-not-found"),
        ("bench small.onnx --device cuda", "cuda-unavailable"),
        ("bench small.onnx --input image=3x8x8", "onnx-input"),
        ("bench small.onnx --input photo=3x16x16", "onnx-input"),
        ("profile none.onnx", "model-unreadable"),
        ("profile small.arch --weights none.npz", "weights-unreadable"),
        ("verify small.arch --against none.onnx", "weights-unreadable"),
        ("verify small.arch --network open --against small.onnx", "against-mismatch"),
        ("verify small.arch --set classes=4 --against small.onnx", "weights-mismatch"),
    ],
)
def test_rejected_input_exits_with_1(cli: Cli, line: str, code: str) -> None:
    if "cuda" in line and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    found = cli(line)
    assert found.status == 1
    assert f"error[{code}]" in found.err
    assert found.out == ""


@pytest.mark.parametrize(
    "line",
    [
        "bench",
        "bench small.arch --threads 0",
        "bench small.arch --runs 0",
        "bench small.arch --batch 0",
        "bench small.arch --warm-up -1",
        "bench small.arch --device tpu",
        "profile small.onnx --format source",
        "profile small.onnx --set classes=3",
        "profile small.onnx --partial",
        "bench small.onnx --network small",
        "run small.onnx --image photo.png --input image=3x9x9",
        "run small.onnx --image photo.png --weights w.npz",
        "profile small.arch --threads 0",
        "profile small.arch --runs 0",
    ],
)
def test_wrong_command_lines_exit_with_2(cli: Cli, line: str) -> None:
    assert cli(line).status == 2
