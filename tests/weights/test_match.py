"""Given and drawn weights joined: lazily, in the declared type, and with a word about NaN."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from support import compiled

from archdsl.language.diagnostics import ArchError
from archdsl.weights.checkpoint import Checkpoint, Stored
from archdsl.weights.fit import fit, headers_of
from archdsl.weights.initialize import initialize
from archdsl.weights.lazy import Lazy
from archdsl.weights.match import complete, remarks
from archdsl.weights.read import read_weights

NET = """
network net {
    input x: [8]
    a: linear(4)
    head: linear(3)   training weight = 0.5
    output y: relu -> b: linear(2)  from @a
}
"""
GRAPH = compiled(NET).checked
DRAWN = initialize(GRAPH, seed=4)


class Watched:
    """A file whose readings are counted."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.read: list[str] = []
        self.checkpoint = Checkpoint("w.npz", {name: self.stored(name, array) for name, array in arrays.items()})

    def stored(self, name: str, array: np.ndarray) -> Stored:
        def read() -> np.ndarray:
            self.read.append(name)
            return array

        return Stored(array.shape, str(array.dtype), read)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    file = Watched(DRAWN)
    found = complete(GRAPH, file.checkpoint, strict=True)
    assert isinstance(found, Lazy)
    assert list(found) == list(DRAWN)
    assert "a.weight" in found
    assert file.read == []
    np.testing.assert_array_equal(found["a.weight"], DRAWN["a.weight"])
    assert file.read == ["a.weight"]


def test_nothing_is_read_where_something_does_not_fit() -> None:
    file = Watched(DRAWN | {"surplus": np.zeros(3)})
    with pytest.raises(ArchError, match=r"`w\.npz` does not fit `net`"):
        complete(GRAPH, file.checkpoint)
    assert file.read == []


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_arrays_take_the_declared_type(dtype: str) -> None:
    given = {"a.weight": DRAWN["a.weight"].astype(dtype)}
    found = complete(GRAPH, given)["a.weight"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, given["a.weight"].astype(np.float32))


def test_absent_ones_are_drawn_as_if_all_were() -> None:
    found = complete(GRAPH, {"a.bias": np.ones(4, np.float32)}, seed=4)
    assert found["a.bias"].tolist() == [1] * 4
    for name in DRAWN.keys() - {"a.bias"}:
        np.testing.assert_array_equal(found[name], DRAWN[name])


def test_strict_wants_what_inference_reads() -> None:
    some = {name: array for name, array in DRAWN.items() if not name.startswith("head")}
    assert set(complete(GRAPH, some, strict=True)) == set(DRAWN)
    del some["b.bias"]
    with pytest.raises(ArchError) as caught:
        complete(GRAPH, some, strict=True)
    assert caught.value.diagnostics[0].notes[0] == "missing: b.bias"


def test_partial_takes_what_fits() -> None:
    given = DRAWN | {"b.weight": np.zeros((9, 9), np.float32), "surplus": np.zeros(1)}
    del given["a.bias"]
    found = complete(GRAPH, given, seed=7, strict=True, partial=True)
    other = initialize(GRAPH, seed=7)
    np.testing.assert_array_equal(found["a.weight"], DRAWN["a.weight"])
    for name in ("a.bias", "b.weight"):
        np.testing.assert_array_equal(found[name], other[name])
    (told,) = remarks(fit(GRAPH, headers_of(given)), "w.npz", partial=True)
    assert told.code == "weights-partial"
    assert told.severity == "warning"
    assert told.notes == (
        "missing: a.bias", "unexpected: surplus", "misshapen: b.weight is [9, 9], not [2, 4]",
    )  # fmt: skip


def test_absent_training_parts_are_told() -> None:
    some = {name: array for name, array in DRAWN.items() if not name.startswith("head")}
    (told,) = remarks(fit(GRAPH, headers_of(some)), "w.npz", partial=False)
    assert told.notes == ("initialized: head.* (2)",)
    assert remarks(fit(GRAPH, headers_of(DRAWN)), "w.npz", partial=True) == []


def test_a_convolution_over_all_of_its_input_is_a_linear_layer() -> None:
    given = {"a.weight": DRAWN["a.weight"].reshape(4, 2, 2, 2)}
    np.testing.assert_array_equal(complete(GRAPH, given)["a.weight"], DRAWN["a.weight"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_none_are_told_with_their_names(value: float) -> None:
    """1e300 is a number in float64, and none in float32."""
    given = {name: array.astype(np.float64) for name, array in DRAWN.items()}
    given["b.bias"][1] = value
    told: list[str] = []
    found = complete(GRAPH, given, notice=told.append)
    assert told == []
    dict(found)
    assert told == ["b.bias"]


def test_infinities_of_both_signs_are_told_once() -> None:
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dict(complete(GRAPH, {"b.bias": np.array([np.inf, -np.inf], np.float32)}, notice=told.append))
    assert told == ["b.bias"]


def test_a_file_that_changed_behind_its_header() -> None:
    file = Checkpoint("w.npz", {"b.bias": Stored((2,), "float32", lambda: np.ones(3, np.float32))})
    with pytest.raises(ArchError, match=r"`b\.bias` is not what the header says"):
        dict(complete(GRAPH, file))


@pytest.mark.parametrize("given", [{"a.weight": DRAWN["a.weight"]}, DRAWN | {"surplus": np.zeros(1)}])
def test_there_is_a_way_out(given: dict[str, np.ndarray]) -> None:
    """Names that are missing or left over without any known cause."""
    with pytest.raises(ArchError) as caught:
        complete(GRAPH, Watched(given).checkpoint, strict=True)
    assert caught.value.diagnostics[0].help == "`--partial` loads what fits, and initializes the rest"


def test_large_numbers_are_none_to_warn_of() -> None:
    told: list[str] = []
    dict(complete(GRAPH, {"b.weight": np.full((2, 4), 3e38, np.float32)}, notice=told.append))
    assert told == []


def test_python_warns(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **DRAWN | {"b.bias": np.array([np.nan, 1], np.float32)})
    found = complete(GRAPH, read_weights(tmp_path / "w.npz"))
    with pytest.warns(UserWarning, match=r"`b\.bias` has numbers that are NaN or infinite"):
        found["b.bias"]
