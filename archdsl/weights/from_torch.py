"""`.pth` and `.pt`: what `torch.save` writes, loaded as tensors alone (`weights_only=True`), mapped where that can be.

Such a file is a program for Python's pickle machine. PyTorch runs the few of its instructions that build tensors and
plain containers, and refuses the rest; nothing else is ever executed here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from archdsl.language.diagnostics import error
from archdsl.weights.checkpoint import Stored, os_reason, unreadable

if TYPE_CHECKING:
    import numpy as np
    import torch

#: the first version whose `weights_only` is known to keep its word (CVE-2025-32434)
SAFE_FROM = (2, 6)
#: where training programs put the weights among other things, the likeliest first
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "weights")


def read_torch(path: str) -> dict[str, Stored]:
    """Tensors by name; raises `ArchError` (`torch-missing`, `weights-unreadable`)."""
    try:
        import torch
    except ImportError as cause:
        help = "pip install archdsl[torch], or have the weights as .safetensors"
        raise error("torch-missing", f"`{path}` cannot be read without PyTorch", help=help) from cause
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_FROM:
        reason = f"PyTorch {torch.__version__} loads such files unsafely"
        raise unreadable(path, reason, help="pip install 'torch>=2.6'")
    tensors = {name: value for name, value in _weights_in(_load(path)).items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise unreadable(path, "it holds no tensors by name")
    return {str(name): _stored(path, str(name), tensor) for name, tensor in tensors.items()}


def _load(path: str) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they warn of is an error here, or harmless
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as problem:
                if "mmap can only be used" not in str(problem):
                    raise
                return torch.load(path, map_location="cpu", weights_only=True)  # the format before 1.6
    except OSError as problem:
        raise unreadable(path, os_reason(problem)) from None
    except Exception as problem:  # noqa: BLE001 (a damaged program may trip over anything)
        help = "PyTorch can write the tensors alone: `torch.save(model.state_dict(), ...)`"
        raise unreadable(path, _reason(problem), help=help) from None


def _reason(problem: Exception) -> str:
    """The one sentence of PyTorch's message that says what is wrong; its advice to load unsafely is left out."""
    text = str(problem)
    if found := re.search(r"GLOBAL (\S+)", text):
        return f"it would have to run `{found[1]}`, and a file of weights must not run anything"
    if "TorchScript" in text:
        return "it is a TorchScript program, not a file of weights"
    if "zip archive" in text:
        return "it is damaged, or was not written to its end"
    return "it is not what `torch.save` writes"


def _weights_in(value: Any) -> Mapping[Any, Any]:
    """The dictionary that has tensors in it: the value itself, or what stands under a usual name in it."""
    import torch

    if not isinstance(value, Mapping):
        return {}
    if any(isinstance(item, torch.Tensor) for item in value.values()):
        return value
    inner = (value[name] for name in WRAPPINGS if name in value)
    return next((found for item in inner if (found := _weights_in(item))), {})


def _stored(path: str, name: str, tensor: torch.Tensor) -> Stored:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        kind = "quantized" if tensor.is_quantized else "without numbers" if tensor.is_meta else "sparse"
        raise unreadable(path, f"`{name}` is {kind}, and only ordinary tensors can be read")
    return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), partial(_array, tensor))


def _array(tensor: torch.Tensor) -> np.ndarray:
    import torch

    values = tensor.detach()
    array: np.ndarray = (values.float() if values.dtype == torch.bfloat16 else values).resolve_conj().numpy()
    return array
