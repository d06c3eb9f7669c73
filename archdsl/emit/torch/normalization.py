"""PyTorch rules of normalization; without weights a norm is a function."""

from __future__ import annotations

from archdsl.emit.torch.expression import Call, Literal, call
from archdsl.emit.torch.rules import Form, Types, X, by_rank, rule, simplest, weighted
from archdsl.ops.normalization import LRN, BatchNorm, GroupNorm, InstanceNorm, LayerNorm


@rule(BatchNorm)
def batchnorm(op: BatchNorm, types: Types) -> Form:
    rank = max(1, len(types[0].spatial))  # PyTorch's BatchNorm1d takes [F] and [C, L]
    keywords = {"eps": (op.eps, 1e-5), "momentum": (op.momentum, 0.1), "affine": (op.affine, True)}
    return weighted(call(f"nn.BatchNorm{rank}d", Literal(types[0].shape[0], "channels"), **keywords), "norm")


@rule(LRN)
def lrn(op: LRN, types: Types) -> Form:
    size = Literal(op.size, "size")
    keywords = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    return Form(call("F.local_response_norm", X, size, **keywords), call("nn.LocalResponseNorm", size, **keywords))


@rule(LayerNorm)
def layernorm(op: LayerNorm, types: Types) -> Form:
    shape = types[0].shape[-op.axes :]
    module = call(
        "nn.LayerNorm",
        Literal(simplest(shape) if op.axes == 1 else shape, "shape"),
        eps=(op.eps, 1e-5),
        elementwise_affine=(op.affine, True),
    )
    return _norm(op.affine, module, call("F.layer_norm", X, Literal(shape, "shape"), eps=(op.eps, 1e-5)))


@rule(GroupNorm)
def groupnorm(op: GroupNorm, types: Types) -> Form:
    groups, channels = Literal(op.groups, "groups"), Literal(types[0].shape[0], "channels")
    module = call("nn.GroupNorm", groups, channels, eps=(op.eps, 1e-5), affine=(op.affine, True))
    return _norm(op.affine, module, call("F.group_norm", X, groups, eps=(op.eps, 1e-5)))


@rule(InstanceNorm)
def instancenorm(op: InstanceNorm, types: Types) -> Form:
    channels = Literal(types[0].shape[0], "channels")
    module = call(by_rank("nn.InstanceNorm", types), channels, eps=(op.eps, 1e-5), affine=(op.affine, False))
    return _norm(op.affine, module, call("F.instance_norm", X, eps=(op.eps, 1e-5)))


def _norm(affine: bool, module: Call, function: Call) -> Form:
    return weighted(module, "norm") if affine else Form(function, module, "norm")
