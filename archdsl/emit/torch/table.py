"""All PyTorch rules, one family a file: importing this module fills the table."""

from archdsl.emit.torch import activation, channels, convolution, merge, normalization, pooling, shaping
from archdsl.emit.torch.rules import RULES, form

__all__ = ["RULES", "activation", "channels", "convolution", "form", "merge", "normalization", "pooling", "shaping"]
