"""Arrays that no machine holds are a diagnostic; other mistakes stay what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from archdsl.language.diagnostics import ArchError
from archdsl.runtime.memory import room_for


def torch_empty() -> object:
    return pytest.importorskip("torch").empty(2**40, 2**10)


@pytest.mark.parametrize(
    "make", [lambda: np.zeros(2**60, np.uint8), lambda: np.zeros((2**40, 2**40)), lambda: np.zeros(2**70), torch_empty]
)
def test_no_room_is_told(make: Callable[[], object]) -> None:
    with pytest.raises(ArchError, match="there is no room for the input") as caught, room_for("the input"):
        make()
    assert caught.value.diagnostics[0].code == "out-of-memory"


@pytest.mark.parametrize("mistake", [ValueError("negative"), RuntimeError("shapes")])
def test_other_mistakes_pass(mistake: Exception) -> None:
    with pytest.raises(type(mistake), match=str(mistake)), room_for("the input"):
        raise mistake
