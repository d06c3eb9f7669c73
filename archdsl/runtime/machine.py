"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import onnxruntime

from archdsl.runtime.session import PROVIDERS, Device
from archdsl.version import __version__

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """Software by version, and hardware. `cores` are those that this process may use; `threads` 0: one for each."""

    archdsl: str
    onnxruntime: str
    python: str
    system: str
    cpu: str
    cores: int
    provider: str
    threads: int


def machine(device: Device, threads: int) -> Machine:
    """This machine, as a session on the device with so many threads meets it."""
    return Machine(
        __version__,
        onnxruntime.__version__,
        platform.python_version(),
        platform.platform(),
        cpu_name(),
        _cores(),
        PROVIDERS[device],
        threads,
    )


def cpu_name() -> str:
    """The processor's name: from Linux, else as Python knows it."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text("utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
