"""Broken programs end in diagnostics: valid specs with random edits, never a traceback, never a hang."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from support import messages

SPECS = Path(__file__).parents[2] / "specs"
PIECES = [
    *"(){}[],:;=@->..|\n\"'#",
    "in", "if", "else", "repeat", "for", "let", "skip", "concat", "add", "-1", "0", "1e9", "K",
    "10 ** 18", "true", "x", "conv", "conv(3)", "linear(0)", "global", "same", '"""', "expect", "from", "training",
    "@image", "in.channels", "block b { b }", "input i: [1]",
    "\0", "é", "\t", "->", "**", "//", "[", "]" * 3, "{" * 70,
]  # fmt: skip

SMALL = """
block cr(out, k, stride = 1) { conv: conv(out, k, stride = stride, pad = k // 2) -> relu }
block res(out) {
    let project = in.channels != out
    add { { cr(out, 3); conv(out, 3, pad = 1) }; if project { down: conv(out, 1) } else { skip } }
}
network small(n: one of [1, 2] = 2, aux = true) expect params = 5K {
    input image: [3, 16, 16]
    stem: cr(8, 3) -> maxpool(2)                 expect shape = [8, 8, 8]
    for i, w in [8, 16] { stage{i}: repeat n { res(w) } }
    if aux { head: avgpool(global) -> flatten -> linear(4) from @stage0 training weight = 0.3 }
    output logits: concat { avgpool(global); maxpool(global) } -> flatten -> fc: linear(10 * n)
}
published "T" of small (K = 1024) { stem: params = 1K because "x" }
"""


def mutated(text: str, chance: random.Random) -> str:
    """One to four random edits: something removed, put in, doubled or exchanged."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 1, 1, 2, 5, 20]))
        piece = chance.choice([chance.choice(PIECES), text[start:end] * 2, ""])
        text = text[:start] + piece + text[end:]
    return text


@pytest.mark.parametrize("seed", range(300))
def test_random_edits_of_a_small_network(seed: int) -> None:
    messages(mutated(SMALL, random.Random(seed)))  # raises whatever is not a diagnostic


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("spec", ["googlenet", "lessons"])
def test_random_edits_of_the_shipped_specs(spec: str, seed: int) -> None:
    text = (SPECS / f"{spec}.arch").read_text()
    messages(mutated(text, random.Random(seed)))


@pytest.mark.parametrize("seed", range(100))
def test_random_words(seed: int) -> None:
    chance = random.Random(seed)
    messages("network n { input x: [3, 8, 8]\n" + " ".join(chance.choices(PIECES, k=12)) + "\n}")
