"""Names of generated Python: what a label becomes as an attribute, a variable, a class."""

from __future__ import annotations

import builtins
import keyword
import re

from archdsl.language.reserved import RESERVED

#: Methods of `nn.ModuleDict` and `nn.Sequential`: a label may bear such a name, but not as a plain attribute of theirs.
METHODS = frozenset({"append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values"})
#: What the generated file imports, and what its functions call `self`.
IMPORTED = frozenset({"F", "Tensor", "nn", "self", "torch"})
#: Classes and functions that a generated file begins with where it needs them.
HELPERS = frozenset(
    {
        "BatchFirstGRU",
        "BatchFirstLSTM",
        "BatchFirstRNN",
        "ChannelAffine",
        "FixedCodes",
        "LocalConv",
        "MaskedMultiheadAttention",
        "TableConv1d",
        "TableConv2d",
        "TableConv3d",
    }
)
HELPER_FUNCTIONS = frozenset(
    {
        "attention_by_head",
        "bilinear_",
        "boxes_around",
        "cropped",
        "decoded_boxes",
        "depth_to_space",
        "drop_path",
        "each",
        "over_time",
        "plus_positions",
        "roi_align",
        "roi_pool",
        "space_to_depth",
        "suppressed",
        "taken",
    }
)
BUILTINS = frozenset(dir(builtins))
#: No names for variables.
TAKEN = IMPORTED | BUILTINS | HELPER_FUNCTIONS


def attribute(name: str) -> str:
    """How a part refers to its child module; the language refuses labels that are attributes of every module."""
    if name.isdecimal():
        return f'self["{name}"]'
    assert name.isidentifier(), name
    assert name not in RESERVED, name
    return f"self.{name}" if name not in METHODS else f'self._modules["{name}"]'


def inside(path: str) -> str:
    """How a module's own module is reached: `.conv`, or by `get_submodule` where a number is on the way."""
    if not path:
        return ""
    if all(name.isidentifier() and name not in METHODS for name in path.split(".")):
        return f".{path}"
    return f'.get_submodule("{path}")'


def variable(name: str, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """A label as the name of a variable or parameter, with a number if that name is taken."""
    assert name.isidentifier(), name
    name = name.lstrip("_") or "value"
    if name in TAKEN or keyword.iskeyword(name) or name[0].isdigit():
        name = f"{name}_" if not name[0].isdigit() else f"value{name}"
    return numbered(name, taken)


def numbered(name: str, taken: frozenset[str] | set[str]) -> str:
    """The name, or with the first number from 2 that makes it new; `b1` goes on as `b1_2`."""
    if name not in taken:
        return name
    gap = "_" if name[-1].isdigit() else ""
    number = 2
    while f"{name}{gap}{number}" in taken:
        number += 1
    return f"{name}{gap}{number}"


def class_name(name: str, suffix: str, taken: set[str]) -> str:
    """`conv_relu` as `ConvRelu`; `suffix` is put where that is a word of Python's, torch's or a helper's."""
    camel = "".join(word[:1].upper() + word[1:] for word in re.split("_+", name)) or suffix
    if camel in IMPORTED | HELPERS | BUILTINS or keyword.iskeyword(camel) or camel[0].isdigit():
        camel = f"{suffix}{camel}" if camel[0].isdigit() else f"{camel}{suffix}"
    return numbered(camel, taken)
