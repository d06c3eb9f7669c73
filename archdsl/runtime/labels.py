"""Names of classes, and the outputs that they can belong to."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.language.diagnostics import error

Shape = tuple[int, ...]


def check_labels(labels: tuple[str, ...], outputs: Mapping[str, Shape]) -> None:
    """Shapes by name, without the batch; raises `ArchError` (`labels`) where no output has as many classes."""
    if not labels or any(has_classes(shape, len(labels)) for shape in outputs.values()):
        return
    shown = ", ".join(f"`{name}` {list(shape)}" for name, shape in outputs.items())
    message = f"{len(labels)} labels are given, but no output has that many classes"
    raise error("labels", message, notes=(f"outputs: {shown}",))


def has_classes(shape: Shape, count: int) -> bool:
    """Whether these are scores of so many classes: a vector, one for each row, or a map with a channel for each."""
    return bool(shape) and (shape[0] == count or (len(shape) == 2 and shape[1] == count))
