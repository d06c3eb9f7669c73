"""A folder of samples: which files count, in which order, and what is said about the others."""

from __future__ import annotations

import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hand_built import image
from photographs import ORIGINALS, photographs

from archdsl.graph.graph import Input
from archdsl.language.diagnostics import ArchError, Diagnostic
from archdsl.runtime import calibration
from archdsl.runtime.calibration import HELD_BACK, read_samples
from archdsl.runtime.image import load_image, preprocess_of

HOW = {"resize": 20, "crop": 16, "mean": [0.5, 0.4, 0.3]}
PHOTO = [image(3, 16, 16, **HOW)]
PAIR = [image(4, name="left"), image(2, 3, name="right")]


def refused(folder: Path, inputs: list[Input]) -> Diagnostic:
    with pytest.raises(ArchError) as caught:
        read_samples(folder, inputs)
    (found,) = caught.value.diagnostics
    return found


def test_images_are_prepared_as_the_spec_says_and_every_fourth_is_held_back(tmp_path: Path) -> None:
    files = sorted(photographs(tmp_path, 5).iterdir())
    samples = read_samples(tmp_path, PHOTO)
    expected = [load_image(file, (3, 16, 16), preprocess_of(HOW)) for file in files]
    held = [3, 7]
    rest = [place for place in range(10) if place not in held]
    for feeds, places in ((samples.held_back, held), (samples.calibration, rest)):
        assert [list(feed) for feed in feeds] == [["image"]] * len(places)
        np.testing.assert_array_equal([feed["image"] for feed in feeds], [expected[place] for place in places])
    assert samples.skipped == ()


def test_subfolders_count_in_the_order_of_whole_names(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, source in (("b/one.JPG", ORIGINALS[0]), ("a.jpg", ORIGINALS[1])):
        shutil.copy(source, tmp_path / name)
    (tmp_path / ".hidden.jpg").write_bytes(b"")
    (tmp_path / "labels.txt").write_text("china")
    first, second = read_samples(tmp_path, PHOTO).calibration
    np.testing.assert_array_equal(first["image"], load_image(ORIGINALS[1], (3, 16, 16), preprocess_of(HOW)))
    assert not np.array_equal(first["image"], second["image"])


def test_fewer_than_four_samples_leave_none_to_hold_back(tmp_path: Path) -> None:
    photographs(tmp_path, 1)
    samples = read_samples(tmp_path, PHOTO)
    assert (len(samples.calibration), len(samples.held_back)) == (2, 0)


def test_unreadable_images_are_named_and_left_out(tmp_path: Path) -> None:
    photographs(tmp_path, 2)
    (tmp_path / "broken.png").write_bytes(ORIGINALS[0].read_bytes()[:5000])
    samples = read_samples(tmp_path, PHOTO)
    assert (len(samples.calibration), len(samples.held_back)) == (3, 1)
    (skipped,) = samples.skipped
    assert (skipped.code, skipped.severity) == ("calibration", "warning")
    assert "broken.png" in skipped.message


def test_of_many_files_some_are_taken_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_SAMPLES", 5)
    for place in range(20):
        np.savez(tmp_path / f"{place:02}.npz", image=np.full((3, 16, 16), place))
    samples = read_samples(tmp_path, PHOTO)
    assert [feed["image"].max() for feed in samples.calibration] == [0, 4, 8, 16]
    assert [feed["image"].max() for feed in samples.held_back] == [12]


def test_large_samples_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_BYTES", 10 * 3 * 16 * 16 * 4)
    photographs(tmp_path, 12)
    samples = read_samples(tmp_path, PHOTO)
    assert len(samples.calibration) + len(samples.held_back) == 10


def test_arrays_are_samples_of_any_network(tmp_path: Path) -> None:
    for place in range(HELD_BACK):
        np.savez(tmp_path / f"{place}.npz", right=np.full((2, 3), place), left=np.arange(4), more=np.zeros(1))
    samples = read_samples(tmp_path, PAIR)
    (held,) = samples.held_back
    assert {name: array.dtype.name for name, array in held.items()} == {"left": "float32", "right": "float32"}
    assert held["left"].tolist() == [0, 1, 2, 3]
    assert set(held["right"].ravel()) == {3}


def test_arrays_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.zeros(4), right=np.zeros((2, 3)))
    np.savez(tmp_path / "b.npz", left=np.zeros(4))
    np.savez(tmp_path / "c.npz", left=np.zeros((1, 4)), right=np.zeros((2, 3)))
    np.savez(tmp_path / "d.npz", left=np.array([None] * 4), right=np.zeros((2, 3)))
    np.savez(tmp_path / "e.npz", left=np.array(["x"] * 4), right=np.zeros((2, 3)))
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04 no archive")
    samples = read_samples(tmp_path, PAIR)
    assert len(samples.calibration) == 1
    assert [f"{name}.npz" in item.message for name, item in zip("bcdef", samples.skipped, strict=True)] == [True] * 5
    assert "[1, 4], not [4]" in samples.skipped[1].message


def npy(header: str, data: bytes = bytes(16)) -> bytes:
    """A `.npy` file of version 1 with this header."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


ROW = "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npy(ROW.replace("4,", "4000000, 1000000")), "16 bytes follow"),
        (npy("{'descr': (\n"), "cannot be read"),
        (b"no array", "cannot be read"),
        (npy(ROW.replace("<f4", "<c8"), bytes(32)), "holds complex64, which is no float32"),
        (npy(ROW, np.array([1, 2, np.nan, 3], "<f4").tobytes()), "not finite"),
        (npy(ROW.replace("<f4", "<f8"), np.full(4, 1e300).tobytes()), "not finite as float32"),
        (npy(ROW.replace("<f4", "<U2"), bytes(32)), "which is no float32"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_damaged_arrays_and_those_of_other_numbers_are_left_out(tmp_path: Path, content: bytes, words: str) -> None:
    with ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("left.npy", content)
    np.savez(tmp_path / "b.npz", left=np.arange(4))
    samples = read_samples(tmp_path, [image(4, name="left")])
    assert [feed["left"].tolist() for feed in samples.calibration] == [[0, 1, 2, 3]]
    assert words in samples.skipped[0].message


def test_an_array_alone_and_damaged_compression_are_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.arange(4))
    with (tmp_path / "b.npz").open("wb") as file:
        np.save(file, np.arange(4))
    np.savez_compressed(tmp_path / "c.npz", left=np.zeros(4))
    damaged = bytearray((tmp_path / "c.npz").read_bytes())
    damaged[60:80] = bytes([255] * 20)
    (tmp_path / "c.npz").write_bytes(damaged)
    samples = read_samples(tmp_path, [image(4, name="left")])
    assert len(samples.calibration) == 1
    assert len(samples.skipped) == 2


def test_folders_without_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    for folder, words in (("missing", "there is no folder"), ("notes.txt", "is a file"), (".", "there are no samples")):
        found = refused(tmp_path / folder, PHOTO)
        assert found.code == "calibration"
        assert words in found.message


def test_images_alone_are_no_samples_of_a_network_that_takes_none(tmp_path: Path) -> None:
    photographs(tmp_path, 1)
    found = refused(tmp_path, PAIR)
    assert "npz" in (found.help or "")
    assert found.notes == ("inputs: `left` [4], `right` [2, 3]",)


def test_a_folder_of_broken_images_is_refused(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_text("no image")
    found = refused(tmp_path, PHOTO)
    assert "none of the 2 samples" in found.message
    assert len(found.notes) == 2


def test_preprocessing_that_does_not_fit_is_no_broken_image(tmp_path: Path) -> None:
    photographs(tmp_path, 1)
    assert refused(tmp_path, [image(3, 16, 16, crop=8)]).code == "preprocess"
