"""Did-you-mean: the known name nearest to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from archdsl.language.diagnostics import Fix
from archdsl.language.source import Span

#: what other frameworks call things
SYNONYMS = {
    "convolution": "conv", "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "dense": "linear", "fc": "linear",
    "fully_connected": "linear", "bn": "batchnorm", "batch_norm": "batchnorm", "batchnorm2d": "batchnorm",
    "layer_norm": "layernorm", "max_pool": "maxpool", "max_pool2d": "maxpool", "maxpool2d": "maxpool",
    "avg_pool": "avgpool", "avg_pool2d": "avgpool", "avgpool2d": "avgpool", "swish": "silu", "lrelu": "leaky_relu",
    "permute": "transpose", "view": "reshape", "interpolate": "upsample", "chunk": "split", "kernel_size": "kernel",
    "filters": "out", "out_channels": "out", "channels": "out", "units": "out", "out_features": "out", "padding": "pad",
    "strides": "stride", "ceil_mode": "ceil", "negative_slope": "slope", "epsilon": "eps", "dropout_rate": "rate",
    "p": "rate", "use_bias": "bias", "learning_rate": "lr", "beta_1": "beta1", "beta_2": "beta2",
    "float": "float32", "single": "float32", "double": "float64", "half": "float16", "int": "int64", "long": "int64",
    "byte": "uint8", "boolean": "bool",
}  # fmt: skip


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like this one, or what it is called here, if any is near."""
    lowered = {candidate.lower(): candidate for candidate in sorted(set(known))}
    synonym = SYNONYMS.get(name.lower())
    if synonym in lowered:
        return lowered[synonym]
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.67)
    return lowered[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], span: Span) -> dict[str, Any]:
    """Help and fix of a diagnostic about an unknown name; empty where nothing is near."""
    guess = nearest(name, known)
    if guess is None:
        return {}
    help = f"did you mean `{guess}`?"
    return {"help": help, "fix": Fix(help, span, guess)}
