"""Image files become exactly the array that the preprocessing describes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from archdsl.language.diagnostics import ArchError
from archdsl.runtime.image import Preprocess, load_image, preprocess_of

CHINA = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"  # 427 x 640
ORIENTATION = 0x0112


def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def code_of(call: object, *arguments: object) -> str:
    with pytest.raises(ArchError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.diagnostics[0].code


@pytest.fixture
def ramp(tmp_path: Path) -> Path:
    """4 x 6 pixels whose red is the row, green the column, blue 200."""
    rows, columns = np.mgrid[0:4, 0:6]
    return write(tmp_path / "ramp.png", np.stack([rows * 10, columns * 10, np.full((4, 6), 200)], axis=2))


def test_a_photograph_covers_the_network_and_is_cut_from_the_centre() -> None:
    """427 x 640 is scaled by 224 / 427 to 224 x 336, of which columns 56 to 280 are kept."""
    array = load_image(CHINA, (3, 224, 224), Preprocess())
    assert array.shape == (3, 224, 224)
    assert array.dtype == np.float32
    with Image.open(CHINA) as photo:
        expected = np.asarray(photo.resize((336, 224), Image.Resampling.BILINEAR))[:, 56:280] / 255
    np.testing.assert_allclose(array, expected.transpose(2, 0, 1), atol=1e-6)


def test_resize_and_crop_as_torchvision_has_them() -> None:
    """Resize(256), CenterCrop(224), ToTensor, Normalize: written out with Pillow and NumPy."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    how = preprocess_of({"resize": 256, "crop": 224, "mean": mean, "std": std})
    array = load_image(CHINA, (3, 224, 224), how)
    with Image.open(CHINA) as photo:
        resized = photo.resize((384, 256), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized)[16:240, 80:304] / 255
    np.testing.assert_allclose(array, ((pixels - mean) / std).transpose(2, 0, 1), atol=1e-5)


def test_exact_pixels_without_resizing(ramp: Path) -> None:
    array = load_image(ramp, (3, 4, 6), preprocess_of({"scale": 255}))
    assert array[0].tolist() == [[row * 10.0] * 6 for row in range(4)]
    assert array[1].tolist() == [[column * 10.0 for column in range(6)]] * 4
    assert set(array[2].ravel()) == {200}


def test_caffe_style_means_are_in_the_networks_channel_order(ramp: Path) -> None:
    how = preprocess_of({"channels": "bgr", "scale": 255, "mean": [100, 20, 3]})
    array = load_image(ramp, (3, 4, 6), how)
    assert set(array[0].ravel()) == {100}
    assert array[1, 0].tolist() == [-20, -10, 0, 10, 20, 30]
    assert array[2, :, 0].tolist() == [-3, 7, 17, 27]


def test_one_mean_for_all_channels(ramp: Path) -> None:
    array = load_image(ramp, (3, 4, 6), preprocess_of({"scale": 255, "mean": 100, "std": 2}))
    assert set(array[2].ravel()) == {50}


def test_grey_networks_get_luminance(ramp: Path) -> None:
    array = load_image(ramp, (1, 4, 6), preprocess_of({"scale": 255}))
    with Image.open(ramp) as picture:
        assert array[0].tolist() == np.asarray(picture.convert("L")).tolist()


def test_camera_orientation_is_applied(tmp_path: Path) -> None:
    """Orientation 6: the picture is stored turned; its top row is the stored left column, bottom first."""
    stored = np.zeros((2, 4, 3))
    stored[0, 0] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = write(tmp_path / "turned.png", stored, exif=exif)
    array = load_image(path, (1, 4, 2), Preprocess())
    assert np.argwhere(array[0] == 1).tolist() == [[0, 1]]


def test_transparency_palette_and_sixteen_bits(tmp_path: Path) -> None:
    red = np.zeros((4, 4, 4))
    red[..., 0], red[..., 3] = 255, 128
    transparent = write(tmp_path / "rgba.png", red)
    palette = tmp_path / "palette.gif"
    Image.fromarray(red[..., :3].astype(np.uint8)).convert("P").save(palette)
    for path in (transparent, palette):
        assert load_image(path, (3, 4, 4), Preprocess())[:, 0, 0].tolist() == [1, 0, 0]
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(deep)
    assert set(load_image(deep, (1, 4, 4), preprocess_of({"scale": 255})).ravel()) == {100}


def test_small_pictures_are_enlarged(ramp: Path) -> None:
    assert load_image(ramp, (3, 32, 32), Preprocess()).shape == (3, 32, 32)


def test_unreadable_files_say_so(tmp_path: Path) -> None:
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(CHINA.read_bytes()[:20000])
    text = tmp_path / "text.png"
    text.write_text("no image")
    for path in (cut, text, tmp_path, tmp_path / "missing.png"):
        assert code_of(load_image, path, (3, 8, 8), Preprocess()) == "image-unreadable"


def test_enormous_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ramp: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert code_of(load_image, ramp, (3, 4, 6), Preprocess()) == "image-unreadable"


def test_long_pictures_are_refused_where_scaling_them_would_fill_the_memory(tmp_path: Path) -> None:
    """1 x 60,000 pixels as 256 x 15,360,000 would take 12 GB."""
    long = write(tmp_path / "long.png", np.zeros((60_000, 1)))
    assert code_of(load_image, long, (3, 224, 224), preprocess_of({"resize": 256})) == "image-unreadable"
    assert code_of(load_image, long, (3, 224, 224), Preprocess()) == "image-unreadable"
    assert load_image(long, (1, 8, 8), Preprocess()).shape == (1, 8, 8)


def test_large_pictures_are_read_without_a_warning(monkeypatch: pytest.MonkeyPatch, ramp: Path) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # of 24; an error from twice as many on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(ramp, (3, 4, 6), Preprocess()).shape == (3, 4, 6)


def test_sixteen_bits_of_a_portable_graymap_are_scaled(tmp_path: Path) -> None:
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 4 4 65535\n" + np.full((4, 4), 257 * 100, ">u2").tobytes())
    assert set(load_image(path, (1, 4, 4), preprocess_of({"scale": 255})).ravel()) == {100}


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_numbers_without_a_known_white_are_refused(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "measured.tif"
    Image.fromarray(np.full((4, 4), 1000, dtype)).save(path)
    with pytest.raises(ArchError, match="which of them is white is not known") as caught:
        load_image(path, (1, 4, 4), Preprocess())
    assert caught.value.diagnostics[0].code == "image-unreadable"


@pytest.mark.parametrize(
    "settings",
    [
        {"mean": "x"},
        {"mean": [[1]]},
        {"crop": "ab"},
        {"crop": [1, 2, 3]},
        {"resize": float("inf")},
        {"scale": []},
        {"resize": 256, "flip": True},
        {"channels": "cmyk"},
        {"std": 0},
        {"resize": 0},
        {"crop": [0, 4]},
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    assert code_of(preprocess_of, settings) == "preprocess"


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((3, 4, 6), {"crop": 5}),
        ((3, 4, 6), {"resize": 3}),
        ((3, 4, 6), {"mean": [1, 2]}),
        ((4, 4, 6), {}),
    ],
)
def test_settings_must_fit_the_network(ramp: Path, shape: tuple[int, int, int], settings: dict[str, object]) -> None:
    assert code_of(load_image, ramp, shape, preprocess_of(settings)) == "preprocess"
