"""Claims: the tolerance is the precision as written."""

from __future__ import annotations

import pytest
from support import compiled, messages


def holds(stated: str, actual_thousands: int) -> bool:
    """Whether `expect params = stated` accepts a thousand times this many."""
    text = f"network n {{ input x: [1000]; stage: linear({actual_thousands}, bias = false) expect params = {stated} }}"
    return messages(text) == []


@pytest.mark.parametrize(
    ("stated", "thousands", "expected"),
    [
        ("128M", 128_499, True),
        ("128M", 127_500, True),  # both bounds belong to it
        ("128M", 128_500, True),
        ("128M", 128_501, False),
        ("6.8M", 6_849, True),
        ("6.8M", 6_851, False),
        ("128_000_000", 128_000, True),
        ("128_000_000", 128_001, False),
        ("128000000", 128_001, False),
        ("2.0M", 2_049, True),
        ("2M", 2_400, True),
        ("2 * 1000 ** 2", 2_000, True),
        ("2 * 1000 ** 2", 2_001, False),
        ("1.5e6", 1_549, True),
        ("1.5e6", 1_551, False),
        ("125Ki", 128, True),
    ],
)
def test_tolerance(stated: str, thousands: int, expected: bool) -> None:
    assert holds(stated, thousands) is expected


TABLE = """
network n {{ input x: [1024]; stage: linear(159, bias = false) }}
published "Table 1" of n {units} {{ stage: weights = {stated} {because} }}
"""


def test_a_tables_k_is_what_the_table_says() -> None:
    assert messages(TABLE.format(units="(K = 1024)", stated="159K", because="")) == []
    found = messages(TABLE.format(units="", stated="159K", because=""))
    assert found == ["published-deviation: `weights` of `stage` is 162,816, but Table 1 prints 159K"]


def test_an_explained_deviation_is_quiet_and_a_needless_reason_is_not() -> None:
    assert messages(TABLE.format(units="", stated="159K", because='because "K is 1024 there"')) == []
    found = messages(TABLE.format(units="", stated="163K", because='because "no reason"'))
    assert found == ["needless-because: `weights` of `stage` holds, so `because` explains nothing"]


def test_deviation_is_a_warning_and_a_failed_expectation_an_error() -> None:
    net = compiled(TABLE.format(units="", stated="1K", because=""))
    assert [d.severity for d in net.diagnostics] == ["warning"]
    assert [v.holds for v in net.checked.verdicts] == [False]
    found = messages("network n { input x: [4]; l: linear(3) expect params = 16, shape = [2], macs = 12 }")
    assert found == [
        "expect-failed: `params` of `l` is 15, not 16",
        "expect-failed: `shape` of `l` is [3], not [2]",
    ]


def test_claims_about_the_whole_network_stand_at_its_head() -> None:
    text = "network n(k = 3) expect params = 15 { input x: [4]; linear(k) }\nnetwork m = n(k = 4) expect params = 20"
    assert messages(text) == []
    assert messages(text, "m") == []
    assert messages(text.replace("15", "14")) == ["expect-failed: `params` is 15, not 14"]


def test_claims_do_not_bind_a_network_changed_from_outside() -> None:
    text = "network n(k = 3) expect params = 15 { input x: [4]; l: linear(k) expect shape = [3] }"
    assert messages(text, k=3) == []
    assert messages(text, k=5) == ["claims-not-applicable: 2 of 2 claims of `n` do not hold with `k = 5`"]


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ("expect parms = 3", "unknown-quantity"),
        ("expect params = [3]", "bad-claim"),
        ("expect shape = 3", "bad-claim"),
        ('expect macs = "3"', "bad-claim"),
    ],
)
def test_claims_that_cannot_be_held_against_anything(claim: str, code: str) -> None:
    found = messages(f"network n {{ input x: [4]; l: linear(3) {claim} }}")
    assert [text.split(":")[0] for text in found] == [code]


def test_unnamed_layers_can_only_claim_their_shape() -> None:
    net = "network n {{ input x: [4]; linear(3) -> linear(2) expect {} }}"
    assert messages(net.format("shape = [2]")) == []
    assert messages(net.format("shape = [3]"))[0].startswith("expect-failed")
    assert messages(net.format("params = 3"))[0].startswith("bad-claim")


def test_rows_of_unknown_stages_and_tables_of_unknown_networks() -> None:
    net = "network n { input x: [4]; stage: linear(3) }\n"
    assert messages(net + 'published "T" of n { stge: params = 15 }') == [
        "unknown-reference: there is no stage `stge` in `n`"
    ]
    assert messages(net + 'published "T" of m { stage: params = 15 }')[0].startswith("unknown-network")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "s: skip expect params = 0; relu",
            ["bad-claim: `s` has no layers of its own, so its `params` cannot be claimed"],
        ),
        ("split(2) as a, b; s: a expect macs = 0", ["bad-claim: `s` has no layers of its own, so its `macs`"]),
        ("s: relu expect params = 0", []),
    ],
)
def test_claims_on_a_statement_without_layers(body: str, expected: list[str]) -> None:
    found = messages(f"network n {{ input x: [4, 8]; {body} }}")
    assert len(found) == len(expected), found
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


def test_rows_of_a_table_may_name_what_is_not_there() -> None:
    text = 'network n { input x: [4]; s: skip; first: linear(4) }\npublished "A" of n { %s: params = 20 }'
    assert messages(text % "firts") == ["unknown-reference: there is no stage `firts` in `n`"]
    assert messages(text % "s") == ["bad-claim: `s` has no layers of its own, so its `params` cannot be claimed"]
