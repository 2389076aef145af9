# SPDX-License-Identifier: Apache-2.0
"""What an input did: a finite answer, an error for people, or something that must not be."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lineament.errors import LineamentError

MOST_MEMORY = 1536 << 20
"""Bytes that an input may take beyond what the process had."""

PATIENCE = 10.0
"""Seconds that an input may take."""

GOOD = frozenset({"answered", "refused"})


class Verdict(NamedTuple):
    """What came of one input."""

    name: str
    """answered, refused; traceback, not finite, memory, crash, hang."""
    detail: str
    """The error's line, or the traceback."""
    place: str
    """Where: the innermost line of the package, for failures that are the same to be seen as one."""
    seconds: float
    """Of processor time: a busy machine makes no input slow."""
    peak: int
    """Bytes beyond what the process had."""


def judge(enter: Callable[[], Any]) -> Verdict:
    """Run a door and say what came of it."""
    before = _reset_peak()
    start = time.process_time()
    name, detail, place = "answered", "", ""
    try:
        where = not_finite(enter())
        if where:
            name, detail, place = "not finite", f"the answer{where} is not finite", where
    except LineamentError as error:
        name, detail = "refused", f"{type(error).__name__}: {error}"
    except (Exception, SystemExit) as error:
        name, detail = "traceback", traceback.format_exc(limit=-12)
        place = f"{type(error).__name__} {_innermost(error)}"
    peak = max(0, _peak() - before)
    if peak > MOST_MEMORY and name in GOOD:
        name, detail, place = "memory", f"{peak >> 20} MB ({name} {detail})", "memory"
    return Verdict(name, detail, place, time.process_time() - start, peak)


def not_finite(value: Any, where: str = "") -> str:
    """Where in a value there is a number that is not finite; empty if nowhere."""
    if type(value).__module__.startswith("torch") and hasattr(value, "detach"):
        value = value.detach().float().cpu().numpy()
    if isinstance(value, (float, np.floating)):
        return "" if np.isfinite(value) else where or " itself"
    if isinstance(value, np.ndarray):
        return (where or " itself") if value.dtype.kind in "fc" and not np.isfinite(value).all() else ""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        items: Any = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return ""
    return next((found for key, item in items if (found := not_finite(item, f"{where}.{key}"))), "")


def _innermost(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "lineament" in Path(frame.filename).parts]
    frame = (own or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} in {frame.name}"


def _reset_peak() -> int:
    """Forget the most memory that there was; return what there is."""
    with contextlib.suppress(OSError):  # not Linux: the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) << 10
    import resource
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << (0 if sys.platform == "darwin" else 10)
