# SPDX-License-Identifier: Apache-2.0
"""The one door to files that nobody vouches for: only regular files, only so many bytes, every failure one line."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from lineament.errors import ImageTooLargeError, InputError, LineamentError

MAXIMUM_BYTES = 1_250_000_000
"""Most bytes that reading one file may hold at once, decoder and result together."""

MAXIMUM_STATE = 1 << 24
"""Most bytes of a small file that says what something is: a result's marker, a configuration, a manifest."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular_file(path: str | PathLike[str], error: type[LineamentError] = InputError, empty: bool = False) -> Path:
    """A path, known to lead to a regular file that holds something; asked before it is opened, which could wait.

    Args:
        path: The path.
        error: The error to raise.
        empty: Whether the file may hold nothing.

    Raises:
        error: No such file, a folder, a pipe, a socket or a device, an empty file, or a name that no file can have.
    """
    try:
        path = Path(path)
        status = path.stat()
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except TypeError:
        raise error(f"expected a file's path, got {type(path).__name__}") from None
    except (OSError, ValueError) as failure:
        raise error(f"{path}: {reason(failure)}") from failure
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        unreadable = stat.S_ISDIR(status.st_mode) and not os.access(path, os.R_OK | os.X_OK)
        raise error(f"{path}: is {kind}{' that cannot be read' if unreadable else ', not a file'}")
    if status.st_size == 0 and not empty:
        raise error(f"{path}: the file is empty")
    return path


def read_bounded(path: Path, most: int = MAXIMUM_STATE, error: type[LineamentError] = InputError) -> bytes:
    """The bytes of a regular file of at most so many; a pipe is not waited for, and no device fills the memory.

    Raises:
        error: As `regular_file`, but for an empty file; or the file is larger or cannot be read.
    """
    regular_file(path, error, empty=True)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as failure:
        raise error(f"{path}: {reason(failure)}") from failure
    if len(data) > most:
        raise error(f"{path}: holds more than the {most:,} bytes that are read of such a file")
    return data


@contextmanager
def reading(path: Path, what: str, error: type[LineamentError] = InputError) -> Iterator[None]:
    """Turn whatever a decoder raises into one error.

    Decoders of many hands raise whatever they like, so that every exception counts here; ours pass as they are.

    Args:
        path: The file that is read.
        what: What it should be, as in "cannot be read as a mesh".
        error: The error to raise.
    """
    try:
        yield
    except LineamentError:
        raise
    except MemoryError as failure:
        raise error(f"{path}: there is not enough memory to read it as {what}") from failure
    except Exception as failure:
        raise error(f"{path}: cannot be read as {what} ({reason(failure)})") from failure


def check_bytes(path: object, size: int, advice: str = "scale it down first") -> None:
    """Raise ImageTooLargeError for a file that would take more bytes, once decoded, than are held at once."""
    if size > MAXIMUM_BYTES:
        raise ImageTooLargeError(
            f"{path}: reading it would take {size / 1e9:,.1f} GB of memory; "
            f"at most {MAXIMUM_BYTES / 1e9:,.2f} GB are held, {advice}"
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal; that of nothing for what is no file, since a pipe is not waited for.

    Raises:
        InputError: It cannot be read.
    """
    digest = hashlib.sha256()
    if path.is_file():
        try:
            with path.open("rb") as file:
                for part in iter(lambda: file.read(1 << 20), b""):
                    digest.update(part)
        except OSError as failure:
            raise InputError(f"{path}: {reason(failure)}") from failure
    return digest.hexdigest()


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text from a file.

    Raises:
        ValueError: It is no JSON, not UTF-8, nested too deeply, or holds NaN or an infinity.
    """
    try:
        return json.loads(content, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


# What libraries advise to set or to trust so that they go on: nobody who only has a file should follow it.
_ADVICE = re.compile(r"allow_pickle|weights_only|unpickl|pickled|arbitrary code|LOAD_TRUNCATED|MAX_\w+PIXELS")


def reason(failure: BaseException) -> str:
    """What an exception of a library says, in one short line; never its advice to read on at one's own risk."""
    said = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
    if _ADVICE.search(said):
        return "it is damaged, or of a kind that is not read"
    return " ".join(said.split())[:200] or type(failure).__name__
