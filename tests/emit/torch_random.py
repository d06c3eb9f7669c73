"""Random networks as `.arch` text: labels, blocks, merges, references, repeats, training-only parts."""

from __future__ import annotations

import random

OPS = (
    """
conv(4, 3, pad = 1)|conv(4, 1)|conv(4, 3, pad = same_tf)|conv(4, 2, pad = same)|batchnorm|relu|tanh|relu|lrn(3)
maxpool(3, stride = 1, pad = 1)|avgpool(3, stride = 1, pad = same)|maxpool(2, stride = 1, pad = same)
scale(0.5, 1.0)|dropout(0.0)
""".strip()
    .replace("\n", "|")
    .split("|")
)
LABELS = ("a", "b", "conv", "enc", "x", "y", "type", "head", "values", "torch", "max")


class Writer:
    """One network being written; every value is `[4, 6, 6]`."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0
        self.depth = 0
        self.blocks: list[tuple[str, bool]] = []

    def chain(self, seen: list[str]) -> str:
        return " -> ".join(self.element(seen) for _ in range(self.rng.choice((1, 1, 2, 3))))

    def element(self, seen: list[str]) -> str:
        kind = self.rng.random()
        if kind < 0.7 or self.depth > 2:
            return self.rng.choice(OPS)
        if kind < 0.8 and self.blocks:
            return self.block_call(seen)
        if kind < 0.92:
            return self.merge(seen)
        return "{ " + self.body(seen, self.rng.randint(1, 3)) + " }"

    def block_call(self, seen: list[str]) -> str:
        name, takes_tensor = self.rng.choice(self.blocks)
        kernel = self.rng.choice((1, 3))
        if not takes_tensor:
            return f"{name}({kernel})"
        return f"{name}({kernel}, @{self.rng.choice(seen)})" if seen else "relu"

    def merge(self, seen: list[str]) -> str:
        self.depth += 1
        branches = "; ".join(self.branch(seen) for _ in range(self.rng.choice((1, 2, 2, 3))))
        self.depth -= 1
        name = self.rng.choice(("add", "mul", "max", "concat"))
        return f"{name} {{ {branches} }}" + (" -> conv(4, 1)" if name == "concat" else "")

    def branch(self, seen: list[str]) -> str:
        kind = self.rng.random()
        if kind < 0.3:
            return "skip"
        if kind < 0.45 and seen:
            return f"@{self.rng.choice(seen)}"
        return self.label(seen) if kind < 0.6 else "{ " + self.chain(seen) + " }"

    def label(self, seen: list[str]) -> str:
        self.count += 1
        name = f"{self.rng.choice(LABELS)}{self.count}"
        self.depth += 1
        nested = self.rng.random() < 0.4 and self.depth < 3
        content = "{ " + self.body(seen, self.rng.randint(1, 4)) + " }" if nested else self.chain(seen)
        self.depth -= 1
        return f"{name}: {content}"

    def body(self, seen: list[str], count: int) -> str:
        return "; ".join(self.label(seen) if self.rng.random() < 0.45 else self.chain(seen) for _ in range(count))

    def block(self, number: int) -> str:
        content = f"conv(4, k, pad = k // 2); {self.body([], self.rng.randint(1, 3))}"
        takes_tensor = self.rng.random() < 0.4
        self.blocks.append((f"block{number}", takes_tensor))
        if not takes_tensor:
            return f"block block{number}(k) {{ {content} }}"
        return f"block block{number}(k, other: tensor) {{ {content}; concat {{ @other; relu }} -> conv(4, 1) }}"

    def network(self) -> str:
        seen: list[str] = []
        statements: list[str] = []
        for number in range(self.rng.randint(1, 7)):
            kind = self.rng.random()
            if kind < 0.45:
                statements.append(self.label(seen))
                seen.append(statements[-1].split(":")[0])
            elif kind < 0.55:
                statements.append(f"repeat {self.rng.randint(1, 4)} {{ {self.chain(seen)} }}")
            elif kind < 0.65 and seen:
                source = self.rng.choice(seen)
                statements.append(f"out{number}: {self.chain(seen)} from @{source} training weight = 0.3")
            else:
                statements.append(self.chain(seen))
        outputs = [f"output res: {self.rng.choice(OPS)}", f"output other: {self.rng.choice(OPS)}"]
        return "\n".join(["input image: [4, 6, 6]", *statements, *outputs[: self.rng.choice((0, 0, 1, 2))]])


def random_text(rng: random.Random) -> str:
    """One network with up to three blocks."""
    writer = Writer(rng)
    blocks = [writer.block(number) for number in range(rng.randint(0, 3))]
    return "\n".join([*blocks, f"network net {{\n{writer.network()}\n}}"])
