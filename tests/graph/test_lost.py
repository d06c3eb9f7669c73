"""One mistake, one finding: what a statement that failed would have given is not reported where it is missed."""

from __future__ import annotations

import pytest
from support import messages

NETWORKS = """
block b(k) { a: linear(k) -> relu }
network inner { input i: [8, 8, 8]
    output o: relu }
network broken { input i: [8, 8, 8]
    output o: foo
    output p: relu from @i }
network late { input i: [8, 8, 8]
    output o: relu
    output p: foo }
"""
NO_FOO = "unknown-op: there is no op or block `foo`"
NO_NAME = "unknown-name: there is no `foo` here"


def said(body: str) -> list[str]:
    return messages(f"{NETWORKS}\nnetwork n {{ input x: [8, 8, 8]; {body} }}", "n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # outputs, and stages whose origin is wrong
        ("output u: foo; relu from @u", NO_FOO),
        ("output u: foo; train { loss: mse(@u) }", NO_FOO),
        ("output u: relu from @nope; relu from @u", "unknown-reference: no stage `nope` stands before this"),
        ("y: relu from @nope; relu from @y", "unknown-reference: no stage `nope` stands before this"),
        # names of results
        ("foo(3) as l, r; add { l; r }", NO_FOO),
        ("foo(3) as l, r; l(3)", NO_FOO),
        ("relu as l from @nope; l", "unknown-reference: no stage `nope` stands before this"),
        (
            "recur over time with h = zeros([8, 8]) { relu } as s, l; l; relu from @recur.h; relu from @recur",
            "recur-state: `h` never changes: the body of `recur` gives it no new value",
        ),
        (
            "recur over time with h = zeros([8, 8]) { h = add { h; conv(0, 1) } }; relu from @recur.h",
            "argument-value: `out` of `conv` must be a whole number of at least 1, but is 0",
        ),
        ("recur over time with h = foo { h = add { h; skip } } as s, l; add { s; l }; relu from @recur.h", NO_FOO),
        (
            "input t: [4]; recur over time with h = zeros([4]) { h = add { h; skip } } as s, l; add { s; l }",
            "rank-mismatch: `recur` runs over the first axis of [T, ...], but its input is [N, 4]",
        ),
        (
            "i: inner(k = 3) as u, v from @x; add { u; v }; relu from @i.o",
            "unknown-argument: `inner` has no argument `k`",
        ),
        ("let k = foo; k(3); k -> relu; linear(k) from @x", NO_NAME),
        # what would lie inside
        ("i: b; relu from @i.a", "missing-argument: `b` needs the argument `k`"),
        ("b; relu from @0.a", "missing-argument: `b` needs the argument `k`"),
        ("i: broken; relu from @i.o; relu from @i.p", NO_FOO),
        ("i: broken as o, p, q; add { o; p }; q", NO_FOO),
        ("i: late as o, p; add { o; p }; relu from @i.o; relu from @i.p", NO_FOO),
        # bodies that never ran
        ("if foo { l: relu } else { r: relu }; relu from @r", NO_NAME),
        ("for i in foo { l{i}: relu }; relu from @l0; relu from @l1.x; linear(@l2.channels)", NO_NAME),
        ("repeat foo { l: relu }; relu from @l", NO_NAME),
        ("repeat foo { output l: relu }; relu from @l", NO_NAME),
        ("repeat foo { s: { l: relu } }; relu from @s.l", NO_NAME),
        ("concat(axis = foo) { l: relu; skip }; relu from @concat; relu from @l", NO_NAME),
        # inputs, and the sizes they leave open
        ("input z: [0]; relu from @z", "bad-input-shape: a size is a whole number of at least 1, not the number 0"),
        ("input z: [3, H = foo, W]; relu from @z; conv(H, 3) from @x; conv(W, 3) from @x", NO_NAME),
        # what stands besides the chain of layers does not hide what follows
        ("module m: conv(3, foo); m; m", NO_NAME),
    ],
)
def test_what_misses_it_is_silent(body: str, message: str) -> None:
    assert said(body) == [message]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        # a stage that did come to be is there
        ("s: { a: conv(4, 1); foo }; linear(0) from @s.a", [NO_FOO, "argument-value: `out` of `linear` must be"]),
        ("a1: relu; for i in foo { a{i}: relu }; linear(0) from @a1", [NO_NAME, "argument-value: `out` of `linear`"]),
        # other names are not lost
        ("if foo { a: relu }; relu from @b", [NO_NAME, "unknown-reference: no stage `b`"]),
        ("for i in foo { a{i}: relu }; relu from @b1", [NO_NAME, "unknown-reference: no stage `b1`"]),
        ("if false { a: relu }; relu from @a", ["unknown-reference: no stage `a`"]),
        ("i: inner; relu from @i.a", ["unknown-reference: no stage `i.a`"]),
        # statements that the layers pass by
        ("train { batch: 0 }; conv(4, 9)", ["argument-type: `batch` is", "kernel-too-large"]),
        ("initialize foo = zeros; conv(4, 9)", ["unknown-argument: `initialize`", "kernel-too-large"]),
        ("module conv: relu; conv(4, 9)", ["duplicate-definition", "kernel-too-large"]),
        ("t: relu from @y training weight = 1; conv(4, 9)", ["unknown-reference", "kernel-too-large"]),
        # the last value of a state is not known in the body
        (
            "recur over time with h = zeros([8, 8]) { h = add { h; skip }; relu from @recur.h }",
            ["unknown-reference: no stage `recur.h`"],
        ),
        # too many names are a mistake of their own
        ("split(2) as l, r, c; linear(0) from l; relu from c", ["result-count: there are 3 names", "argument-value"]),
    ],
)
def test_other_mistakes_are_still_reported(body: str, messages: list[str]) -> None:
    found = said(body)
    assert len(found) == len(messages), found
    assert all(one.startswith(start) for one, start in zip(found, messages, strict=True)), found


def test_nothing_flows_into_an_output() -> None:
    text = "network n { output u: skip; input x: [4]; relu }"
    assert messages(text) == ["not-a-tensor: nothing flows in here"]
