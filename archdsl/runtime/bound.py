"""A session bound to inputs and outputs that stay where they are: nothing is allocated or copied by a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import onnxruntime

from archdsl.language.diagnostics import error
from archdsl.runtime.memory import room_for
from archdsl.runtime.session import FAILURES, Device
from archdsl.runtime.timing import Call


def bound(session: onnxruntime.InferenceSession, feed: Mapping[str, np.ndarray], device: Device, name: str) -> Call:
    """A call that runs the session once. It runs here already, for the shapes of its outputs.

    Raises `ArchError` (`run-failed`) where onnxruntime cannot run it.
    """
    outputs = dict(zip((item.name for item in session.get_outputs()), run_once(session, feed, name), strict=True))
    binding = session.io_binding()
    for key, array in feed.items():
        binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
    for key, array in outputs.items():
        if isinstance(array, np.ndarray) and array.dtype != object:
            space = onnxruntime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, device, 0)
            binding.bind_ortvalue_output(key, space)
        else:  # sequences and strings have no room that could be set aside
            binding.bind_output(key)
    return partial(session.run_with_iobinding, binding)


def run_once(session: onnxruntime.InferenceSession, feed: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    """All outputs; raises `ArchError` (`run-failed`, `out-of-memory`)."""
    try:
        with room_for(f"what `{name}` computes"):
            found: list[np.ndarray] = session.run(None, dict(feed))
    except FAILURES as problem:
        raise error(
            "run-failed", f"onnxruntime cannot run `{name}` on these inputs", notes=(str(problem),)
        ) from problem
    return found
