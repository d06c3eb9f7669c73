"""Weights on their way into an ONNX file: what is known of each before its numbers are, and its bytes on demand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, TensorProto

from archdsl.emit.onnx.rules import ELEMENT_TYPES
from archdsl.language.diagnostics import error
from archdsl.ops.base import DTYPE_BYTES, TensorType


@dataclass(frozen=True)
class Pending:
    """One initializer whose array is read from `weights` when it is written."""

    name: str
    type: TensorType
    weights: Mapping[str, np.ndarray]

    @property
    def bytes(self) -> int:
        return math.prod(self.type.shape) * DTYPE_BYTES[self.type.dtype]

    def head(self) -> TensorProto:
        """The tensor without its numbers."""
        return TensorProto(name=self.name, dims=self.type.shape, data_type=ELEMENT_TYPES[self.type.dtype])

    def data(self) -> memoryview:
        """Little-endian bytes; raises `ArchError` (`weight-shape`)."""
        array = self.weights[self.name]
        if array.shape != self.type.shape:
            message = f"`{self.name}` is {list(self.type.shape)}, but its array is {list(array.shape)}"
            raise error("weight-shape", message)
        plain = np.ascontiguousarray(array, dtype=np.dtype(self.type.dtype).newbyteorder("<"))
        return plain.reshape(-1).view(np.uint8).data


@dataclass(frozen=True)
class Skeleton:
    """A checked model without its weights, and the type of each by `state_dict` key, in order of first use."""

    model: ModelProto
    declared: dict[str, TensorType]

    def pending(self, weights: Mapping[str, np.ndarray]) -> list[Pending]:
        """The weights to write; raises `ArchError` (`weight-missing`)."""
        for key in self.declared:
            if key not in weights:
                raise error("weight-missing", f"no array is given for the weight `{key}`")
        return [Pending(key, type, weights) for key, type in self.declared.items()]


def attach(skeleton: Skeleton, weights: Mapping[str, np.ndarray]) -> ModelProto:
    """The model with its weights in it."""
    for pending in skeleton.pending(weights):
        tensor = skeleton.model.graph.initializer.add()
        tensor.CopyFrom(pending.head())
        tensor.raw_data = pending.data().tobytes()
    return skeleton.model
