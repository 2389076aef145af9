# SPDX-License-Identifier: Apache-2.0
"""What the commands' options share: lists in one word, and outputs that never overwrite inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tyro

from lineament.errors import UsageError


def comma_separated(choices: tuple[str, ...]) -> tyro.constructors.PrimitiveConstructorSpec[tuple[str, ...] | None]:
    """How an option takes several choices in one word, as in ``depth,mesh``, so that photos may follow it.

    A default of None stands for the first choice.
    """

    def parsed(words: list[str]) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(word.strip() for word in words[0].split(",")))
        strange = [word for word in chosen if word not in choices]
        if strange:
            raise ValueError(f"{', '.join(choices)} may be chosen, with commas between them, not {strange[0]!r}")
        return chosen

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{choices[0]},…",
        instance_from_str=parsed,
        is_instance=lambda value: value is None or (isinstance(value, tuple) and set(value) <= set(choices)),
        str_from_instance=lambda value: [",".join(value or choices[:1])],
    )


def check_lists(words: Sequence[str], **options: tuple[str, ...]) -> None:
    """Raise UsageError for lists of several words: the parser would take all but the first for photos."""
    for name, choices in options.items():
        option = f"--{name.replace('_', '-')}"
        for here, first, second in zip(words, words[1:], words[2:], strict=False):
            if here == option and second in choices and not os.path.lexists(second):
                raise UsageError(f"{option} takes its list in one word: {option} {first},{second}")


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path], replaced: bool = False) -> None:
    """Raise UsageError for outputs that would overwrite inputs; called before any work.

    Args:
        outputs: Files or folders that will be written.
        inputs: Files or folders that are read; those that are missing do not count.
        replaced: The outputs are folders that are replaced as a whole: they must not hold an input either. Else an
            output must not lie in a folder that is an input.
    """
    around: dict[tuple[int, int], Path] = {}
    themselves: dict[tuple[int, int], Path] = {}
    for item in inputs:
        place = _identity(item)
        if place is not None:
            themselves[place] = item
            for folder in item.resolve().parents if replaced else ():
                if (there := _identity(folder)) in around:
                    break
                if there is not None:
                    around[there] = item
    for output in outputs:
        places = [_identity(output)] if replaced else [_identity(p) for p in (output, *output.resolve().parents)]
        for place in filter(None, places):
            if place in themselves:
                raise UsageError(f"{output} would overwrite {themselves[place]}, which is read; name another output")
            if place in around:
                raise UsageError(f"{output} would be replaced, but {around[place]} in it is read; name another output")


def _identity(path: Path) -> tuple[int, int] | None:
    """What is the same for all names of a file; None for a file that is not there or cannot be reached."""
    try:
        found: Any = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
