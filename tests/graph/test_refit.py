"""Images are prepared for the size that an input has in the end."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import sklearn.datasets

import archdsl
from archdsl.runtime.deploy import Deployment, prepare
from archdsl.runtime.run import run

FLOWER = Path(sklearn.datasets.__file__).parent / "images" / "flower.jpg"  # 427 x 640
TEXT = """
network net {{
    input image: [3, {size}, {size}] preprocess {settings}
    conv: conv(4, 3)
    {end}
}}
"""
MAP, VECTOR = "output map: relu", "flatten; output logits: linear(5)"


def prepared(
    settings: str, asked: dict[str, tuple[int | str, ...]], end: str = MAP, **dense: object
) -> dict[str, object]:
    """What the file says about images, for a spec of 16 x 16 with these settings; it runs on a photograph too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.arch"
        path.write_text(TEXT.format(size=16, settings=settings, end=end))
        net = archdsl.load(path, inputs=asked)
    how = Deployment(**dense)  # type: ignore[arg-type]
    model = prepare(net.checked, net.initialize(), how).frame.model
    (text,) = (item.value for item in model.metadata_props if item.key == "archdsl.preprocessing")
    found: dict[str, object] = json.loads(text)["image"]
    return found


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3, 16, 16), {"resize": 20, "crop": 16}),
        ((3, 32, 32), {"resize": 40, "crop": 32}),
        ((3, 10, 10), {"resize": 12, "crop": 10}),
        ((3, 24, 32), {"resize": 40, "crop": [24, 32]}),
        ((3, "H", "W"), {"resize": 20}),
        ((3, "H", 16), {"resize": 20}),
    ],
)
def test_crop_becomes_the_size_and_resize_grows_with_it(
    size: tuple[int | str, ...], expected: dict[str, object]
) -> None:
    assert prepared("resize = 20, crop = 16", {"image": size}) == expected


def test_a_resize_alone_belongs_to_the_spec_s_own_size() -> None:
    assert prepared("resize = 16, scale = 255", {}) == {"resize": 16, "scale": 255}
    assert prepared("resize = 16, scale = 255", {"image": (3, 32, 32)}) == {"scale": 255}


def test_the_size_after_fc_to_conv_counts() -> None:
    dense = {"passes": ("fc_to_conv",), "inputs": {"image": (3, 32, 32)}}
    assert prepared("resize = 20, crop = 16", {}, VECTOR, **dense) == {"resize": 40, "crop": 32}


def test_a_crop_that_never_fitted_stays_the_spec_s_mistake() -> None:
    assert prepared("crop = 8", {}) == {"crop": 8}


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3, 32, 24), (32, 24)),
        ((3, "H:8..64", "W:8..64"), (20, 30)),  # the image's own after `resize`
        ((3, "H:24..64=32", "W:8..64=32"), (24, 30)),  # more than `resize` gives
    ],
)
def test_it_runs_on_a_photograph_of_any_size(
    tmp_path: Path, size: tuple[int | str, ...], expected: tuple[int, int]
) -> None:
    path = tmp_path / "net.arch"
    path.write_text(TEXT.format(size=16, settings="resize = 20, crop = 16", end=MAP))
    model = archdsl.load(path, inputs={"image": size}).onnx().SerializeToString()
    assert run(model, FLOWER, repeats=1).input_shape == (1, 3, *expected)
