"""Finds faces: the three networks of `specs/face/mtcnn.arch` with trained weights, one after the other on onnxruntime.

pip install "archdsl[torch]"                            # torch reads the .pt files, it runs nothing
pip download --no-deps facenet-pytorch                  # trained weights come in its wheel
unzip facenet_pytorch-*.whl "facenet_pytorch/data/*"
python mtcnn.py facenet_pytorch/data photo.jpg faces.png
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw

import archdsl

Network = Callable[[np.ndarray], Mapping[str, np.ndarray]]
SCORES = {"pnet": 0.6, "rnet": 0.7, "onet": 0.7}  # what a face has to score in each stage
SHRINK = 0.709  # from one level of the pyramid to the next: half the area


def load(folder: Path) -> dict[str, Network]:
    """The networks by name, with the weights in `pnet.pt`, `rnet.pt` and `onet.pt`."""
    return {name: exported(name, folder / f"{name}.pt") for name in SCORES}


def exported(name: str, weights: Path) -> Network:
    """What `archdsl export face/mtcnn --network NAME --weights FILE` writes, as a function of images."""
    net = archdsl.load("face/mtcnn", name)
    model = net.onnx(net.read_weights(weights)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(outputs, session.run(outputs, {"image": images}), strict=True))


def find_faces(image: Image.Image, networks: Mapping[str, Network], smallest: int = 20) -> tuple[np.ndarray, ...]:
    """Boxes `[F, 4]` (left, top, right, bottom), scores `[F]` and points `[F, 5, 2]` of faces, best first, in pixels.

    `smallest` is the side of the smallest face that is looked for. Zhang et al., 2016, section II-A.
    """
    boxes, scores = proposals(image, networks["pnet"], smallest)
    boxes, scores, _ = looked_at(image, boxes, networks["rnet"], 24, SCORES["rnet"])
    boxes, scores, points = looked_at(image, boxes, networks["onet"], 48, SCORES["onet"])
    kept = suppressed(boxes, scores, 0.7, of_smaller=True)
    return boxes[kept], scores[kept], points[kept]


def proposals(image: Image.Image, pnet: Network, smallest: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of P-Net, which sees faces of 12 pixels, at all scales of the image."""
    found = [(np.empty((0, 4)), np.empty(0))]
    scale = 12 / smallest
    while min(image.size) * scale >= 12:
        size = (round(image.width * scale), round(image.height * scale))
        given = pnet(pixels([image.resize(size, Image.Resampling.BILINEAR)]))
        score = given["scores"][0, 1]
        y, x = np.nonzero(score > SCORES["pnet"])
        corners = np.stack([2 * x, 2 * y, 2 * x + 12, 2 * y + 12], axis=1) / scale
        boxes, scores = moved(corners, given["boxes"][0, :, y, x]), score[y, x]
        kept = suppressed(boxes, scores, 0.5)
        found.append((boxes[kept], scores[kept]))
        scale *= SHRINK
    boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = suppressed(boxes, scores, 0.7)
    return boxes[kept], scores[kept]


def looked_at(
    image: Image.Image, boxes: np.ndarray, network: Network, side: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of these boxes those that hold a face, moved to its edges; their scores; and its points, where they are given."""
    boxes = squares(boxes)
    crops = [image.crop(tuple(map(round, box))).resize((side, side), Image.Resampling.BILINEAR) for box in boxes]
    if not crops:
        return np.empty((0, 4)), np.empty(0), np.empty((0, 5, 2))
    given = network(pixels(crops))
    scores = given["scores"][:, 1]
    places = given.get("points", np.zeros((len(boxes), 10))).reshape(-1, 2, 5).transpose(0, 2, 1)
    points = boxes[:, None, :2] + places * (boxes[:, None, 2:] - boxes[:, None, :2])
    boxes = moved(boxes, given["boxes"])
    face = scores > least
    kept = np.flatnonzero(face)[suppressed(boxes[face], scores[face], 0.7)]
    return boxes[kept], scores[kept], points[kept]


def pixels(images: list[Image.Image]) -> np.ndarray:
    """Images of one size as the networks were trained on them: `[N, 3, H, W]`, from -1 to 1."""
    stacked = np.stack([np.asarray(image, np.float32) for image in images])
    return (stacked.transpose(0, 3, 1, 2) - 127.5) / 128


def moved(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes with each edge moved by its offset, in widths and heights of the box."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def squares(boxes: np.ndarray) -> np.ndarray:
    """The squares around the same centres that are as long as the boxes' longer sides."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def suppressed(boxes: np.ndarray, scores: np.ndarray, most: float, of_smaller: bool = False) -> list[int]:
    """Positions of the boxes that overlap no better one by more than `most` of their union, or of the smaller one."""
    left, top, right, bottom = boxes.T
    areas = (right - left) * (bottom - top)
    order, kept = np.argsort(-scores, kind="stable"), []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        common = width.clip(0) * height.clip(0)
        whole = np.minimum(areas[best], areas[rest]) if of_smaller else areas[best] + areas[rest] - common
        order = rest[common <= most * whole]
    return kept


def drawn(image: Image.Image, boxes: np.ndarray, points: np.ndarray) -> Image.Image:
    """The image with a frame around each face and a dot on each landmark."""
    image = image.copy()
    pen = ImageDraw.Draw(image)
    for box, landmarks in zip(boxes, points, strict=True):
        pen.rectangle([*box], outline=(0, 255, 0), width=3)
        for x, y in landmarks:
            pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=(255, 255, 0))
    return image


def main(weights: str, photo: str, output: str) -> None:
    image = Image.open(photo).convert("RGB")
    boxes, scores, points = find_faces(image, load(Path(weights)))
    for box, score in zip(boxes, scores, strict=True):
        print(f"face at {box.round().astype(int).tolist()}, score {score:.4f}")
    drawn(image, boxes, points).save(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
