"""The rate at which onnxruntime multiplies matrices on this machine: what a network is held against."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from archdsl.runtime.bound import bound
from archdsl.runtime.session import Device, open_session
from archdsl.runtime.timing import Call, Clock, burst

#: n of the n x n float32 matrices that are tried. Small ones do not fill many cores, large ones leave the caches: one
#: core of a Zen 4 server reached 112, 98 and 88 GFLOP/s. A share of the fastest is the strictest.
SIZES: dict[Device, tuple[int, ...]] = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
TRIES = 3


@dataclass(frozen=True, slots=True)
class Gemm:
    """A product of two `size` x `size` matrices on onnxruntime; the second is a constant, as weights are."""

    size: int
    call: Call

    @property
    def flop(self) -> int:
        """Floating-point operations of one call: a multiplication and an addition for each term."""
        return 2 * self.size**3


def fastest_gemm(device: Device, threads: int, clock: Clock = time.perf_counter_ns) -> Gemm:
    """Of the sizes, the one with the highest rate on so many threads."""
    tried = [gemm(size, device, threads) for size in SIZES[device]]
    return max(tried, key=lambda item: item.flop / max(min(burst(item.call, TRIES, clock)), 1))


def gemm(size: int, device: Device, threads: int) -> Gemm:
    """The product as a model of its own, bound to static buffers."""
    generator = np.random.default_rng(0)
    square = generator.standard_normal((2, size, size), dtype=np.float32)
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (size, size)) for name in "xy")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "gemm", [x], [y], [numpy_helper.from_array(square[0], "w")])
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=helper.find_min_ir_version_for([opset]))
    session = open_session(model.SerializeToString(), device, threads=threads)
    return Gemm(size, bound(session, {"x": square[1]}, device, "a matrix product"))
