"""Folders of real photographs: views of the two that scikit-learn brings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image, ImageOps

ORIGINALS = sorted((Path(sklearn.datasets.__file__).parent / "images").glob("*.jpg"))  # china and flower, 427 x 640


def photographs(folder: Path, views: int, side: int = 64) -> Path:
    """`views` square parts of each, half as high or more, scaled to `side` pixels, every other one mirrored."""
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    for source in ORIGINALS:
        with Image.open(source) as photo:
            for place in range(views):
                size = int(generator.integers(photo.height // 2, photo.height))
                left, top = (int(generator.integers(length - size)) for length in photo.size)
                view = photo.resize((side, side), box=(left, top, left + size, top + size))
                (ImageOps.mirror(view) if place % 2 else view).save(folder / f"{source.stem}{place:02}.png")
    return folder
