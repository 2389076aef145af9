# SPDX-License-Identifier: Apache-2.0
"""One writer at a time: a lock on a folder that the operating system takes away from a process that dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lineament.errors import OutputError
from lineament.files.writing import is_temporary

LOCK = ".lock"
"""Name of the file in the folder that is locked. It may stay behind: what counts is who holds it."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder for as long as the block runs; the folder is made if missing.

    A process that is killed holds no lock any more, so that none is ever stale; files that it left half-written
    (`lineament.images.write.atomic_path`) are removed.

    Raises:
        OutputError: Another process, which is still running, writes into the folder; or the folder cannot be made or
            written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"another process is writing into {folder}; wait until it is done, or choose another folder"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot write into the folder {folder}: {error.strerror or error}") from error
    try:
        for stale in sorted(folder.iterdir()):
            if is_temporary(stale.name, suffix=True) and not stale.is_symlink() and stale.is_file():
                with suppress(OSError):
                    stale.unlink()
        yield
    finally:
        lock.release()
