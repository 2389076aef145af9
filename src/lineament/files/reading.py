# SPDX-License-Identifier: Apache-2.0
"""The one door to files that nobody vouches for: only regular files, only so many bytes, every failure one line."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from lineament.errors import ImageTooLargeError, InputError, LineamentError

MAXIMUM_BYTES = 1_250_000_000
"""Most bytes that reading one file may hold at once, decoder and result together."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular_file(path: str | PathLike[str], error: type[LineamentError] = InputError) -> Path:
    """A path, known to lead to a regular file that holds something; asked before it is opened, which could wait.

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
        raise error(f"{path}: {_reason(failure)}") from failure
    if not stat.S_ISREG(status.st_mode):
        raise error(f"{path}: is {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file")
    if status.st_size == 0:
        raise error(f"{path}: the file is empty")
    return path


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
        raise error(f"{path}: cannot be read as {what} ({_reason(failure)})") from failure


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
            raise InputError(f"{path}: {_reason(failure)}") from failure
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


def _reason(failure: Exception) -> str:
    """What an exception says, in one line."""
    said = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
    return " ".join(said.split())[:200] or type(failure).__name__
