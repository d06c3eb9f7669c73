"""A network compiled anew with another parameter, from the file that it came from and no other."""

from __future__ import annotations

from pathlib import Path

import archdsl
from archdsl.weights.fit import weights_of
from archdsl.weights.rebuilt import rebuilt

TEXT = """
network n(classes = 3, width = 4, wide = width * 2) {
    input x: [width]
    a: linear(wide)
    fc: linear(classes)
}
network m = n(width = 5)
"""


def written(folder: Path, text: str = TEXT) -> Path:
    (folder / "net.arch").write_text(text)
    return folder / "net.arch"


def test_what_was_set_before_holds_and_what_depends_on_it_follows(tmp_path: Path) -> None:
    path = written(tmp_path)
    inputs = {"x": (9,)}
    found = rebuilt(archdsl.load(path, "m", inputs=inputs, classes=7).checked, "width", 6)
    expected = archdsl.load(path, "m", inputs=inputs, classes=7, width=6).checked
    assert found is not None
    assert weights_of(found) == weights_of(expected)


def test_a_network_of_the_library() -> None:
    found = rebuilt(archdsl.load("torchvision/resnet18").checked, "classes", 10)
    assert found is not None
    assert weights_of(found)["fc.weight"].shape == (10, 512)


def test_what_is_rejected_or_not_the_same_any_more(tmp_path: Path) -> None:
    graph = archdsl.load(written(tmp_path)).checked
    assert rebuilt(graph, "classes", 0) is None
    assert rebuilt(graph, "classes", 4) is not None
    written(tmp_path, TEXT + "# changed")
    assert rebuilt(graph, "classes", 4) is None
    (tmp_path / "net.arch").unlink()
    assert rebuilt(graph, "classes", 4) is None
