# SPDX-License-Identifier: Apache-2.0
"""Names that nobody vouches for: of results, derived from photos, and as they are shown."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

MAXIMUM_BYTES = 120
"""Longest name of a result, UTF-8: with a suffix it fits every file system, encrypted ones with 143 bytes, too."""

_NAMELESS = "photo"


def printable(text: str) -> str:
    r"""A text whose control characters, bidirectional marks and undecodable bytes are spelt out, as in ``\x1b``.

    File names may hold any of them; printed as they are, they steer terminals, and no encoding takes lone surrogates.
    """
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def safe_name(name: str) -> str:
    """A name that is valid as one file or folder on every system and is not hidden: at most `MAXIMUM_BYTES` long."""
    from pathvalidate import sanitize_filename

    shown = "".join(c if _is_shown(c) else "_" for c in unicodedata.normalize("NFC", name)).lstrip(". ")
    safe = sanitize_filename(shown, platform="universal", replacement_text="_", max_len=MAXIMUM_BYTES)
    return str(safe).rstrip(". ") or _NAMELESS


def output_names(photos: Sequence[Path]) -> list[str]:
    """A safe name for each photo's results; no two are alike, also where upper and lower case are the same.

    It is the file's own without its suffix; where photos share it, with it; where they share that, with the folder's
    name before it; and where they share even that, with a number behind, in the order of their whole paths, so that it
    is the same in whatever order they are given.
    """
    forms = [(p.stem, p.name, f"{_folder_name(p)}-{p.name}") for p in photos]
    level = [0] * len(photos)
    while True:
        names = [safe_name(form[at]) for form, at in zip(forms, level, strict=True)]
        count = Counter(map(str.casefold, names))
        shared = [i for i, name in enumerate(names) if count[name.casefold()] > 1 and level[i] < 2]
        if not shared:
            break
        for i in shared:
            level[i] += 1
    taken = {name.casefold() for name in names if count[name.casefold()] == 1}
    for i in sorted(range(len(photos)), key=lambda i: os.fsencode(photos[i].absolute())):
        name = names[i]
        if count[name.casefold()] > 1:
            number = 1
            while (numbered := _numbered(name, number)).casefold() in taken:
                number += 1
            names[i] = numbered
            taken.add(numbered.casefold())
    return names


def _folder_name(photo: Path) -> str:
    return photo.absolute().parent.name


def _numbered(name: str, number: int) -> str:
    """A name with a number behind it, no longer than names may be."""
    end = f"-{number}"
    room = MAXIMUM_BYTES - len(end)
    return name.encode()[:room].decode("utf-8", "ignore") + end
