"""An ONNX model of 32-bit floats -> 8-bit integers, by onnxruntime's static quantizer.

The settings are those that measured best on a processor with 8-bit dot products (VNNI), for torchvision's googlenet and
resnet50 with statistics of noise and of photographs, and for a briefly trained googlenet:

- Activations are unsigned and asymmetric, weights signed and symmetric, one scale for each channel: onnxruntime has
  fast kernels for just this pair (signed activations ran at half the speed). One scale for the whole weight, or 7 bits
  (`reduce_range`), nearly doubled the error and saved no time.
- Ranges are the least and the largest value seen: cutting off rare ones (percentiles, entropy) was no better, or worse.
- Results of fully connected layers stay floats, and so does what comes after the last layer with weights: in the
  trained network scores in 256 steps cost more than all other layers together, and floats there cost no time.
- The first convolution is quantized: leaving it out gained a little accuracy for up to a third of the speed.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from archdsl.emit.onnx.writer import save
from archdsl.language.diagnostics import ArchError, error
from archdsl.runtime.ahead import ahead
from archdsl.runtime.scratch import scratch

#: ops whose weights are most of a network
HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
#: of those, the ones that onnxruntime runs on integers though their result is a float
FLOAT_RESULT = ("Gemm", "MatMul")
#: what becomes part of the layer before
FUSED = ("Relu", "Clip")
#: The quantizer asks for its own preparation where this mark is missing; our models come folded and typed.
PREPARED = ("onnx.quant.pre_process", "onnxruntime.quant")
COPIES = 4  # of the model that the quantizer writes
QUIET, USUAL = 4, 2  # onnxruntime's log levels: fatal errors only, and the one it starts with


def quantized(model: ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]) -> ModelProto:
    """Weights and activations as 8-bit integers in QDQ form, ranges from the results for `feeds`.

    `feeds` give one run each, the batch included. Equal arguments give equal bytes on one machine. Raises `ArchError`:
    `precision` where the quantizer refuses the model, with weights that are no numbers say, and those of `scratch`.
    """
    with scratch() as folder, _refusals(model), _silence():
        source, target = folder / "float.onnx", folder / "integer.onnx"
        marked = _marked(model)
        ahead(marked)
        save(marked, source)
        quantize_static(
            str(source),
            str(target),
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_kept(marked),
            use_external_data_format=True,  # else nothing above 2 GB
            extra_options={"OpTypesToExcludeOutputQuantization": list(FLOAT_RESULT)},
        )
        return _labelled(onnx.load(target), model)


@contextmanager
def _refusals(model: ModelProto) -> Iterator[None]:
    """The quantizer's exceptions, of all kinds, as diagnostics; a full disk stays an `OSError`."""
    try:
        yield
    except (ArchError, OSError):
        raise
    except MemoryError as problem:
        raise error("out-of-memory", "there is no room for what the samples give", notes=(str(problem),)) from problem
    except Exception as problem:
        wrong = _not_finite(model)
        if not wrong and _cramped(model):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from problem
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        notes = (*wrong, f"onnxruntime says: {reason}")
        help = "give trained weights (`--weights`) and real samples (`--calibrate`), or stay with fp32"
        raise error("precision", "the network cannot be written in int8", notes=notes, help=help) from problem


def _cramped(model: ModelProto) -> bool:
    """No room for the quantizer's files. It does not notice, and then reads what it could not write."""
    return shutil.disk_usage(tempfile.gettempdir()).free < COPIES * sum(
        len(tensor.raw_data) for tensor in model.graph.initializer
    )


def _not_finite(model: ModelProto) -> tuple[str, ...]:
    """A note about a weight that is infinite or no number; masks, which are infinite too, are no weights."""
    for tensor in model.graph.initializer:
        if "/" not in tensor.name and not np.isfinite(numpy_helper.to_array(tensor)).all():
            return (f"`{tensor.name}` has numbers that are infinite or not a number",)
    return ()


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """The quantizer's idea of an iterator."""

    def __init__(self, feeds: Iterable[Mapping[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Mapping[str, np.ndarray] | None:
        return next(self._feeds, None)


def _kept(model: ModelProto) -> list[str]:
    """Nodes that stay as they are: all after the last layers with weights, and what leads to a softmax.

    Softmax magnifies the steps of its input exponentially, and masks make that input infinite.
    """
    heavy_follows: set[str] = set()  # tensors on the way to a heavy node
    softmax_follows: set[str] = set()  # those on the way to a softmax, without a heavy node between
    kept = []
    for node in reversed(model.graph.node):
        heavy = node.op_type in HEAVY
        soft = node.op_type == "Softmax" or not (heavy or softmax_follows.isdisjoint(node.output))
        last = not (heavy or node.op_type in FUSED) and heavy_follows.isdisjoint(node.output)
        if heavy or not heavy_follows.isdisjoint(node.output):
            heavy_follows.update(node.input)
        if soft:
            softmax_follows.update(node.input)
        if soft or last:
            kept.append(node.name)
    return kept


def _marked(model: ModelProto) -> ModelProto:
    marked = ModelProto()
    marked.CopyFrom(model)
    key, value = PREPARED
    marked.metadata_props.add(key=key, value=value)
    return marked


def _labelled(result: ModelProto, model: ModelProto) -> ModelProto:
    """With the producer and metadata of the model, and the operator sets that the nodes really use."""
    result.producer_name, result.producer_version = model.producer_name, model.producer_version
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    used = {node.domain for node in result.graph.node}
    domains = [item for item in result.opset_import if item.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(domains)
    return result


@contextmanager
def _silence() -> Iterator[None]:
    """No log lines and warnings from the quantizer and its sessions; Python's root logger is left as it was."""
    root = logging.getLogger()
    handlers, disabled = root.handlers[:], root.manager.disable
    logging.disable(logging.CRITICAL)
    onnxruntime.set_default_logger_severity(QUIET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        onnxruntime.set_default_logger_severity(USUAL)
        logging.disable(disabled)
        root.handlers[:] = handlers
