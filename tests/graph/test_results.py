"""Names for results (`as`), and names of tensors as elements."""

from __future__ import annotations

import pytest
from support import compiled, messages

from archdsl.graph.graph import TensorRef


def inputs_of(text: str, path: str) -> list[str]:
    return [ref.name for ref in compiled(f"network n {{ input x: [8, 4, 4]; {text} }}").checked.layer(path).inputs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("split(2) as a, b; add { b; a }", ["0:1", "0"]),
        ("split(2) as a; add { a; a }", ["0", "0"]),
        ("s: split(2) -> relu as a; concat { a; @s.0 } as both; add { both; relu(both) }", ["concat", "1"]),
        ("{ relu as a; add { a; skip } }", ["0", "0"]),
        ("let y = @x; relu; add { y; skip }", ["x", "0"]),
        ("relu as a; tanh as a; add { a; @x }", ["1", "x"]),
        ("add { split(2) as a, b; b }", ["0", "0:1"]),
        ("relu as a; y: a -> tanh; add { @y; a }", ["y.0", "0"]),
    ],
)
def test_a_name_is_the_tensor(text: str, expected: list[str]) -> None:
    assert inputs_of(text, "add") == expected


def test_a_tensor_parameter_needs_no_sign() -> None:
    text = "block b(other: tensor, out) { conv(out, 1); add { skip; other } }"
    net = compiled(f"{text}\nnetwork n {{ input x: [4, 4, 4]; b(@x, in.channels) }}")
    assert [ref.path for ref in net.checked.layer("0.add").inputs] == ["0.0", "x"]


def test_an_op_goes_before_a_tensor_parameter_of_its_name() -> None:
    net = compiled("block b(relu: tensor) { relu -> add { skip; @relu } }\nnetwork n { input x: [4]; tanh; b(@x) }")
    assert [ref.path for ref in net.checked.layer("1.add").inputs] == ["1.0", "x"]


def test_a_name_is_seen_in_its_body_only() -> None:
    found = messages("network n { input x: [4]; { relu as a }; a }")
    assert found == ["unknown-op: there is no op or block `a`"]


def test_names_of_what_failed_are_not_reported_again() -> None:
    found = messages("network n { input x: [4]; split(3) as a, b, c; add { a; b; c }; linear(a.features) }")
    assert [message.partition(":")[0] for message in found] == ["split-size"]


def test_source_calls_tensors_by_their_names() -> None:
    net = compiled("network n { input x: [8]; split(2) as low, high; mul { low; sigmoid(high) } }")
    assert "low, high = torch.chunk(x, 2, 1)" in net.torch_source()
    assert net.checked.names == {TensorRef("0"): "low", TensorRef("0", 1): "high"}


def test_a_claim_on_a_bare_name_is_about_its_tensor() -> None:
    """A name takes no position, so the claim is not about the layer that comes to stand there."""
    halves = """
    input x: [10]
    split([4, 6]) as a, b
    output first: a         expect shape = [4]
    output second: b -> softmax
    """
    assert messages(f"network n {{{halves}}}") == []
    assert messages(f"network n {{{halves.replace('[4]', '[6]')}}}") == ["expect-failed: `shape` is [4], not [6]"]
