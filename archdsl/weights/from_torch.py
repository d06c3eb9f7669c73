"""`.pth` and `.pt`: what `torch.save` writes, loaded as tensors alone (`weights_only=True`), mapped where that can be.

Such a file is a program for Python's pickle machine. PyTorch runs the few of its instructions that build tensors and
plain containers, and refuses the rest; nothing else is ever executed here.
"""

from __future__ import annotations

import errno
import re
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, is_zipfile

from archdsl.graph.renames import shown
from archdsl.language.diagnostics import ArchError, error
from archdsl.weights.checkpoint import AGAIN, DAMAGED, Stored, guarded, os_reason, unreadable

if TYPE_CHECKING:
    import numpy as np
    import torch

#: the first version whose `weights_only` is known to keep its word (CVE-2025-32434)
SAFE_FROM = (2, 6)
#: where training programs put the weights among other things, the likeliest first
WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "weights")
#: other keys that a message names
SHOWN = 6


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
    _check_sums(path, numbers=False)
    content = _load(path)
    tensors = _tensors(_weights_in(content))
    if not tensors:
        raise _nothing(path, content)
    check = cache(partial(_check_sums, path, numbers=True))
    return {name: _stored(path, name, tensor, check) for name, tensor in tensors.items()}


def _check_sums(path: str, numbers: bool) -> None:
    """Hold the parts of the archive against their checksums, which PyTorch does not do for numbers that it maps.

    The parts are those with the tensors' `numbers`, or all others. 0 stands where PyTorch was told to compute none.
    """
    with guarded(path):
        if not is_zipfile(path):  # the format before 1.6, or none; to be told by PyTorch
            return
        with ZipFile(path) as archive:
            for member in archive.infolist():
                if member.CRC and ("/data/" in member.filename) == numbers:
                    with archive.open(member) as file:
                        while file.read(1 << 20):
                            pass


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
        if problem.errno == errno.EINVAL:  # mapped beyond its end
            raise unreadable(path, f"it {DAMAGED}", AGAIN) from None
        raise unreadable(path, os_reason(problem)) from None
    except Exception as problem:  # noqa: BLE001 (a damaged program may trip over anything)
        reason = _reason(problem)
        help = "PyTorch can write the tensors alone: `torch.save(model.state_dict(), ...)`"
        raise unreadable(path, reason, AGAIN if reason.endswith(DAMAGED) else help) from None


def _reason(problem: Exception) -> str:
    """The one sentence of PyTorch's message that says what is wrong; its advice to load unsafely is left out."""
    text = str(problem)
    if found := re.search(r"GLOBAL (\S+)", text):
        return f"it would have to run `{shown(found[1])}`, and a file of weights must not run anything"
    if "TorchScript" in text:
        return "it is a TorchScript program, not a file of weights"
    if "zip archive" in text:
        return f"it {DAMAGED}"
    return "it is not what `torch.save` writes"


def _tensors(value: Any) -> dict[str, torch.Tensor]:
    """The tensors that a dictionary holds by name."""
    import torch

    found = value.items() if isinstance(value, Mapping) else ()
    return {name: item for name, item in found if isinstance(name, str) and isinstance(item, torch.Tensor)}


def _weights_in(value: Any) -> Any:
    """What stands under a usual name in a dictionary and has tensors in it, else the value itself.

    A usual name goes first: a program may keep single numbers, its best accuracy say, as tensors beside it.
    """
    inner = (value[name] for name in WRAPPINGS if name in value) if isinstance(value, Mapping) else ()
    return next((found for item in inner if _tensors(found := _weights_in(item))), value)


def _nothing(path: str, content: Any) -> ArchError:
    """A file without tensors by name, and where in it some are."""
    places = content.items() if isinstance(content, Mapping) else ()
    names = [f"`{shown(str(name))}`" for name, item in places if _tensors(_weights_in(item))]
    help = "PyTorch can write the tensors alone: `torch.save(model.state_dict(), ...)`"
    if names:
        found = f"some are under {', '.join(names[:SHOWN])}"
        help = f"{found}: write one of these alone, `torch.save(torch.load(...)[...], ...)`"
    return unreadable(path, "it holds no tensors by name where weights usually are", help=help)


def _stored(path: str, name: str, tensor: torch.Tensor, check: Callable[[], None]) -> Stored:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        kind = "quantized" if tensor.is_quantized else "without numbers" if tensor.is_meta else "sparse"
        raise unreadable(path, f"`{shown(name)}` is {kind}, and only ordinary tensors can be read")
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Stored(tuple(tensor.shape), dtype, partial(_array, tensor, check))


def _array(tensor: torch.Tensor, check: Callable[[], None]) -> np.ndarray:
    import torch

    check()
    values = tensor.detach().resolve_conj().resolve_neg()
    array: np.ndarray = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return array
