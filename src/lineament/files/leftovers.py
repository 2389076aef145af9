# SPDX-License-Identifier: Apache-2.0
"""Hidden folders in which runs write: made, known again after the run was killed, and never mistaken for another's.

Folders come from anywhere, downloads and archives too, and may hold what looks like ours. Whoever acts on one must
not be led to anything else by it, so that a folder is one of ours only if all of this holds: it has exactly our form
of name and belongs to who runs this; it holds our files and folders alone, and nothing but regular files and folders
is in it, at any depth; the place that it names is a plain name in the folder around it; and its seal names the file
that it was made beside, by number and time of birth, which no copy and no archive can bring along.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lineament.files.writing import TEMPORARY, is_temporary, temporary_name

_LOCK, _TARGET, _SEAL, _NEW, _OLD = "lock", "target", "seal", "new", "old"
_LONGEST = 1024  # bytes of the small files


@dataclass(frozen=True)
class Staging:
    """A hidden folder of a run."""

    folder: Path
    target: str | None
    """Name of the result in `home`; None where the result's files go into `home` itself."""

    @property
    def home(self) -> Path:
        """The folder that it lies in."""
        return self.folder.parent

    @property
    def new(self) -> Path:
        """What is to come."""
        return self.folder / _NEW

    @property
    def old(self) -> Path:
        """What was there before."""
        return self.folder / _OLD


@contextmanager
def new_staging(home: Path, target: str | None) -> Iterator[Staging]:
    """A new hidden folder in a place, locked as long as it is in use, and then removed.

    Args:
        home: The place.
        target: Name in it of what will be replaced; None for its own files.
    """
    while True:
        folder = home / temporary_name()
        folder.mkdir()
        lock = FileLock(folder / _LOCK, timeout=0)
        with suppress(Timeout, FileNotFoundError):  # another process took it for a dead one's, between these two lines
            lock.acquire()
            break
    try:
        (folder / _TARGET).write_bytes(os.fsencode(target or ""))
        (folder / _SEAL).write_text(_seal_of(folder))
        staging = Staging(folder, target)
        staging.new.mkdir()
        yield staging
    finally:
        lock.release()
        _remove(folder)


def is_staging(folder: Path) -> bool:
    """Whether a folder is a run's hidden one, living or dead."""
    if not is_temporary(folder.name):
        return False
    try:
        return _is_plain(folder) and (_is_sealed(folder) or _is_hardly_begun(folder))
    except (OSError, ValueError):
        return False


def remove_dead(home: Path, recover: Callable[[Staging], bool]) -> None:
    """Remove the hidden folders in a place whose runs were killed; those of living runs stay.

    Args:
        home: The place.
        recover: Ends what a run had begun; called while the folder is locked. It stays if that gives False or fails.
    """
    for folder in sorted(home.glob(f"{TEMPORARY}*")) if home.is_dir() else []:
        with suppress(OSError, ValueError, Timeout, NotImplementedError):
            if is_staging(folder):
                with FileLock(folder / _LOCK, timeout=0):
                    finished = not _is_sealed(folder) or recover(Staging(folder, _target_of(folder)))
                if finished:
                    _remove(folder)


def _target_of(folder: Path) -> str | None:
    return os.fsdecode((folder / _TARGET).read_bytes()) or None


def _is_sealed(folder: Path) -> bool:
    """Whether the seal is whole and names this folder's own file, and the target is a plain name."""
    if not all((folder / name).exists() for name in (_LOCK, _TARGET, _SEAL)):
        return False
    target = _target_of(folder)
    plain = target is None or (Path(target).name == target and target != ".." and not is_temporary(target))
    return plain and (folder / _SEAL).read_text() == _seal_of(folder)


def _is_hardly_begun(folder: Path) -> bool:
    """Whether nothing is in a folder that anybody could miss: its run was killed as it made it."""
    inside = {entry.name: entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder)}
    return inside.get(_LOCK, 0) == 0 and set(inside) <= {_LOCK, _TARGET, _SEAL}


def _is_plain(folder: Path) -> bool:
    """Whether a folder is no link, belongs to us, and holds our parts alone, in which there are files and folders."""
    top = folder.lstat()
    if not stat.S_ISDIR(top.st_mode) or (hasattr(os, "geteuid") and top.st_uid != os.geteuid()):
        return False
    for entry in os.scandir(folder):
        status = entry.stat(follow_symlinks=False)
        if entry.name in (_NEW, _OLD):
            fits = stat.S_ISDIR(status.st_mode)
        else:
            small = stat.S_ISREG(status.st_mode) and status.st_size <= _LONGEST
            fits = entry.name in (_LOCK, _TARGET, _SEAL) and small
        if not fits:
            return False
    for part in (folder / _NEW, folder / _OLD):
        for place, folders, files in os.walk(part):
            modes = [(Path(place) / name).lstat().st_mode for name in (*folders, *files)]
            if not all(stat.S_ISDIR(mode) or stat.S_ISREG(mode) for mode in modes):
                return False
    return True


def _seal_of(folder: Path) -> str:
    """What the seal of a folder says: number, and time of the last change, of a file that is written once."""
    status = (folder / _TARGET).lstat()
    return f"{status.st_ino}:{status.st_ctime_ns}"


def _remove(folder: Path) -> None:
    """Remove a hidden folder; its lock last, by which it is known."""
    for part in (folder / _NEW, folder / _OLD, folder):
        shutil.rmtree(part, ignore_errors=True)
