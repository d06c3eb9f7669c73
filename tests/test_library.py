"""The catalogue: current, complete, and without an unexplained figure."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import archdsl
from archdsl import catalogue
from archdsl.graph.recipe import Term
from archdsl.library import find, networks_in, shipped

ROOT = Path(__file__).parents[1]


def test_every_shipped_network_is_in_the_catalogue() -> None:
    declared = {(f"{path.stem}.arch", name) for path in shipped() for name in networks_in(path)}
    assert {(row.source.rpartition("/")[2], row.network) for row in catalogue.read()} == declared


def test_no_published_figure_is_left_unexplained() -> None:
    assert [(row.source, row.network) for row in catalogue.read() if row.open] == []


def test_googlenet_is_as_the_catalogue_says() -> None:
    path, name, _ = find("googlenet", None)
    stored = [row for row in catalogue.read() if row.source == name]
    assert catalogue.entries_of(path, name) == stored


def test_sources_of_the_catalogue_can_be_loaded_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for row in catalogue.read():
        assert find(row.source, row.network)[0].is_file()


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "torchvision/resnet50", "torchvision/googlenet"])
def test_names_of_the_library(name: str) -> None:
    path, shown, network = find(name, None)
    assert path.is_file()
    assert shown.startswith(name.rpartition("/")[0])
    assert network in (None, name.rpartition("/")[2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shown", "network"),
    [
        ("unet", "segmentation/unet.arch", None),
        ("lstm_equations", "recurrent/lstm.arch", "lstm_equations"),
        ("mobilenet_v2", "mobilenet.arch", "mobilenet_v2"),
        ("resnet50", "resnet.arch", "resnet50"),  # torchvision's is the one that has to be asked for
    ],
)
def test_a_name_that_one_folder_has_needs_no_folder(name: str, shown: str, network: str | None) -> None:
    assert find(name, None)[1:] == (shown, network)


def test_a_name_that_several_folders_have_needs_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.arch").write_text("network twice { input x: [3]; relu }\n", "utf-8")
    monkeypatch.setattr("archdsl.resources.folder", lambda _: tmp_path)
    with pytest.raises(archdsl.ArchError) as caught:
        find("twice", None)
    assert caught.value.diagnostics[0].help == "did you mean `a/twice` or `b/twice`?"


def test_pages_and_catalogue_are_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["library.py", "--check"])
    module = runpy.run_path(str(ROOT / "tools/library.py"))
    assert module["main"]() == 0, capsys.readouterr().out


def test_recipes_are_those_of_the_papers() -> None:
    recipe = archdsl.load("inception_v3").checked.recipe
    assert recipe["loss"] == Term("cross_entropy", (("label_smoothing", 0.1),))
    assert dict(recipe["optimizer"].arguments)["eps"] == 1.0  # type: ignore[attr-defined]
    assert recipe["schedule"] == Term("exponential", (("factor", 0.94), ("every", 2)))
    assert recipe["clip"] == Term("norm", (("max", 2.0),))
    assert archdsl.load("resnet110").checked.recipe["iterations"] == 64_000  # a variant has its family's
