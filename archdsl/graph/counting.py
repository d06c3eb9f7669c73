"""What is counted, in words: the lines under a report."""

from __future__ import annotations

from collections.abc import Iterable

from archdsl.graph.graph import Layer

#: What holds for every network.
COUNTING_RULE = (
    "MACs are multiply-accumulates of convolutions, linear layers and RBF units, biases not counted. "
    "FLOPs are 2 for each MAC (RBF 3) and, for each output element, 1 for a bias, an activation (softmax 5), a factor, "
    "an offset and each input of a merge after the first, 2 for batch norm, 5 for other norms (7 with weights), "
    "size + 4 for LRN, the kernel's area for pooling (global and adaptive: 1 for each input element) "
    "and 7 for bilinear upsampling."
)

#: What is said besides where a network has one of these ops, in this order.
FURTHER: tuple[tuple[str, str], ...] = (
    ("deconv", "Transposed convolutions have MACs for the whole kernel at each input element."),
    ("matmul attention multihead_attention", "Matrix products and attention have MACs too."),
    (
        "rnn lstm gru",
        "Recurrent layers have MACs too, and for each gate of a unit and step 2 FLOPs, 4 with biases; "
        "a unit of an LSTM or GRU has 5 more.",
    ),
    ("attention multihead_attention", "A score of attention adds 6 FLOPs, 7 if masked."),
    ("reduce_mean reduce_sum reduce_max reduce_min argmax topk", "An element that is reduced or searched counts 1."),
    ("resize", "Bicubic sampling counts 31 for each output element."),
    ("roi_align", "RoI align counts 8 for each of its points."),
    ("roi_pool", "RoI pooling counts 1 for each input element and box, as if each box were the whole input."),
    ("box_decode", "A coordinate of a decoded box counts 6."),
    ("nms", "Non-maximum suppression is not counted, since its work depends on the boxes."),
)


def counting_rule(layers: Iterable[Layer]) -> str:
    """The rule, with what only some ops need where the network has them."""
    names = {layer.op.name for layer in layers}
    return " ".join([COUNTING_RULE, *(text for ops, text in FURTHER if names & set(ops.split()))])
