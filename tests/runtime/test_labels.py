"""Names of classes go with the outputs that have so many."""

from __future__ import annotations

import pytest

from archdsl.language.diagnostics import ArchError
from archdsl.runtime.labels import check_labels

NAMES = ("ant", "bee", "cat")


@pytest.mark.parametrize("shape", [(3,), (3, 8, 9), (3, 1, 1), (7, 3), (3, 7), (3, 4, 5, 6)])
def test_a_vector_rows_and_maps_have_classes(shape: tuple[int, ...]) -> None:
    check_labels(NAMES, {"other": (5,), "scores": shape})


@pytest.mark.parametrize("shape", [(4,), (2, 3, 3), (4, 8, 3), ()])
def test_other_outputs_do_not(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArchError) as caught:
        check_labels(NAMES, {"scores": shape})
    (found,) = caught.value.diagnostics
    assert (found.code, found.notes) == ("labels", (f"outputs: `scores` {list(shape)}",))


def test_no_names_fit_everything() -> None:
    check_labels((), {"scores": (4,)})
