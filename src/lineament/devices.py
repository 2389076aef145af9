# SPDX-License-Identifier: Apache-2.0
"""The devices on which torch computes: how options write them, and which of them this machine has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lineament.errors import UsageError

if TYPE_CHECKING:
    import torch

_NAMES = re.compile(r"auto|cpu|cuda(:\d{1,3})?")


def check_device(name: str) -> None:
    """Check how a device is written, without looking whether it is there.

    Raises:
        UsageError: It is no name of a device.
    """
    if not _NAMES.fullmatch(name):
        raise UsageError(f"device must be auto, cpu, cuda, or one of several as in cuda:1, not {name!r}")


def device_of(name: str, process: int = 0) -> torch.device:
    """The device that a name stands for.

    Args:
        name: auto, cpu, cuda or cuda:N; auto takes a GPU where there is one.
        process: Number of this process among those that share the machine's GPUs, for auto.

    Raises:
        UsageError: It is no name of a device, or this machine has no such device.
    """
    import torch

    check_device(name)
    if name == "auto":
        return torch.device(f"cuda:{process}" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; take cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no {name} here; the last one is cuda:{torch.cuda.device_count() - 1}")
    return device
