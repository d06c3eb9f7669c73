"""ONNX rules of non-maximum suppression and of rows picked by position."""

from __future__ import annotations

from onnx import TensorProto

from archdsl.emit.onnx.rules import Site, rule
from archdsl.emit.onnx.sizes import joined, loose, sizes_of
from archdsl.ops.base import TensorType
from archdsl.ops.regions import NMS, Take


def _kept(site: Site) -> str:
    """How many boxes are kept in all, as a size: known only when the model runs, and of this layer alone."""
    return f"{site.layer.path}/kept_boxes"


@rule(NMS)
def nms(site: Site, op: NMS) -> None:
    """NonMaxSuppression lists (sample, class, box), samples and classes one after the other and the best box first.

    Their order within a class is where they go in a table of -1.
    """
    boxes, scores = site.inputs
    kept = _kept(site)
    kinds = site.layer.input_types[1]
    single = len(kinds.shape) == 1
    axis = site.constant("one", (1,))
    if single:
        scores = site.node("Unsqueeze", [scores, axis], "scores", TensorType((1, *kinds.shape), kinds.dtype))
    limits = [site.constant("most", (op.max,))]
    limits += [site.constant(name, [float(share)], "float32") for name, share in (("iou", op.iou), ("score", op.score))]
    found = loose(site, "NonMaxSuppression", [boxes, scores, *limits], "found", (kept, 3))
    classes = 1 if single else kinds.shape[0]
    table = _table(site, boxes, classes, op.max)
    group = loose(
        site, "Slice", [found, site.constant("zero", (0,)), site.constant("two", (2,)), axis], "group", (kept, 2)
    )
    box = loose(site, "Gather", [found, site.constant("box_column", 2)], "box", (kept,), axis=1)
    order = loose(site, "Unsqueeze", [_order(site, group, classes), axis], "order_column", (kept, 1))
    places = loose(site, "Concat", [group, order], "places", (kept, 3), axis=1)
    if not single:
        return site.final("ScatterND", [table, places, box])
    rows = site.node("ScatterND", [table, places, box], "rows", TensorType((1, op.max), "int64"))
    return site.final("Squeeze", [rows, axis])


def _table(site: Site, boxes: str, classes: int, most: int) -> str:
    """`[N, K, max]` of -1."""
    batch = sizes_of(site, boxes, site.type, 0, 1, "batch")
    shape = joined(site, [batch, site.constant("table_sizes", (classes, most))], 3, "table_shape")
    return site.node("Expand", [site.constant("nothing", -1), shape], "table", TensorType((classes, most), "int64"))


def _order(site: Site, group: str, classes: int) -> str:
    """How many of the same sample and class come before each kept box.

    Boxes of a group are neighbours, so it is the distance from the first of them: the first that ArgMax, which takes
    the first of equals, finds in a row of "is of my group".
    """
    kept = _kept(site)
    weighed = loose(site, "Mul", [group, site.constant("group_weights", (classes, 1))], "weighed", (kept, 2))
    number = loose(site, "ReduceSum", [weighed, f"{site.layer.path}/one"], "number", (kept, 1), keepdims=1)
    across = loose(site, "Transpose", [number], "across", (1, kept), perm=(1, 0))
    equal = loose(site, "Equal", [number, across], "equal", (kept, kept), "bool")
    same = loose(site, "Cast", [equal], "same", (kept, kept), "int32", to=TensorProto.INT32)
    first = loose(site, "ArgMax", [same], "first", (kept,), axis=1, keepdims=0)
    count = loose(site, "Squeeze", [loose(site, "Shape", [first], "kept_shape", (1,))], "kept", ())
    range_ = [site.constant("range_start", 0), count, site.constant("range_step", 1)]
    return loose(site, "Sub", [loose(site, "Range", range_, "all", (kept,)), first], "order", (kept,))


@rule(Take)
def take(site: Site, op: Take) -> None:
    """Each sample's own rows; those of negative positions, read as the first, are replaced by zeros."""
    rows, indices = site.inputs
    (count,) = site.layer.input_types[1].shape
    zero = site.constant("zero", 0)
    known = site.node("Max", [indices, zero], "known", TensorType((count,), "int64"))
    last = site.constant("last", (2,))
    entries = site.node("Unsqueeze", [known, last], "entries", TensorType((count, 1), "int64"))
    taken = site.node("GatherND", [rows, entries], "taken", site.result, batch_dims=1)
    ones = (1,) * (len(site.result.shape) - 1)
    named = site.node("GreaterOrEqual", [indices, zero], "named", TensorType((count,), "bool"))
    if ones:
        axes = site.constant("row_axes", tuple(range(2, 2 + len(ones))))
        named = site.node("Unsqueeze", [named, axes], "named_rows", TensorType((count, *ones), "bool"))
    site.final("Where", [named, taken, site.constant("nothing", 0.0)])
