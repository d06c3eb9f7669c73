"""A profile as a person reads it: by line, by node, and beside the source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from archdsl.language.source import Source
from archdsl.runtime.lines import LAYOUT, Attributed, Cost, Line
from archdsl.runtime.profile import Profile

SHOWN = 20  # nodes of a file without a spec
BETWEEN = "(between kernels)"
HEADINGS = ("ms", "% time", "% MACs", "% memory", "GFLOP/s")
COUNTS = ("layers", "fused", "nodes")
LEAST = 16  # columns that a source line or a node's name gets at least
GAP = 2  # between columns
Rows = list[list[str]]


def by_line(profile: Profile, found: Attributed, width: int) -> Iterator[Table]:
    """One row for each line that has layers of its own, the slowest first; the rows add up to the run."""
    total = _whole(profile, found.total)
    several = len({line.source for line in found.lines}) > 1
    rows = [
        [
            f"{line.source.name}:{line.number}" if several else str(line.number),
            line.text,
            str(len(line.layers)),
            *_row(line.own, total),
        ]
        for line in sorted((line for line in found.lines if line.layers), key=lambda line: -line.own.ms)
    ]
    yield _table(("line", "source", "layers"), rows, _ends(profile, found.layout, total), width, squeezed="source")


def by_node(profile: Profile, width: int) -> Iterator[Table]:
    """Without a spec: the slowest nodes, named by the main one where several are fused, then the kinds of nodes."""
    macs = {node.name: node.macs for node in profile.nodes}
    kernels = sorted(profile.kernels, key=lambda kernel: -kernel.ms)
    costs = {k.name: Cost(k.ms, sum(macs[name] for name in k.nodes), k.bytes) for k in kernels}
    total = _whole(profile, sum(costs.values(), Cost()))
    layout = sum((costs[kernel.name] for kernel in kernels if not kernel.nodes), Cost())
    ends = _ends(profile, layout, total)
    kept = [kernel for kernel in kernels if kernel.nodes]
    rows = [[k.nodes[0], k.op, str(len(k.nodes) - 1 or ""), *_row(costs[k.name], total)] for k in kept[:SHOWN]]
    if len(kept) > SHOWN:
        rest = sum((costs[kernel.name] for kernel in kept[SHOWN:]), Cost())
        rows.append([f"{len(kept) - SHOWN} others", "", "", *_row(rest, total)])
    yield _table(("node", "op", "fused"), rows, ends, width, squeezed="node")
    ops: dict[str, list[Cost]] = defaultdict(list)
    for kernel in kept:
        ops[kernel.op].append(costs[kernel.name])
    groups = sorted(ops.items(), key=lambda item: -sum(cost.ms for cost in item[1]))
    rows = [[op, str(len(group)), *_row(sum(group, Cost()), total)] for op, group in groups]
    yield _table(("op", "nodes"), rows, ends, width)


def annotated(profile: Profile, found: Attributed) -> str:
    """Every source file that has layers, with a margin: each line's share of a run's time, of MACs and of memory.

    A line that calls a block shows all that it makes; a line of a block shows the sum over all its instances.
    """
    total = _whole(profile, found.total)
    lines: dict[Source, dict[int, Line]] = defaultdict(dict)
    for line in found.lines:
        lines[line.source][line.number] = line
    text = []
    for source, costs in lines.items():
        text += [f"{'time':>7} {'MACs':>7} {'memory':>7} | {source.name}"]
        for number, content in enumerate(source.text.splitlines(), start=1):
            margin = _shares(costs[number].whole, total) if number in costs else ("", "", "")
            text.append(f"{margin[0]:>7} {margin[1]:>7} {margin[2]:>7} | {content}".rstrip())
        text.append("")
    for name, cost in ((LAYOUT, found.layout), (BETWEEN, Cost(profile.between_ms))):
        shares = _shares(cost, total)
        text.append(f"{shares[0]:>7} {shares[1]:>7} {shares[2]:>7} | {name}")
    return "\n".join([*text, "", *conditions(profile)])


def conditions(profile: Profile) -> list[str]:
    """What the numbers are, and how and on what they were measured."""
    on = profile.machine
    threads = f"{on.threads} thread{'s' if on.threads > 1 else ''}" if on.threads else "a thread for each core"
    return [
        f"{profile.total_ms:.2f} ms a run, {profile.kernels_ms:.2f} in kernels; batch {profile.batch}, {threads}",
        f"means of the calmer half of {profile.runs} runs; a fused node counts where its main layer is written",
        f"memory is bytes read and written; {LAYOUT} is what onnxruntime adds to copy between layouts",
        f"onnxruntime {on.onnxruntime}, archdsl {on.archdsl}, {on.cpu}, {on.cores} core{'s' if on.cores > 1 else ''}",
    ]


def _table(columns: tuple[str, ...], rows: Rows, ends: dict[str, list[str]], width: int, squeezed: str = "") -> Table:
    """A table whose rows and end rows begin with these columns; the `squeezed` one gets what the others leave it."""
    rows = rows + [[name, *[""] * (len(columns) - 1), *cells] for name, cells in ends.items()]
    names = (*columns, *HEADINGS)
    widths = {name: max(map(len, (name, *cells))) for name, *cells in zip(names, *rows, strict=True)}
    room = max(width - sum(widths[name] + GAP for name in names if name != squeezed), LEAST)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(names):
        right = number >= len(columns) or name in COUNTS
        fitting = min(widths[name], room) if name == squeezed else widths[name]
        table.add_column(name, justify="right" if right else "left", no_wrap=True, width=fitting, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row), style={"total": "bold"}.get(row[0], "dim" if row[0] in ends else ""))
    return table


def _ends(profile: Profile, layout: Cost, total: Cost) -> dict[str, list[str]]:
    costs = {LAYOUT: layout, BETWEEN: Cost(profile.between_ms), "total": total}
    return {name: _row(cost, total) for name, cost in costs.items()}


def _whole(profile: Profile, kernels: Cost) -> Cost:
    """The run: its kernels' MACs and bytes, and all its time."""
    return Cost(profile.total_ms, kernels.macs, kernels.bytes)


def _row(cost: Cost, total: Cost) -> list[str]:
    rate = f"{2 * cost.macs / cost.ms / 1e6:,.1f}" if cost.macs and cost.ms else ""
    return [f"{cost.ms:.3f}", *_shares(cost, total), rate]


def _shares(cost: Cost, total: Cost) -> tuple[str, str, str]:
    return _percent(cost.ms, total.ms), _percent(cost.macs, total.macs), _percent(cost.bytes, total.bytes)


def _percent(part: float, whole: float) -> str:
    """Nothing for 0, so that what costs stands out."""
    return f"{part / whole:.1%}" if part and whole else ""
