"""The generated source as a live `torch.nn.Module`: what you read is what runs. The only importer of torch here."""

from __future__ import annotations

import copyreg
import hashlib
import linecache
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from archdsl.emit.torch.source import network_class, torch_source
from archdsl.graph.graph import CheckedGraph
from archdsl.language.diagnostics import error

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    Weights = Mapping[str, np.ndarray]


def module(graph: CheckedGraph, weights: Weights | None = None, seed: int = 0) -> nn.Module:
    """The network in train mode, as PyTorch's own constructors leave it.

    `weights` holds an array for each `state_dict` key, copied and converted to the declared element type; None
    draws them as the spec declares. Lives on torch's default device; on `meta` it has shapes only. Raises
    `ArchError` (`torch-missing`) where torch is not installed and RuntimeError for weights that do not fit.
    """
    try:
        import torch
    except ImportError as cause:
        raise error("torch-missing", "PyTorch is not installed", help="pip install archdsl[torch]") from cause
    made = execute(torch_source(graph))
    device = torch.get_default_device()
    with torch.device("meta"), _nothing_drawn():
        network: nn.Module = getattr(made, network_class(graph))()
    if device.type != "meta":
        _load(network, _drawn(graph, seed) if weights is None else weights)
    return network if device.type in ("cpu", "meta") else network.to(device)


def _nothing_drawn() -> AbstractContextManager[object]:
    """Nothing is drawn into tensors that have shapes only: for normal numbers PyTorch would import its compiler."""
    import torch
    from torch.overrides import TorchFunctionMode

    class NothingDrawn(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            given = kwargs or {}
            if func is torch.Tensor.normal_ or getattr(func, "__module__", "") == "torch.nn.init":
                return args[0] if args else given["tensor"]
            return func(*args, **given)

    return NothingDrawn()


def _drawn(graph: CheckedGraph, seed: int) -> Weights:
    from archdsl.weights.initialize import initialize

    return initialize(graph, seed)


def _load(network: nn.Module, weights: Weights) -> None:
    """Give the network, which has only shapes so far, its tensors. Each is a copy: training changes no array."""
    import torch

    expected = network.state_dict()
    with torch.device("cpu"):
        tensors = {
            key: torch.tensor(array, dtype=expected[key].dtype if key in expected else None)
            for key, array in weights.items()
        }
    network.load_state_dict(tensors, strict=True, assign=True)


def execute(source: str) -> ModuleType:
    """The source as an imported module; the same source gives the same module.

    Its name depends on the text alone. The text is known to `linecache`, so that tracebacks and `inspect` show
    it, and its classes are pickled with it, so that a process that has never seen them can load them.
    """
    name = f"archdsl_generated_{hashlib.sha256(source.encode()).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    made = ModuleType(name)
    made.__file__ = f"<{name}>"
    linecache.cache[made.__file__] = (len(source), None, source.splitlines(keepends=True), made.__file__)
    exec(compile(source, made.__file__, "exec"), made.__dict__)  # noqa: S102 (our own text: user text in it is quoted)
    sys.modules[name] = made
    for cls in list(vars(made).values()):
        if isinstance(cls, type) and cls.__module__ == name:
            copyreg.pickle(cls, _reducer(source))  # type: ignore[arg-type]
    return made


def _reducer(source: str) -> Callable[[Any], tuple[object, ...]]:
    """How pickle and copy take an instance apart: the source, the name of its class, and its state."""

    def reduce(instance: Any) -> tuple[object, ...]:
        return _blank, (source, type(instance).__name__), instance.__getstate__()

    return reduce


def _blank(source: str, name: str) -> object:
    """An instance without state, of a class of the source. Named in pickles: keep it."""
    cls = getattr(execute(source), name)
    return cls.__new__(cls)
