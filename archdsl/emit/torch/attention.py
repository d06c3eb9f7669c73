"""PyTorch rules of matrix products and attention."""

from __future__ import annotations

from archdsl.emit.torch.expression import MODULE, Argument, Call, Expr, Join, Literal, Operand, Text, call
from archdsl.emit.torch.rules import Form, Helper, Types, X, rule
from archdsl.ops.attention import Attention, MatMul, MultiheadAttention

BY_HEAD = Helper(
    "attention_by_head",
    '''\
def attention_by_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    heads: int = 1,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Attention of `[N, T, D]` to `[N, S, D]`, each head with its share of the features; a mask is `[N, ..., S]`."""
    query, key, value = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    if mask is not None:
        mask = mask.reshape(mask.shape[0], *[1] * (4 - mask.dim()), *mask.shape[1:])
        if causal:
            later = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=mask.device).triu(1)
            mask = mask.expand(-1, -1, *later.shape)
            mask = mask.masked_fill(later, False if mask.dtype == torch.bool else float("-inf"))
    only_causal = causal and mask is None
    x = F.scaled_dot_product_attention(query, key, value, mask, is_causal=only_causal, scale=scale)
    return x.transpose(1, 2).flatten(2)''',
)

MASKED = Helper(
    "MaskedMultiheadAttention",
    '''\
class MaskedMultiheadAttention(nn.MultiheadAttention):
    """Gives the result alone; a mask is `[N, ..., S]`, of numbers to add or of which keys may be seen."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        hidden = None
        if causal:
            hidden = torch.ones(query.shape[1], key.shape[1], dtype=torch.bool, device=query.device).triu(1)
        if mask is not None:
            mask = ~mask if mask.dtype == torch.bool else mask
            mask = mask.reshape(mask.shape[0], *[1] * (4 - mask.dim()), *mask.shape[1:])
            mask = mask.expand(-1, self.num_heads, query.shape[1], key.shape[1]).flatten(0, 1)
            if hidden is not None:
                mask = mask.masked_fill(hidden, True if mask.dtype == torch.bool else float("-inf"))
            hidden = mask
        return super().forward(query, key, value, attn_mask=hidden, need_weights=False)[0]''',
)


@rule(MatMul)
def matmul(op: MatMul, types: Types) -> Form:
    return Form(call("torch.matmul", X, Operand(1)))


@rule(Attention)
def attention(op: Attention, types: Types) -> Form:
    """PyTorch's function where one head and at most one of its masks are all there is."""
    operands = tuple(Operand(index) for index in range(len(types)))
    scale = (None if op.scale is None else float(op.scale), None)
    if op.heads == 1 and not (len(types) > 3 and (op.causal or len(types[3].shape) != 2)):
        keywords: dict[str, tuple[object, object]] = {"is_causal": (op.causal, False), "scale": scale}
        return Form(call("F.scaled_dot_product_attention", *operands, **keywords))
    arguments: dict[str, tuple[object, object]] = {"heads": (op.heads, 1), "causal": (op.causal, False)}
    return Form(call(BY_HEAD.name, *operands, **arguments, scale=scale), helper=BY_HEAD)


@rule(MultiheadAttention)
def multihead_attention(op: MultiheadAttention, types: Types) -> Form:
    """PyTorch's module; a subclass of it where something is hidden, which says so in the terms of `attention`."""
    masked = op.causal or len(types) > 3
    keywords: dict[str, tuple[object, object]] = {
        "dropout": (op.dropout, 0.0), "bias": (op.bias, True), "batch_first": (True, False),
    }  # fmt: skip
    name = MASKED.name if masked else "nn.MultiheadAttention"
    module = call(name, Literal(types[0].shape[1], "features"), Literal(op.heads, "heads"), **keywords)
    given = [Operand(min(index, len(types) - 1)) for index in range(3)] + [Operand(3)] * (len(types) > 3)
    arguments = tuple(map(Argument, given))
    if masked:
        causal = Argument(Literal(op.causal, "causal"), "causal", False)
        return Form(Call(MODULE, (*arguments, causal)), module, helper=MASKED)
    found: Expr = Call(MODULE, (*arguments, Argument(Text("False"), "need_weights")))
    return Form(Join((found, Text("[0]"))), module)
