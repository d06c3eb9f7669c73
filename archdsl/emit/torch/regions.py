"""PyTorch rules of boxes and what lies under them, which torch has in no package of its own."""

from __future__ import annotations

from archdsl.emit.torch.expression import Literal, Operand, call
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule
from archdsl.ops.regions import NMS, Anchors, BoxDecode, RoIAlign, RoIPool, Take

ROI_ALIGN = Helper(
    "roi_align",
    '''\
def roi_align(
    x: Tensor, boxes: Tensor, size: tuple[int, int], scale: float, sampling: int, aligned: bool = False
) -> Tensor:
    """Means of bilinear samples in the bins of each box, `[N, C, H, W]` and `[N, R, 4]` to `[N, R, C, *size]`.

    Interpolation is a product with two matrices: how much each row, and each column, counts in a bin.
    """
    edges = boxes * scale - (0.5 if aligned else 0.0)
    shares = []
    for axis, (bins, length) in enumerate(zip(size, x.shape[2:])):
        start, end = edges[..., 1 - axis], edges[..., 3 - axis]
        extent = end - start if aligned else (end - start).clamp(min=1)
        steps = (torch.arange(bins * sampling, dtype=x.dtype, device=x.device) + 0.5) / sampling
        points = start[..., None] + extent[..., None] / bins * steps
        inside = (points >= -1) & (points <= length)
        places = torch.arange(length, dtype=x.dtype, device=x.device)
        near = (1 - (points.clamp(0, length - 1)[..., None] - places).abs()).clamp(min=0)
        shares.append((near * inside[..., None]).unflatten(2, (bins, sampling)).mean(3))
    return torch.einsum("nrih,nchw,nrjw->nrcij", shares[0], x, shares[1])''',
)

ROI_POOL = Helper(
    "roi_pool",
    '''\
def roi_pool(x: Tensor, boxes: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    """Maxima in the bins of each box, `[N, C, H, W]` and `[N, R, 4]` to `[N, R, C, *size]`; 0 in an empty bin."""
    scaled = boxes.float() * scale
    corners = (scaled.sign() * (scaled.abs() + 0.5).floor()).long()
    lengths = (corners[..., 2:] - corners[..., :2] + 1).clamp(min=1).flip(-1)
    shares = lengths.float() / torch.tensor(size, dtype=torch.float32, device=x.device)

    def bins(image: Tensor, axis: int, start: int, share: Tensor) -> Tensor:
        numbers = torch.arange(size[axis - 1] + 1, dtype=torch.float32, device=x.device) * share
        starts = (numbers[:-1].floor().long() + start).clamp(0, image.shape[axis]).tolist()
        ends = (numbers[1:].ceil().long() + start).clamp(0, image.shape[axis]).tolist()
        empty = torch.zeros_like(image.select(axis, 0))
        parts = (image.narrow(axis, a, b - a).amax(axis) if a < b else empty for a, b in zip(starts, ends))
        return torch.stack(list(parts), axis)

    def region(n: int, r: int) -> Tensor:
        left, top = corners[n, r, :2].tolist()
        return bins(bins(x[n], 1, top, shares[n, r, 0]), 2, left, shares[n, r, 1])

    return torch.stack([torch.stack([region(n, r) for r in range(boxes.shape[1])]) for n in range(x.shape[0])])''',
)

NMS_HELPER = Helper(
    "suppressed",
    '''\
def suppressed(boxes: Tensor, scores: Tensor, iou: float, score: float, most: int) -> Tensor:
    """Positions of the boxes that non-maximum suppression keeps, best first, then -1.

    `[N, R, 4]` and `[N, K, R]` to `[N, K, most]`; also without K.
    """
    low, high = torch.minimum(boxes[..., :2], boxes[..., 2:]), torch.maximum(boxes[..., :2], boxes[..., 2:])
    areas = (high - low).prod(-1)
    by_class = scores.reshape(len(boxes), -1, scores.shape[-1])
    result = torch.full((*by_class.shape[:2], most), -1, dtype=torch.long, device=boxes.device)
    for n, k in torch.ones(by_class.shape[:2]).nonzero().tolist():
        order = by_class[n, k].argsort(descending=True, stable=True)
        order = order[by_class[n, k, order] > score]
        for place in range(min(most, len(order))):
            if not len(order):
                break
            best, order = order[0], order[1:]
            result[n, k, place] = best
            overlap = torch.minimum(high[n, best], high[n, order]) - torch.maximum(low[n, best], low[n, order])
            shared = overlap.clamp(min=0).prod(-1)
            order = order[shared <= iou * (areas[n, best] + areas[n, order] - shared)]
    return result.view(*scores.shape[:-1], most)''',
)

TAKE = Helper(
    "taken",
    '''\
def taken(x: Tensor, indices: Tensor) -> Tensor:
    """Rows of each sample, `[N, R, ...]` and `[N, M]` to `[N, M, ...]`; zeros at negative positions."""
    rows = x[torch.arange(len(x), device=x.device)[:, None], indices.clamp(min=0)]
    return rows * (indices >= 0).view(*indices.shape, *(1,) * (x.dim() - 2))''',
)

ANCHORS = Helper(
    "boxes_around",
    '''\
def boxes_around(x: Tensor, boxes: tuple[tuple[float, ...], ...], stride: float, offset: float) -> Tensor:
    """Boxes around each position of `[N, C, H, W]`, as `[N, H*W*A, 4]`."""
    like = {"dtype": x.dtype, "device": x.device}
    rows, columns = ((torch.arange(length, **like) + offset) * stride for length in x.shape[2:])
    y, x_ = torch.meshgrid(rows, columns, indexing="ij")
    shifts = torch.stack([x_, y, x_, y], -1)
    return (shifts[:, :, None] + torch.tensor(boxes, **like)).view(1, -1, 4).expand(len(x), -1, -1)''',
)

DECODE = Helper(
    "decoded_boxes",
    '''\
def decoded_boxes(offsets: Tensor, anchors: Tensor, scales: tuple[float, ...], clip: float) -> Tensor:
    """Boxes from offsets relative to anchors, each `[N, R, 4]`."""
    sizes = anchors[..., 2:] - anchors[..., :2]
    centres = anchors[..., :2] + sizes / 2
    moves, growths = (offsets / torch.tensor(scales, dtype=offsets.dtype, device=offsets.device)).chunk(2, -1)
    centres, sizes = moves * sizes + centres, growths.clamp(max=clip).exp() * sizes
    return torch.cat([centres - sizes / 2, centres + sizes / 2], -1)''',
)


@rule(RoIAlign)
def roi_align(op: RoIAlign, types: Types) -> Form:
    size, scale = Literal(op.sizes(), "size"), Literal(float(op.scale), "scale")
    sampling, aligned = Literal(op.sampling, "sampling"), {"aligned": (op.aligned, False)}
    return Form(call(ROI_ALIGN.name, X, Operand(1), size, scale, sampling, **aligned), helper=ROI_ALIGN)


@rule(RoIPool)
def roi_pool(op: RoIPool, types: Types) -> Form:
    size, scale = Literal(op.sizes(), "size"), Literal(float(op.scale), "scale")
    return Form(call(ROI_POOL.name, X, Operand(1), size, scale), helper=ROI_POOL)


@rule(NMS)
def nms(op: NMS, types: Types) -> Form:
    numbers = {name: Literal(value, name) for name, value in (("iou", op.iou), ("score", op.score), ("most", op.max))}
    return Form(call(NMS_HELPER.name, X, Operand(1), *numbers.values()), helper=NMS_HELPER)


@rule(Take)
def take(op: Take, types: Types) -> Form:
    return Form(call(TAKE.name, X, Operand(1)), helper=TAKE)


@rule(Anchors)
def anchors(op: Anchors, types: Types) -> Form:
    boxes, stride = Literal(op.boxes(), "boxes"), Literal(float(op.stride), "stride")
    return Form(call(ANCHORS.name, X, boxes, stride, Literal(float(op.offset), "offset")), helper=ANCHORS)


@rule(BoxDecode)
def box_decode(op: BoxDecode, types: Types) -> Form:
    scales, clip = Literal(op.factors(), "scales"), Literal(op.most, "clip")
    return Form(call(DECODE.name, X, Operand(1), scales, clip), helper=DECODE)
