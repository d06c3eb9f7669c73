"""Names that other frameworks use, and which of ours they mean."""

from __future__ import annotations

import pytest

from archdsl.graph.recipe import TERMS
from archdsl.language.similar import SYNONYMS, nearest
from archdsl.ops import OPS
from archdsl.ops.base import DTYPE_BYTES, parameters


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("float", "float32"), ("double", "float64"), ("half", "float16"), ("int", "int64"), ("long", "int64"),
     ("byte", "uint8"), ("boolean", "bool"), ("float23", "float32"), ("Int", "int64")],
)  # fmt: skip
def test_element_types(name: str, dtype: str) -> None:
    assert nearest(name, DTYPE_BYTES) == dtype


def test_settings_of_an_optimizer() -> None:
    assert nearest("learning_rate", TERMS["optimizer"]["adam"]) == "lr"


def test_every_synonym_is_a_name_of_the_language() -> None:
    arguments = {field.name for op in OPS.values() for field in parameters(op)}
    settings = {name for terms in TERMS.values() for form in terms.values() for name in form}
    assert set(SYNONYMS.values()) <= {*OPS, *DTYPE_BYTES, *arguments, *settings}
    assert not set(SYNONYMS) & {*OPS, *DTYPE_BYTES}
