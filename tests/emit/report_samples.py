"""Networks whose reports are tested: small, with something of everything that a report shows."""

from __future__ import annotations

from dataclasses import replace

from hand_built import image, layer, network
from support import compiled

from archdsl.emit.report.model import Report, report
from archdsl.graph.graph import Claim, Stage, TensorRef, Verdict
from archdsl.ops.activation import ReLU
from archdsl.ops.convolution import Conv
from archdsl.ops.merge import Add

SMALL = '''
"""A small network. Nobody, 2026."""

block unit(out, stride = 1) {
    conv: conv(out, 3, stride = stride, pad = 1, bias = false) -> batchnorm -> relu
}

network small(classes = 10, aux = true) expect params = 1_978, macs = 477K {
    """Convolutions, a branch and a head."""
    input image: [3, 16, 16]

    stem: conv(8, [1, 3], pad = [0, 1]) -> relu     expect shape = [8, 16, 16]
    body: repeat 2 { unit(8) }
    fork: add {
        skip
        branch: unit(8) -> conv(8, 1)
    }
    split: split(2)
    if aux { aux: { avgpool(global); flatten; fc: linear(classes) } from @fork   training weight = 0.3 }
    maxpool(3, stride = 2, ceil = true) -> lrn(3) -> upsample(2)
    output logits: avgpool(global) -> flatten -> dropout(0.4) -> fc: linear(classes)
}

published "Table <1>" of small {
    stem: params = 80
    body: params = 1.3K
        because "the table | leaves out biases & means"
    fork: macs = 200K
}
'''


def small(batch: int = 1, **parameters: object) -> Report:
    return replace(compiled(SMALL, **parameters).report(batch), source="small.arch")


def shared() -> Report:
    """One module applied in two stages, and claims of every outcome."""
    x = image(2, 4, 4)
    conv = Conv(2, 3, pad=1)
    first = layer("one.conv", conv, x, module="head")
    relu = layer("one.relu", ReLU(), first)
    second = layer("two.conv", conv, relu, module="head")
    total = layer("two.add", Add(), second, relu)
    graph = network([x, first, relu, second, total], y=total)
    stages = {"one": relu, "two": total}
    kind = total.output_types[0]
    labels = {path: Stage(path, TensorRef(end.path), kind, end.span) for path, end in stages.items()}
    claims = [Claim("expect", "one", "params", "38", x.span), Claim("expect", "", "macs", "1", x.span)]
    verdicts = (Verdict(claims[0], 38, True), Verdict(claims[1], 1152, False))
    return report(replace(graph, stages=labels, verdicts=verdicts))
