"""ONNX files on disk: complete or absent, one file or two."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hand_built import random_inputs, random_weights, run_onnx, single

from archdsl.emit.onnx import writer
from archdsl.emit.onnx.model import onnx_model, skeleton
from archdsl.language import output
from archdsl.language.diagnostics import ArchError
from archdsl.ops.linear import Linear
from archdsl.weights.lazy import Lazy

GRAPH = single(Linear(40), (50,))


def model(seed: int = 0) -> onnx.ModelProto:
    return onnx_model(GRAPH, random_weights(GRAPH, seed))


def test_one_file_for_small_models(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert writer.save(model(), path) == [path]
    assert path.read_bytes() == model().SerializeToString(deterministic=True)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("how", ["always", "auto"])
def test_large_weights_lie_next_to_the_model(tmp_path: Path, how: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "auto":
        monkeypatch.setattr(writer, "SINGLE_FILE_BYTES", 8000)  # the weight alone has 40 * 50 * 4
    path = tmp_path / "net.onnx"
    assert writer.save(model(), path, how) == [path, tmp_path / "net.onnx.data"]
    onnx.checker.check_model(str(path), full_check=True)
    stored = onnx.load(str(path), load_external_data=False)
    sizes = {t.name: t.data_location == onnx.TensorProto.EXTERNAL for t in stored.graph.initializer}
    assert sizes == {"block.op.weight": True, "block.op.bias": False}
    inputs = random_inputs(GRAPH)
    (ours,) = onnxruntime.InferenceSession(str(path)).run(None, inputs)
    np.testing.assert_array_equal(ours, run_onnx(model(), inputs)[0])


def test_the_two_files_hold_the_same_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    original = model()
    writer.save(original, path, "always")
    assert original == model()
    loaded = onnx.load(str(path))
    for tensor in loaded.graph.initializer:
        tensor.ClearField("data_location")
        del tensor.external_data[:]
    assert loaded == original


def test_never_refuses_what_one_file_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SINGLE_FILE_BYTES", 8000)
    with pytest.raises(ArchError) as caught:
        writer.save(model(), tmp_path / "net.onnx", "never")
    assert caught.value.diagnostics[0].code == "too-large"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", [1, 2])
def test_a_full_disk_leaves_both_older_files_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    path = tmp_path / "net.onnx"
    writer.save(model(), path, "always")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    calls = []

    def full(file: object) -> None:
        calls.append(file)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "sync", full)
    monkeypatch.setattr(output, "sync", full)
    with pytest.raises(ArchError, match="no space left on the device"):
        writer.save(model(seed=5), path, "always")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


Pair = dict[str, bytes]
MOVES = 4  # both older files aside, both new ones to their names


def pair(folder: Path, seed: int) -> Pair:
    """The files of the model with the weights of that seed."""
    folder.mkdir()
    return {file.name: file.read_bytes() for file in writer.save(model(seed), folder / "net.onnx", "always")}


def contents(folder: Path) -> Pair:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def at_each_move(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Call `act` before and after every renaming of a file."""
    for name in ("rename", "replace"):
        original = getattr(Path, name)

        def move(self: Path, target: Path, original: Callable[[Path, Path], Path] = original) -> Path:
            act()
            found = original(self, target)
            act()
            return found

        monkeypatch.setattr(Path, name, move)


def test_no_model_is_ever_there_with_the_data_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may die between two renames: then there is no model rather than a wrong one."""
    old, new = pair(tmp_path / "old", 0), pair(tmp_path / "new", 5)
    seen = []

    def look() -> None:
        seen.append({name: data for name, data in contents(tmp_path / "old").items() if name in new})

    at_each_move(monkeypatch, look)
    writer.save(model(seed=5), tmp_path / "old" / "net.onnx", "always")
    assert len(seen) == 2 * MOVES
    assert all(files in (old, new) for files in seen if "net.onnx" in files)
    assert (seen[0], contents(tmp_path / "old")) == (old, new)


@pytest.mark.parametrize("place", range(2 * MOVES))
@pytest.mark.parametrize("older", ["pair", "model", "data", "none"])
def test_an_interrupt_leaves_the_older_files_or_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, older: str
) -> None:
    old, new = pair(tmp_path / "old", 0), pair(tmp_path / "new", 5)
    for name, kinds in (("net.onnx", ("pair", "model")), ("net.onnx.data", ("pair", "data"))):
        if older not in kinds:
            (tmp_path / "old" / name).unlink()
            del old[name]
    count = iter(range(100))

    def interrupt() -> None:
        seen = {name: data for name, data in contents(tmp_path / "old").items() if name in new}
        assert "net.onnx" not in seen or seen in (old, new)  # on the way back as well
        if next(count) == place:
            raise KeyboardInterrupt

    at_each_move(monkeypatch, interrupt)
    try:
        writer.save(model(seed=5), tmp_path / "old" / "net.onnx", "always")
    except KeyboardInterrupt:
        assert contents(tmp_path / "old") in (old, new)
    else:
        assert contents(tmp_path / "old") == new


@pytest.mark.parametrize("fixed", ["net.onnx", "net.onnx.data"])
def test_a_file_that_cannot_be_moved_leaves_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: str) -> None:
    """As `chattr +i` makes it."""
    old = pair(tmp_path / "old", 0)
    original = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.name == fixed:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return original(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ArchError, match="permission denied"):
        writer.save(model(seed=5), tmp_path / "old" / "net.onnx", "always")
    assert contents(tmp_path / "old") == old


def test_links_stay_and_what_they_refer_to_changes(tmp_path: Path) -> None:
    old, new = pair(tmp_path / "old", 0), pair(tmp_path / "new", 5)
    (tmp_path / "here").mkdir()
    for name in old:
        (tmp_path / "here" / name).symlink_to(tmp_path / "old" / name)
    writer.save(model(seed=5), tmp_path / "here" / "net.onnx", "always")
    assert contents(tmp_path / "old") == contents(tmp_path / "here") == new
    assert all(path.is_symlink() for path in (tmp_path / "here").iterdir())


def test_weights_too_small_for_a_file_of_their_own_get_none(tmp_path: Path) -> None:
    small = single(Linear(4), (5,))
    path = tmp_path / "net.onnx"
    assert writer.save(onnx_model(small, random_weights(small)), path, "always") == [path]
    assert writer.save(skeleton(GRAPH).model, path, "always") == [path]
    assert list(tmp_path.iterdir()) == [path]


def test_a_single_file_takes_the_data_of_the_pair_before_it_away(tmp_path: Path) -> None:
    pair(tmp_path / "old", 0)
    writer.save(model(), tmp_path / "old" / "net.onnx")
    assert list(contents(tmp_path / "old")) == ["net.onnx"]


@pytest.mark.parametrize("before", [model().SerializeToString(), b"no model", None])
def test_data_that_the_older_file_does_not_read_stay(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "net.onnx"
    if before is not None:
        path.write_bytes(before)
    (tmp_path / "net.onnx.data").write_text("a table")
    writer.save(model(), path)
    assert (tmp_path / "net.onnx.data").read_text() == "a table"


@pytest.mark.parametrize("how", ["always", "never"])
def test_weights_that_are_made_while_they_are_written_give_the_same_files(tmp_path: Path, how: Any) -> None:
    weights = random_weights(GRAPH, 0)
    made: list[str] = []

    def make(key: str) -> np.ndarray:
        made.append(key)
        return weights[key]

    lazy = Lazy({key: partial(make, key) for key in weights})
    frame = skeleton(GRAPH)
    streamed = writer.save(frame.model, tmp_path / "net.onnx", how, frame.pending(lazy))
    contents = [path.read_bytes() for path in streamed]
    assert made == list(frame.declared)
    whole = writer.save(model(), tmp_path / "net.onnx", how)
    assert [path.read_bytes() for path in whole] == contents
    assert how == "always" or contents == [model().SerializeToString(deterministic=True)]


def test_a_weight_of_another_shape_leaves_no_file(tmp_path: Path) -> None:
    frame = skeleton(GRAPH)
    wrong = {**random_weights(GRAPH), "block.op.bias": np.zeros(3)}
    with pytest.raises(ArchError, match=r"`block.op.bias` is \[40\], but its array is \[3\]"):
        writer.save(frame.model, tmp_path / "net.onnx", weights=frame.pending(wrong))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31 - 1])
def test_sizes_are_written_as_protobuf_writes_them(number: int) -> None:
    weight = onnx.TensorProto(dims=[number]).SerializeToString()  # a tag of one byte, then the number
    assert weight[1:] == bytes(writer._varint(number))
