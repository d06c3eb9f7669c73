"""An image file -> the array that a network expects."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from archdsl.language.diagnostics import ArchError, error

#: what Pillow raises on files that are missing, cut short or no image
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
#: what Pillow opens as 32-bit integers though they have 16 bits, scaled to 0 .. 65535
SIXTEEN_BITS = ("PNG", "PPM")


@dataclass(frozen=True, slots=True)
class Preprocess:
    """How an image becomes an input, in this order.

    `resize`: the shorter side in pixels; None: just large enough to cover the crop. `crop`: height and width cut
    from the centre; None: the network's. `channels`: `rgb` or `bgr`. `scale`: the largest value (1 or 255). `mean`
    and `std`: (x - mean) / std, one number, or one for each channel in the network's order.
    """

    resize: int | None = None
    crop: tuple[int, int] | None = None
    channels: str = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def preprocess_of(settings: Mapping[str, Any]) -> Preprocess:
    """The settings as a spec writes them, checked; raises `ArchError` (`preprocess`)."""
    for name in settings:
        if name not in CONVERTERS:
            raise _wrong(f"`{name}` is not a preprocessing step", f"there are {', '.join(CONVERTERS)}")
    found = Preprocess(**{name: _converted(name, value) for name, value in settings.items() if value is not None})
    lengths = (*(found.crop or ()), 1 if found.resize is None else found.resize)
    if min(lengths) < 1:
        raise _wrong("`resize` and `crop` are numbers of pixels, 1 or more")
    if found.channels not in ("rgb", "bgr"):
        raise _wrong(f"`channels` is `rgb` or `bgr`, not `{found.channels}`")
    if not all(found.std):
        raise _wrong("`std` divides, so it cannot be 0")
    return found


def _converted(name: str, value: Any) -> Any:
    try:
        return CONVERTERS[name](value)
    except (TypeError, ValueError, OverflowError):  # what a damaged file has there
        raise _wrong(f"`{name}` cannot be {value!r}") from None


def load_image(path: str | Path, shape: tuple[int, int, int], how: Preprocess) -> np.ndarray:
    """The image as float32 `[C, H, W]`; grey values for one channel.

    Camera orientation (EXIF) is applied. Raises `ArchError` (`image-unreadable`, `preprocess`).
    """
    channels, height, width = shape
    if channels not in (1, 3):
        raise _wrong(f"an image has 1 or 3 channels, but the network's input has {channels}")
    crop = how.crop or (height, width)
    if crop != (height, width):
        raise _wrong(f"`crop` gives {crop[0]}x{crop[1]}, but the network's input is {height}x{width}")
    decoded = _decoded(path, channels)
    picture = _cropped(_resized(decoded, _size_of(decoded, how.resize, crop), path), crop)
    pixels = np.asarray(picture, dtype=np.float32).reshape(height, width, channels)
    if how.channels == "bgr":
        pixels = pixels[:, :, ::-1]
    return _normalized(pixels, how).transpose(2, 0, 1).copy()


def picture_size(path: str | Path, how: Preprocess) -> tuple[int, int]:
    """Height and width that the image has for a network which takes any: its own, after `resize`; or the crop's.

    Raises `ArchError` (`image-unreadable`).
    """
    if how.crop is not None:
        return how.crop
    picture = _decoded(path, 3)
    width, height = picture.size if how.resize is None else _size_of(picture, how.resize, (1, 1))
    return height, width


def _normalized(pixels: np.ndarray, how: Preprocess) -> np.ndarray:
    """(x scale / 255 - mean) / std on `[H, W, C]`."""
    channels = pixels.shape[2]
    for name, numbers in (("mean", how.mean), ("std", how.std)):
        if len(numbers) not in (1, channels):
            raise _wrong(f"`{name}` has {len(numbers)} numbers for {channels} channels")
    mean, std = np.asarray(how.mean, np.float32), np.asarray(how.std, np.float32)
    normal: np.ndarray = (pixels * np.float32(how.scale / 255) - mean) / std
    return normal


def _decoded(path: str | Path, channels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large is fine, too large is an error
            with Image.open(path) as file:
                upright = _eight_bits(ImageOps.exif_transpose(file), file.format or "")
                return upright.convert("L" if channels == 1 else "RGB")
    except UNREADABLE as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise error("image-unreadable", f"cannot read the image `{path}`: {reason}") from problem


def _eight_bits(picture: Image.Image, format: str) -> Image.Image:
    """Deeper grey scaled, which Pillow would clip; ValueError where nothing says which number is white."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and format in SIXTEEN_BITS):
        return Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        kind = "whole" if picture.mode == "I" else "floating-point"
        raise ValueError(f"its pixels are {kind} numbers of 32 bits, and which of them is white is not known")
    return picture


def _size_of(picture: Image.Image, shorter: int | None, crop: tuple[int, int]) -> tuple[int, int]:
    """Width and height, scaled evenly until the shorter side is as asked, or until the picture covers the crop."""
    width, height = picture.size
    factor = max(crop[0] / height, crop[1] / width) if shorter is None else shorter / min(height, width)
    return round(width * factor), round(height * factor)


def _resized(picture: Image.Image, size: tuple[int, int], path: str | Path) -> Image.Image:
    """The picture in that size; raises `ArchError` (`image-unreadable`) where this is more than Pillow would open."""
    if size == picture.size:
        return picture
    if size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or math.inf):
        (width, height), (wide, high) = picture.size, size
        reason = f"{width:,} x {height:,} pixels would have to become {wide:,} x {high:,}"
        raise error("image-unreadable", f"the image `{path}` is too long, or the network's input too large: {reason}")
    return picture.resize(size, Image.Resampling.BILINEAR)


def _cropped(picture: Image.Image, crop: tuple[int, int]) -> Image.Image:
    width, height = picture.size
    if height < crop[0] or width < crop[1]:
        raise _wrong(f"the resized image of {height}x{width} is smaller than the crop of {crop[0]}x{crop[1]}")
    top, left = round((height - crop[0]) / 2), round((width - crop[1]) / 2)
    return picture.crop((left, top, left + crop[1], top + crop[0]))


def _pair(value: Any) -> tuple[int, int]:
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)


def _numbers(value: Any) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, int | float) else tuple(map(float, value))


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "resize": int,
    "crop": _pair,
    "channels": str,
    "scale": float,
    "mean": _numbers,
    "std": _numbers,
}


def _wrong(message: str, help: str | None = None) -> ArchError:
    return error("preprocess", message, help=help)
