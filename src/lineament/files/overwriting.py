# SPDX-License-Identifier: Apache-2.0
"""Outputs that overwrite neither inputs nor what others put there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lineament.errors import OutputError, UsageError
from lineament.files.names import printable


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], replaced: bool = False) -> None:
    """Raise UsageError for outputs that would overwrite inputs; called before any work.

    Args:
        outputs: Files or folders that will be written.
        inputs: Files or folders that are read; those that are missing do not count.
        replaced: The outputs are folders of which everything may be replaced: they must not hold an input either. Else
            an output must not lie in a folder that is an input.
    """
    around: dict[tuple[int, int], Path] = {}
    themselves: dict[tuple[int, int], Path] = {}
    for item in inputs:
        place = _identity(item)
        if place is not None:
            themselves[place] = item
            for folder in item.resolve().parents if replaced else ():
                if (present := _identity(folder)) in around:
                    break
                if present is not None:
                    around[present] = item
    for output in outputs:
        places = [_identity(output)] if replaced else [_identity(p) for p in (output, *output.resolve().parents)]
        for place in filter(None, places):
            if place in themselves:
                raise UsageError(f"{output} would overwrite {themselves[place]}, which is read; name another output")
            if place in around:
                raise UsageError(f"{output} would be written, but {around[place]} in it is read; name another output")


def check_foreign(folder: Path, names: Sequence[str], what: str) -> None:
    """Raise OutputError for a folder that is none of ours but holds files that would be replaced.

    Args:
        folder: Where files will be written.
        names: Patterns of their names, below the folder.
        what: What a folder of ours would hold, as in "no files of a training of ours".
    """
    try:
        present = sorted(path.relative_to(folder).as_posix() for name in names for path in folder.glob(name))
    except OSError as error:
        raise OutputError(f"{folder}: the folder cannot be read ({error.strerror or error})") from error
    if present:
        raise OutputError(
            f"{folder} holds files that are no {what} of ours ({printable(present[0])}) and would be lost: name "
            "another folder, or move them away"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None for a file that is not there or cannot be reached."""
    try:
        found: Any = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
