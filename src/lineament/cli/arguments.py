# SPDX-License-Identifier: Apache-2.0
"""What the commands' options share: lists in one word, names that are not empty."""

from __future__ import annotations

import os
from collections.abc import Sequence

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
