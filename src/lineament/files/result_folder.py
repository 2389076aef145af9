# SPDX-License-Identifier: Apache-2.0
"""Folders of results: each holds those of one run, appears whole or not at all, and never hides what others put there.

A result is written into a hidden folder ``.lineament-…`` beside its place (inside it, where the place itself cannot be
renamed) and swapped in by renaming. `MARKER` lies in every finished result and lists its files. What a run that was
killed leaves behind is removed by the next one, unless somebody still holds its lock (`lineament.files.leftovers`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from lineament.errors import InputError, OutputError, UsageError
from lineament.files.leftovers import Staging, is_staging, new_staging, remove_dead
from lineament.files.names import printable
from lineament.files.reading import parse_json, read_bounded, reason
from lineament.files.writing import write_json

MARKER = "result.json"
"""The file that says that a result is finished, lists its files with their sizes, and tells what it was asked for."""

_OF_FILE_BROWSERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What `MARKER` says of a finished result.

    Returns:
        None if it is none: there is no marker or a damaged one, a file is missing or of another size.
    """
    try:
        marker = parse_json(read_bounded(folder / MARKER))
        complete = all(_size(folder / name) == size for name, size in marker["files"].items())
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return dict(marker) if complete else None


def _size(file: Path) -> int | None:
    """Bytes of a regular file, None for anything else."""
    status = file.lstat()
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def folder_path(folder: object) -> Path:
    """The path of a folder that somebody names to write into.

    Raises:
        UsageError: It is no path, or an empty one, which would be the working folder.
    """
    if not isinstance(folder, str | os.PathLike) or not os.fspath(folder):
        raise UsageError(f"a folder's path is needed to write into, not {folder!r:.80}")
    return Path(folder)


def check_in_the_way(folder: Path) -> Path:
    """Raise OutputError for a folder that cannot be made, since a file is in its way; return what of its path is there.

    That is the folder itself, or the closest one around it.
    """
    with _writing(folder):
        path = _place(folder)
        existing = next(place for place in (path, *path.parents) if os.path.lexists(place))
        if not existing.is_dir():
            raise OutputError(f"cannot write {folder}: {existing} is in the way and no folder")
        return existing


def check_replaceable(folder: Path) -> None:
    """Raise OutputError for a folder that holds what is no result of ours, or for a file in its way."""
    with _writing(folder):
        path = _place(folder)
        for place in (path.parent, path):
            remove_stale(place)
        if check_in_the_way(folder) != path:
            return
        strange = _strange(path, _listed(path))
    if MARKER in strange:
        raise OutputError(
            f"{folder / MARKER}, by which an earlier result is known, is damaged: name another folder, or delete this "
            "one if it holds nothing else that you need"
        )
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
            staging = stack.enter_context(new_staging(home, None if inside else path.name))
        yield staging.new
        with _writing(path):
            sizes = {name: (staging.new / name).lstat().st_size for name in sorted(_files(staging.new))}
            write_json(staging.new / MARKER, {"files": sizes, "request": dict(request or {})})
            if inside:
                _swap_files(staging)
            else:
                if path.exists():
                    check_replaceable(path)  # again: much time may have gone by
                    os.replace(path, staging.old)
                os.replace(staging.new, path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # no file can have such a name
        raise OutputError(f"cannot write {path}: {reason(error)}") from error


@lru_cache(maxsize=1024)
def remove_stale(folder: Path) -> None:
    """Remove what killed runs left hidden in a folder, once per process; those of living runs stay."""
    remove_dead(folder, _recover)


def _recover(staging: Staging) -> bool:
    """End the swap that a killed run had begun: put back what it had moved aside, or move in what was to come.

    Returns:
        Whether that is done, or nothing was to do; else the files in the way are others'.
    """
    if staging.target is not None:
        target = staging.home / staging.target
        if _listed(staging.old) and not os.path.lexists(target):
            os.replace(staging.old, target)
    elif staging.old.exists() and _listed(staging.new):
        known = _listed(staging.old) | _listed(staging.new) | _listed(staging.home)
        if _strange(staging.home, known):
            return False
        _swap_files(staging)
    return True


def _swap_files(staging: Staging) -> None:
    """Swap a result's files for new ones, one by one, in the folder that holds both; may be begun again.

    The old marker goes first and the new one comes last, so that there is none as long as files are mixed.
    """
    folder, new, old = staging.home, staging.new, staging.old
    old.mkdir(exist_ok=True)
    arriving = {Path(name).parts[0] for name in _listed(new)}
    here = sorted((p.name for p in folder.iterdir() if not is_staging(p)), key=lambda name: name != MARKER)
    for name in here:
        if name not in arriving or (new / name).exists():
            os.replace(folder / name, old / name)
    for name in sorted((p.name for p in new.iterdir()), key=lambda name: name == MARKER):
        os.replace(new / name, folder / name)


def _place(folder: Path) -> Path:
    """Where a result is written: a link to a folder stays one."""
    return folder.resolve() if folder.is_symlink() else folder.absolute()


def _stays(path: Path) -> bool:
    """Whether a folder cannot be renamed without harm: a mount, the working folder, one in a read-only folder."""
    return os.path.ismount(path) or path in (here := Path.cwd(), *here.parents) or not os.access(path.parent, os.W_OK)


def _listed(folder: Path) -> frozenset[str]:
    """The files of a result and its marker; none if there is no marker that can be read."""
    try:
        files = parse_json(read_bounded(folder / MARKER))["files"]
        return frozenset({*map(str, files), MARKER})
    except (InputError, ValueError, KeyError, TypeError):
        return frozenset()


def _strange(folder: Path, known: frozenset[str]) -> list[str]:
    """What lies below a folder and is none of the known files: others, links whatever their names, empty folders."""
    return [
        name
        for name in _files(folder)
        if (name not in known or (folder / name).is_symlink()) and Path(name).name not in _OF_FILE_BROWSERS
    ]


def _files(folder: Path) -> list[str]:
    """All files below a folder, as they are listed in a marker, and empty folders; not the hidden ones of runs."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_raise):
        here, relative = Path(place), Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not is_staging(here / name)]
        found += [(relative / name).as_posix() for name in files]
        found += [(relative / name).as_posix() for name in folders if (here / name).is_symlink()]
        if here != folder and not files and not folders:
            found.append(relative.as_posix())
    return found


def _raise(error: OSError) -> None:
    raise error
