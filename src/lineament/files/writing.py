# SPDX-License-Identifier: Apache-2.0
"""Writing files as a whole or not at all, and never a number that is not finite."""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from lineament.errors import NotFiniteError, OutputError

TEMPORARY = ".lineament-"
"""How the names of files and folders begin that are not whole yet, or were left by a process that was killed."""

_TEMPORARY_NAME = re.compile(re.escape(TEMPORARY) + r"[0-9a-f]{12}")


def temporary_name() -> str:
    """A new name for what is not whole yet."""
    return f"{TEMPORARY}{uuid.uuid4().hex[:12]}"


def is_temporary(name: str, suffix: bool = False) -> bool:
    """Whether a name is one that `temporary_name` gives, with any suffix behind it where that is said."""
    stem, dot, _ = name[1:].partition(".")
    return bool(_TEMPORARY_NAME.fullmatch(f".{stem}")) and (suffix or not dot)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it when the block ends well, removed when it does not.

    The file gets the mode that new files have here, whatever mode the block's writer gives it.

    Raises:
        OutputError: The file cannot be written.
    """
    temporary = path.with_name(f"{temporary_name()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != mode:  # some writers make a private file of their own and rename it
            temporary.chmod(stat.S_IMODE(mode))
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where even the folder is none, there is nothing to remove
            temporary.unlink(missing_ok=True)


def check_finite(what: object, values: Any) -> None:
    """Raise NotFiniteError for numbers or arrays that are not finite: such are never written.

    Args:
        what: What to call them in the error.
        values: A number or an array, of integers, too.
    """
    array = np.asarray(values)
    # By the least and the greatest: a map of flags would take much memory, and NaN is both.
    if array.dtype.kind == "f" and array.size and not np.isfinite([array.min(), array.max()]).all():
        strange = int(array.size - np.isfinite(array).sum())
        raise NotFiniteError(f"{what}: {strange} of {array.size} numbers are not finite; nothing is written of them")


def write_json(path: Path, content: Any) -> None:
    """Write plain values as JSON, UTF-8, its text printable whatever names it holds.

    Raises:
        NotFiniteError: A number is not finite, which JSON has no word for.
        OutputError: The file cannot be written.
    """
    _check_plain(path, content, "")
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _check_plain(path: Path, content: Any, place: str) -> None:
    """Raise NotFiniteError for the first number that is not finite, and name its place."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            _check_plain(path, value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, (list, tuple)):
        for number, value in enumerate(content):
            _check_plain(path, value, f"{place}[{number}]")
    elif isinstance(content, float):
        check_finite(f"{path.name}: {place}", content)
