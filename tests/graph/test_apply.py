"""What only the graph tells of a layer: where its operands come from."""

from __future__ import annotations

import pytest
from support import compiled, messages

from archdsl.runtime.verify import verify


@pytest.mark.parametrize(
    ("shape", "settings", "result"),
    [("2, 7, 7", "", "2, 6, 6"), ("2, 7, 7", ", ceil = true", "2, 8, 8"), ("1, 2, 7, 5", "", "1, 2, 6, 4")],
)
def test_elements_go_back_to_the_size_that_was_pooled(shape: str, settings: str, result: str) -> None:
    text = (
        f"network n {{ input x: [{shape}]; p: maxpool(2{settings}, indices = true); unpool(2, indices = @p.indices) }}"
    )
    wrong = [message for message in messages(text) if "pool-drops-rows" not in message]
    assert wrong == [f"operand-shape: the indices count through [N, {shape}], and `unpool` gives [N, {result}]"]
    whole = compiled(text.replace("@p.indices)", "@p.indices, like = @x)"))
    assert verify(whole.checked, {}, (1, 2)).agrees
