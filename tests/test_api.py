"""`archdsl.load` and its network take what Python programs hold: numbers of NumPy, tensors of PyTorch, lists."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import onnx.numpy_helper
import pytest
import torch
from support import compiled

import archdsl

TEXT = "network n(classes = 3, widths = [4]) { input x: [3, 8, 8]; conv(widths[0], 3); flatten; fc: linear(classes) }"


def test_numbers_of_numpy_and_of_torch_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "n.arch"
    path.write_text(TEXT)
    shape = (3, np.int64(9), torch.tensor(9))
    net = archdsl.load(path, classes=np.int32(5), widths=[np.int64(6)], inputs={"x": shape})
    assert net.parameters == {"classes": 5, "widths": (6,)}
    assert net.report().to_dict()["totals"]["params"] == 6 * 28 + (6 * 49 + 1) * 5


def test_weights_may_be_tensors_and_lists() -> None:
    net = compiled(TEXT)
    module = net.torch(seed=4)
    given = {**dict(module.named_parameters()), "fc.bias": [1.0, 2.0, 3.0]}
    arrays = {item.name: onnx.numpy_helper.to_array(item) for item in net.onnx(given).graph.initializer}
    assert arrays["fc.bias"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(arrays["fc.weight"], module.state_dict()["fc.weight"].numpy())


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_has_samples(tmp_path: Path, batch: int) -> None:
    net = compiled(TEXT)
    with pytest.raises(archdsl.ArchError, match="1 or more"):
        net.save_onnx(tmp_path / "n.onnx", batch=batch)
    with pytest.raises(archdsl.ArchError, match="1 or more"):
        net.report(batch)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(3, -3, 8), (0, 8, 8), (3, True, 8), (3, 8.5, 8), 5])
def test_impossible_sizes_are_refused(tmp_path: Path, shape: object) -> None:
    path = tmp_path / "n.arch"
    path.write_text(TEXT)
    with pytest.raises(archdsl.ArchError, match="whole numbers of at least 1") as caught:
        archdsl.load(path, inputs={"x": shape})  # type: ignore[dict-item]
    assert caught.value.diagnostics[0].code == "bad-input-shape"


def test_a_pass_may_stand_alone() -> None:
    net = compiled(TEXT)
    assert net.onnx(passes="fold_scale") == net.onnx(passes=["fold_scale"])


def test_an_error_comes_out_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "n.arch"
    path.write_text(TEXT.replace("conv(widths[0], 3)", "conv(4, 30)"))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool, pytest.raises(archdsl.ArchError) as caught:
        pool.submit(archdsl.load, path).result()
    (found,) = caught.value.diagnostics
    assert (found.code, found.span and found.span.text) == ("kernel-too-large", "30")
