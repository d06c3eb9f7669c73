"""Files of weights: what the formats' own libraries write and read, in a stream, complete or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from support import compiled

from archdsl.language.diagnostics import ArchError
from archdsl.weights.fit import weights_of
from archdsl.weights.initialize import initialize, lazy_initialize
from archdsl.weights.lazy import Lazy
from archdsl.weights.write import save_weights

GRAPH = compiled("network n { input x: [3, 8, 8]; c: conv(4, 3); b: batchnorm; flatten; f: linear(5) }").checked
DECLARED = weights_of(GRAPH)
DRAWN = initialize(GRAPH, seed=1)


def test_safetensors_is_what_the_library_writes(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", DRAWN, DECLARED, {"format": "pt"})
    expected = safetensors.numpy.save(DRAWN, {"format": "pt"})
    assert (tmp_path / "w.safetensors").read_bytes() == expected


def test_npz_is_what_numpy_reads_and_the_same_each_time(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.npz", DRAWN, DECLARED, {})
    with np.load(tmp_path / "w.npz", allow_pickle=False) as found:
        assert found.files == list(DRAWN)
        for name, array in DRAWN.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
    first = (tmp_path / "w.npz").read_bytes()
    save_weights(tmp_path / "w.npz", DRAWN, DECLARED, {})
    assert (tmp_path / "w.npz").read_bytes() == first


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_one_array_at_a_time_and_all_or_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"the old file")
    made = dict(lazy_initialize(GRAPH, 1).makers)
    read: list[str] = []

    def failing(key: str) -> np.ndarray:
        read.append(key)
        if len(read) == 4:
            raise OSError(28, "No space left on device")
        return made[key]()

    broken = Lazy({key: lambda key=key: failing(key) for key in made})  # type: ignore[misc]
    with pytest.raises(ArchError, match="no space left on the device"):
        save_weights(tmp_path / name, broken, DECLARED, {})
    assert len(read) == 4
    assert (tmp_path / name).read_bytes() == b"the old file"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_another_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchError) as caught:
        save_weights(tmp_path / "w.pth", DRAWN, DECLARED, {})
    assert caught.value.diagnostics[0].code == "weights-format"
    assert list(tmp_path.iterdir()) == []
