"""What PyTorch computes for the ops of sequences, arithmetic and reductions, and the uses of them that are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.ops import arithmetic, attention, embedding, recurrence, recurrent, reduction
from archdsl.ops.base import Op, TensorType

Weights = dict[str, Tensor]
Case = tuple[Op, tuple[tuple[int, ...] | TensorType, ...]]


def _loaded(module: nn.Module, weights: Weights, x: Tensor) -> nn.Module:
    module.to(x.dtype).load_state_dict(weights, strict=True)
    return module.requires_grad_(False).eval()


def _recurrent(op: recurrent.Recurrent, x: list[Tensor], w: Weights) -> tuple[Tensor, ...]:
    """PyTorch's module, time first, with its states as they are."""
    arguments = {"num_layers": op.layers, "bias": op.bias, "bidirectional": op.bidirectional}
    if isinstance(op, recurrent.RNN):
        arguments["nonlinearity"] = op.nonlinearity
    module = _loaded(getattr(nn, type(op).__name__)(x[0].shape[2], op.hidden, **arguments), w, x[0])
    states = [value.movedim(0, 1).contiguous() for value in x[1:]]
    if isinstance(op, recurrent.LSTM) and len(states) == 1:
        states.append(torch.zeros_like(states[0]))
    begun = (tuple(states) if len(states) > 1 else states[0]) if states else None
    y, ended = module(x[0].movedim(0, 1).contiguous(), begun)
    ended = ended if isinstance(ended, tuple) else (ended,)
    return (y.movedim(0, 1), *(state.movedim(0, 1) for state in ended))


def _scores_hidden(scores: Tensor, masks: list[Tensor], causal: bool) -> Tensor:
    """Scores `[N, heads, T, S]` with minus infinity where nothing may be seen."""
    for one in masks:
        mask = torch.stack([each.expand(scores.shape[1:]) for each in one])
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    if causal:
        after = torch.arange(scores.shape[3]) > torch.arange(scores.shape[2])[:, None]
        scores = scores.masked_fill(after, -math.inf)
    return scores


def _heads(op: attention.Attention, x: list[Tensor]) -> Tensor:
    """Each head by itself, from the formula."""
    query, key, value = (torch.stack(part.chunk(op.heads, 2), 1) for part in x[:3])
    scale = 1 / math.sqrt(query.shape[3]) if op.scale is None else op.scale
    scores = _scores_hidden(torch.einsum("nhtd,nhsd->nhts", query, key) * scale, x[3:], op.causal)
    found = torch.einsum("nhts,nhsd->nhtd", scores.softmax(3), value)
    return torch.cat([part[:, 0] for part in found.chunk(op.heads, 1)], 2)


def _multihead(op: attention.MultiheadAttention, x: list[Tensor], w: Weights) -> Tensor:
    """PyTorch's module where it has no masks, else its own projections around the formula."""
    query, key = x[0], x[1] if len(x) > 1 else x[0]
    value = x[2] if len(x) > 2 else key
    if len(x) < 4 and not op.causal:
        module = nn.MultiheadAttention(query.shape[2], op.heads, bias=op.bias, batch_first=True)
        return _loaded(module, w, query)(query, key, value)[0]
    biases = w["in_proj_bias"].chunk(3) if op.bias else (None,) * 3
    parts = zip((query, key, value), w["in_proj_weight"].chunk(3), biases, strict=True)
    projected = [F.linear(part, weight, bias) for part, weight, bias in parts]
    found = _heads(attention.Attention(op.heads, op.causal), [*projected, *x[3:]])
    return F.linear(found, w["out_proj.weight"], w.get("out_proj.bias"))


def _positions(op: embedding.PositionalEncoding, x: list[Tensor], _: Weights) -> Tensor:
    """Element by element, from the formula."""
    _batch, length, width = x[0].shape
    table = [
        [(math.cos if i % 2 else math.sin)(t / 10000 ** ((i - i % 2) / width)) for i in range(width)]
        for t in range(length)
    ]
    return x[0] + torch.tensor(table, dtype=x[0].dtype)


def _binary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda op, x, w: function(*x)


def _reduced(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda op, x, w: function(x[0], op.axes, op.keep)


def _zeros(op: recurrence.Zeros, x: Sequence[Tensor], w: Mapping[str, Tensor]) -> Tensor:
    sizes = (op.sizes,) if isinstance(op.sizes, int) else op.sizes
    return torch.zeros(len(x[0]), *sizes, dtype=x[0].dtype if x[0].is_floating_point() else torch.float32)


SEQUENCE_REFERENCE: dict[type[Op], Callable[..., Tensor | tuple[Tensor, ...]]] = {
    recurrent.RNN: _recurrent,
    recurrent.LSTM: _recurrent,
    recurrent.GRU: _recurrent,
    attention.MatMul: _binary(torch.bmm),
    attention.Attention: lambda op, x, w: _heads(op, x),
    attention.MultiheadAttention: _multihead,
    embedding.Embedding: lambda op, x, w: F.embedding(x[0], w["weight"]),
    embedding.Parameter: lambda op, x, w: torch.stack([w[""].reshape(op.shape)] * len(x[0])),
    embedding.PositionalEncoding: _positions,
    arithmetic.Abs: _binary(torch.abs),
    arithmetic.Neg: _binary(torch.neg),
    arithmetic.Exp: _binary(torch.exp),
    arithmetic.Log: _binary(torch.log),
    arithmetic.Sqrt: _binary(torch.sqrt),
    arithmetic.Sin: _binary(torch.sin),
    arithmetic.Cos: _binary(torch.cos),
    arithmetic.Pow: lambda op, x, w: x[0] ** op.exponent,
    arithmetic.Clamp: lambda op, x, w: x[0].clamp(op.min, op.max),
    arithmetic.Sub: _binary(torch.sub),
    arithmetic.Div: _binary(torch.div),
    arithmetic.Minimum: _binary(torch.minimum),
    arithmetic.Greater: _binary(torch.gt),
    arithmetic.Less: _binary(torch.lt),
    arithmetic.Equal: _binary(torch.eq),
    arithmetic.Where: _binary(torch.where),
    reduction.ReduceMean: _reduced(torch.mean),
    reduction.ReduceSum: _reduced(torch.sum),
    reduction.ReduceMax: _reduced(torch.amax),
    reduction.ReduceMin: _reduced(torch.amin),
    reduction.ArgMax: lambda op, x, w: x[0].argmax(op.axis, op.keep),
    reduction.TopK: lambda op, x, w: tuple(x[0].topk(op.k, op.axis)),
    reduction.L2Normalize: lambda op, x, w: F.normalize(x[0], dim=op.axis, eps=op.eps),
    recurrence.Zeros: _zeros,
}

X, Y, Z = (5, 6), (7, 6), (7, 4)
WORDS, MASK, CHOICE = TensorType((5,), "int64"), (5, 7), TensorType((5, 6), "bool")


def _recurrents() -> list[Case]:
    cases: list[Case] = []
    for cls in (recurrent.RNN, recurrent.LSTM, recurrent.GRU):
        cases += [(cls(3), (X,)), (cls(3, bias=False), (X,)), (cls(4, bidirectional=True), (X,))]
        cases += [(cls(3, 3, True), (X,)), (cls(3, 2), (X, (2, 3))), (cls(3, 2, True, bias=False), (X, (4, 3)))]
    cases += [(recurrent.LSTM(3, 2, True), (X, (4, 3), (4, 3))), (recurrent.LSTM(4), (X, (1, 4), (1, 4)))]
    return [*cases, (recurrent.RNN(3, 2, True, "relu"), (X,)), (recurrent.RNN(3, nonlinearity="relu"), (X, (1, 3)))]


def _attentions() -> list[Case]:
    seen = TensorType(MASK, "bool")
    plain = [(attention.Attention(), Z), (attention.Attention(2, scale=0.3), Z), (attention.Attention(causal=True), Y)]
    plain += [(attention.Attention(3, True, 2), Y)]
    cases: list[Case] = [(op, (X, Y, value)) for op, value in plain]
    cases += [(attention.Attention(heads, causal), (X, Y, Z, MASK)) for heads in (1, 2) for causal in (False, True)]
    cases += [(attention.Attention(2), (X, Y, Z, seen)), (attention.Attention(), (X, Y, Z, seen))]
    for heads in (1, 3):
        op = attention.MultiheadAttention(heads)
        cases += [(op, (X,)), (op, (X, Y)), (op, (X, Y, Y)), (op, (X, Y, Y, MASK)), (op, (X, Y, Y, seen))]
        cases += [(attention.MultiheadAttention(heads, causal=True), (X,))]
        cases += [(attention.MultiheadAttention(heads, bias=False), (X,))]
    cases += [(attention.MultiheadAttention(2, causal=True, bias=False), (X, Y, Y, MASK))]
    for mask in ((7,), (1, 7), (5, 1), (1, 5, 7), (1, 1, 7)):  # all of which any number of heads may share
        cases += [(attention.Attention(heads, heads == 2), (X, Y, Z, mask)) for heads in (1, 2)]
        cases += [(attention.MultiheadAttention(heads, causal=heads == 3), (X, Y, Y, mask)) for heads in (1, 3)]
    cases += [(attention.Attention(2), (X, Y, Z, (2, 5, 7))), (attention.MultiheadAttention(3), (X, Y, Y, (3, 5, 7)))]
    matrices: list[tuple[tuple[int, ...], ...]] = [((5, 6), (6, 3)), ((1, 6), (6, 1))]
    return cases + [(attention.MatMul(), shapes) for shapes in matrices]


def _tables() -> list[Case]:
    pairs = TensorType((2, 3), "int32")
    cases: list[Case] = [(embedding.Embedding(4, 3), (WORDS,)), (embedding.Embedding(9, 2), (pairs,))]
    cases += [(embedding.Parameter((2, 3)), (X,)), (embedding.Parameter((4,), batch_axis=True), ((3,),))]
    return [*cases, (embedding.PositionalEncoding(), ((40, 6),)), (embedding.PositionalEncoding(), (X,))]


def _arithmetic() -> list[Case]:
    unary: list[Op] = [
        arithmetic.Abs(),
        arithmetic.Neg(),
        arithmetic.Exp(),
        arithmetic.Log(),
        arithmetic.Sqrt(),
        arithmetic.Sin(),
        arithmetic.Cos(),
    ]
    unary += [arithmetic.Pow(2), arithmetic.Pow(-1.5), arithmetic.Clamp(-1, 0.5), arithmetic.Clamp(0.1)]
    unary += [arithmetic.Clamp(max=-0.5)]
    binary = [arithmetic.Sub(), arithmetic.Div(), arithmetic.Minimum(), arithmetic.Greater(), arithmetic.Less()]
    numbers = TensorType((5, 6), "int64")
    cases: list[Case] = [(op, (X,)) for op in unary]
    cases += [(op, (X, other)) for op in binary for other in (X, (5, 1))]
    cases += [(arithmetic.Equal(), (numbers, numbers)), (arithmetic.Greater(), (numbers, TensorType((1, 6), "int64")))]
    return [*cases, (arithmetic.Where(), (CHOICE, X, (1, 6))), (arithmetic.Where(), (CHOICE, numbers, numbers))]


def _reductions() -> list[Case]:
    image = (3, 4, 5)
    several = (reduction.ReduceMean, reduction.ReduceSum, reduction.ReduceMax, reduction.ReduceMin)
    cases: list[Case] = [(cls(axes, keep), (image,)) for cls in several for axes, keep in ((1, False), ((2, -1), True))]
    cases += [(cls(axes), (image,)) for cls in several for axes in ((3, 1), (1, 2, 3))]
    cases += [(reduction.ReduceSum(1), ((6,),)), (reduction.ArgMax(), ((6,),))]
    cases += [(reduction.ArgMax(), (image,)), (reduction.ArgMax(-1, True), (image,))]
    cases += [(reduction.TopK(2), (image,)), (reduction.TopK(3, 1), ((6,),))]
    return [*cases, (reduction.L2Normalize(), (image,)), (reduction.L2Normalize(-1, 3.0), (X,))]


SEQUENCE_CASES: list[Case] = [*_recurrents(), *_attentions(), *_tables(), *_arithmetic(), *_reductions()]
SEQUENCE_CASES += [
    (recurrence.Zeros(3), (X,)),
    (recurrence.Zeros((2, 3)), (WORDS,)),
    (recurrence.Zeros((1,)), ((6, 7, 8),)),
]
