# SPDX-License-Identifier: Apache-2.0
"""Folders of results: each holds those of one run, appears whole or not at all, and never hides what others put there.

A result is written into a hidden folder ``.lineament-…`` beside its place (inside it, where the place itself cannot be
renamed) and swapped in by renaming. `MARKER` lies in every finished result and lists its files. What a run that was
killed leaves behind is removed by the next one, unless somebody still holds its lock.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lineament.errors import OutputError
from lineament.files.names import printable
from lineament.files.reading import parse_json
from lineament.files.writing import write_json

MARKER = "result.json"
"""The file that says that a result is finished, lists its files, and tells what it was asked for."""

_HIDDEN = ".lineament-"
_OF_FILE_BROWSERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What `MARKER` says of a finished result, None if it is none: no marker, a damaged one, or files are missing."""
    try:
        marker = parse_json((folder / MARKER).read_text(encoding="utf-8"))
        complete = all((folder / name).is_file() for name in marker["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(marker) if complete else None


def check_replaceable(folder: Path) -> None:
    """Raise OutputError for a folder that holds what is no result of ours, or for a file in its way."""
    path = _place(folder)
    for place in (path.parent, path):
        remove_stale(place)
    with _writing(folder):
        there = next(place for place in (path, *path.parents) if os.path.lexists(place))
        if not there.is_dir():
            raise OutputError(f"cannot write {folder}: {there} is in the way and no folder")
        if there != path:
            return
        listed = _listed(folder)
        strange = [name for name in _files(folder) if name not in listed and Path(name).name not in _OF_FILE_BROWSERS]
    if strange:
        first = printable(min(strange, key=lambda name: (name.count("/"), name)))
        raise OutputError(
            f"{folder} holds files that are no result of ours ({first}) and would be lost: "
            "name another folder, or move them away"
        )


@contextmanager
def result_folder(path: Path, request: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """A hidden folder to write a result into, which takes the place of ``path`` as a whole when the block ends well.

    Args:
        path: The result's folder, made if missing. An earlier result in it is removed with all of its files.
        request: What the result was asked for, for its marker.

    Raises:
        OutputError: It cannot be written, or ``path`` holds what is no result of ours.
    """
    check_replaceable(path)
    path = _place(path)
    inside = path.is_dir() and _stays(path)
    home = path if inside else path.parent
    with ExitStack() as stack:
        with _writing(path):
            home.mkdir(parents=True, exist_ok=True)
            staging = stack.enter_context(_staging(home))
            new, old = staging / "new", staging / "old"
            if not inside:
                (staging / "target").write_bytes(os.fsencode(path.name))
            new.mkdir()
        yield new
        with _writing(path):
            write_json(new / MARKER, {"files": sorted(_files(new)), "request": dict(request or {})})
            if inside:
                _swap_files(staging)
            else:
                if path.exists():
                    check_replaceable(path)  # again: much time may have gone by
                    os.replace(path, old)
                os.replace(new, path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


@lru_cache(maxsize=1024)
def remove_stale(folder: Path) -> None:
    """Remove what killed runs left hidden in a folder, once per process; those of living runs stay."""
    for staging in folder.glob(f"{_HIDDEN}*"):
        lock = staging / "lock"
        with suppress(OSError, Timeout, NotImplementedError):
            if staging.is_dir() and lock.exists():
                with FileLock(lock, timeout=0):
                    _recover(staging)
                _remove(staging)


def _recover(staging: Path) -> None:
    """End the swap that a killed run had begun: put back what it had moved aside, or move in what was to come."""
    new, old = staging / "new", staging / "old"
    if (staging / "target").exists():
        target = staging.parent / os.fsdecode((staging / "target").read_bytes())
        if (old / MARKER).exists() and not target.exists():
            os.replace(old, target)
    elif old.exists() and (new / MARKER).exists():
        _swap_files(staging)


def _swap_files(staging: Path) -> None:
    """Swap a result's files for new ones, one by one, in the folder that holds both; may be begun again.

    The old marker goes first and the new one comes last, so that there is none as long as files are mixed.
    """
    folder, new, old = staging.parent, staging / "new", staging / "old"
    old.mkdir(exist_ok=True)
    arriving = {Path(name).parts[0] for name in _listed(new)}
    here = sorted((p.name for p in folder.iterdir() if not p.name.startswith(_HIDDEN)), key=lambda name: name != MARKER)
    for name in here:
        if name not in arriving or (new / name).exists():
            os.replace(folder / name, old / name)
    for name in sorted((p.name for p in new.iterdir()), key=lambda name: name == MARKER):
        os.replace(new / name, folder / name)


@contextmanager
def _staging(home: Path) -> Iterator[Path]:
    """A new hidden folder in a place, locked as long as it is in use."""
    while True:
        staging = home / f"{_HIDDEN}{uuid.uuid4().hex[:12]}"
        staging.mkdir()
        lock = FileLock(staging / "lock", timeout=0)
        with suppress(Timeout):  # another process took the folder for a dead one's, between these two lines
            lock.acquire()
            break
    try:
        yield staging
    finally:
        lock.release()
        _remove(staging)


def _place(folder: Path) -> Path:
    """Where a result is written: a link to a folder stays one."""
    return folder.resolve() if folder.is_symlink() else folder.absolute()


def _stays(path: Path) -> bool:
    """Whether a folder cannot be renamed without harm: a mount, the working folder, one in a read-only folder."""
    return os.path.ismount(path) or path in (here := Path.cwd(), *here.parents) or not os.access(path.parent, os.W_OK)


def _remove(staging: Path) -> None:
    """Remove a hidden folder; its lock last, by which it is known."""
    for folder in (staging / "new", staging / "old", staging):
        shutil.rmtree(folder, ignore_errors=True)


def _listed(folder: Path) -> frozenset[str]:
    """The files of a result and its marker; none if there is no marker that can be read."""
    try:
        files = parse_json((folder / MARKER).read_text(encoding="utf-8"))["files"]
        return frozenset({*map(str, files), MARKER})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return frozenset()


def _files(folder: Path) -> list[str]:
    """All files below a folder, as they are listed in a marker; not the hidden ones of runs."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(_HIDDEN)]
        relative = Path(place).relative_to(folder)
        found += [(relative / name).as_posix() for name in files]
        found += [(relative / name).as_posix() for name in folders if (Path(place) / name).is_symlink()]
    return found


def _raise(error: OSError) -> None:
    raise error
