"""What `archdsl bench` computes from times, on calls that move a clock of their own, and on real sessions."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from support import compiled

from archdsl.language.diagnostics import ArchError
from archdsl.runtime import bench as module
from archdsl.runtime import gemm as gemm_module
from archdsl.runtime.bench import Bench, Candidate, bench
from archdsl.runtime.bound import bound
from archdsl.runtime.gemm import Gemm, gemm
from archdsl.runtime.machine import cpu_name, machine
from archdsl.runtime.session import open_session

SPEC = "network n(out = 4) { input image: [3, 8, 8]; conv(out, 3) -> relu; output y: flatten -> linear(5) }"
MACS = 4 * 6 * 6 * 27 + 4 * 36 * 5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "n.onnx"
    compiled(SPEC).save_onnx(path)
    return path


class Moving:
    """A clock, and calls that let its time pass: networks by the order in which they are prepared."""

    def __init__(self, *costs: int) -> None:
        self.now, self.costs = 0, list(costs)

    def __call__(self) -> int:
        return self.now

    def call(self, cost: int) -> Callable[[], None]:
        def pass_by() -> None:
            self.now += cost

        return pass_by


def timed(monkeypatch: pytest.MonkeyPatch, candidates: list[Candidate], *costs: int, batch: int | None = None) -> Bench:
    """A bench in which the networks take `costs` nanoseconds, and a product of 100 x 100 matrices 1 ms: 2 GFLOP/s."""
    clock = Moving(*costs)
    monkeypatch.setattr(module, "bound", lambda *_: clock.call(clock.costs.pop(0)))
    monkeypatch.setattr(module, "fastest_gemm", lambda *_: Gemm(100, clock.call(1_000_000)))
    return bench(candidates, batch, runs=7, clock=clock)


def test_ratios_throughput_and_share(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [Candidate("a", file, 1_000_000), Candidate("b", file)]
    found = timed(monkeypatch, candidates, 20_000_000, 5_000_000, batch=3)
    a, b = found.timings
    assert found.gemm.flops == pytest.approx(2e9)
    assert (a.median_ms, a.p90_ms, a.ratio, a.batch, a.inputs) == (20, 20, 1, 3, {"image": (3, 3, 8, 8)})
    assert a.throughput == pytest.approx(150)
    assert a.share == pytest.approx(2 * 1e6 * 150 / 2e9)
    assert (b.median_ms, b.ratio, b.macs) == (5, 0.25, MACS)
    assert b.share == pytest.approx(2 * MACS * 600 / 2e9)


def test_macs_that_the_file_states_are_taken_but_not_for_another_size(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(file)
    del model.metadata_props[:]
    model.metadata_props.add(key="archdsl.macs", value="123")
    onnx.save(model, file)
    assert timed(monkeypatch, [Candidate("a", file)], 1000).timings[0].macs == 123
    resized = Candidate("a", file, inputs={"image": (3, 8, 8)})
    assert timed(monkeypatch, [resized], 1000).timings[0].macs == MACS


def test_without_macs_there_is_no_share_but_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 4] x) => (float[N, N] y) '
    model = onnx.parser.parse_model(text + '{ y = Einsum <equation = "ij,kj->ik"> (x, x) }')
    onnx.save(model, tmp_path / "e.onnx")
    (found,) = timed(monkeypatch, [Candidate("e", tmp_path / "e.onnx")], 1000).timings
    assert (found.macs, found.share) == (None, None)
    assert "Einsum" in found.note


def test_real_runs_give_positive_numbers_and_say_what_they_ran_on(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gemm_module.SIZES, "cpu", (32, 64))
    found = bench([Candidate("a", file), Candidate("b", file)], 2, threads=1, runs=6, warm_up=1)
    for item in found.timings:
        assert 0 < item.median_ms <= item.p90_ms
        assert item.throughput == pytest.approx(2000 / item.median_ms)
        assert item.share == pytest.approx(2 * MACS * item.throughput / found.gemm.flops)
    first, second = found.timings
    assert first.ratio == 1
    assert second.ratio > 0
    assert found.gemm.size in (32, 64)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["machine"]["onnxruntime"] == onnxruntime.__version__
    assert data["machine"]["system"] == platform.platform()
    assert (data["machine"]["provider"], data["machine"]["threads"]) == ("CPUExecutionProvider", 1)
    assert data["timings"][0]["inputs"] == {"image": [2, 3, 8, 8]}


def test_the_matrix_product_is_one() -> None:
    """2 n^3 operations, and numbers that NumPy gets too."""
    found = gemm(16, "cpu", 1)
    assert found.flop == 2 * 16 * 16 * 16
    found.call()
    generator = np.random.default_rng(0)
    w, x = generator.standard_normal((2, 16, 16), dtype=np.float32)
    binding = found.call.args[0]  # type: ignore[attr-defined]
    np.testing.assert_allclose(binding.copy_outputs_to_cpu()[0], x @ w, rtol=1e-4, atol=1e-5)


def test_bound_runs_write_into_the_same_place(file: Path) -> None:
    session = open_session(file)
    feed = {"image": np.ones((1, 3, 8, 8), np.float32)}
    call = bound(session, feed, "cpu", "n")
    binding = call.args[0]  # type: ignore[attr-defined]
    places = []
    for _ in range(2):
        call()
        (value,) = binding.get_outputs()
        places.append(value.data_ptr())
        np.testing.assert_array_equal(value.numpy(), session.run(None, feed)[0])
    assert places[0] == places[1]


def test_a_model_that_cannot_run_says_so(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[M] y) <int64[2] s = {7, 11}> '
    model = onnx.parser.parse_model(text + "{ y = Reshape (x, s) }")
    path = tmp_path / "r.onnx"
    onnx.save(model, path)
    with pytest.raises(ArchError) as caught:
        bench([Candidate("r", path)], runs=1)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "run-failed"
    assert "Reshape" in diagnostic.notes[0]


def test_the_cpu_is_named_on_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.runtime import machine as part

    info = tmp_path / "cpuinfo"
    info.write_text("processor : 0\nmodel name : Some CPU @ 2 GHz\n")
    monkeypatch.setattr(part, "CPU_INFO", info)
    assert cpu_name() == "Some CPU @ 2 GHz"
    monkeypatch.setattr(part, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert cpu_name() == platform.machine()
    assert machine("cpu", 3).cores >= 1
