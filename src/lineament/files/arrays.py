# SPDX-License-Identifier: Apache-2.0
"""NumPy's files as anybody may have made them: nothing is unpickled, and no header is believed beyond its file."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError, LineamentError
from lineament.files.reading import check_bytes, reading, regular_file

NUMBERS = "fiub"
"""Kinds of numbers, as NumPy calls them: floating point, whole, whole without sign, flags."""


def read_npz(
    path: Path, names: Sequence[str], error: type[LineamentError] = InputError, kinds: str = NUMBERS + "U"
) -> dict[str, NDArray[Any]]:
    """Some arrays of an `.npz`.

    Args:
        path: The file.
        names: Of the arrays; others are not read.
        error: What is raised.
        kinds: Kinds that they may be of; by default numbers and text.

    Raises:
        LineamentError: Of the kind ``error``: no such file, no archive, an array that is missing or damaged.
        ImageTooLargeError: An array takes more than is read; found out from its header.
    """
    regular_file(path, error)
    with reading(path, "an archive of NumPy arrays", error):
        if not zipfile.is_zipfile(path):
            raise error(f"{path}: is no .npz, which is an archive of NumPy arrays")
        with zipfile.ZipFile(path) as archive:
            members = npz_members(path, archive)
            if missing := [name for name in names if name not in members]:
                raise error(f"{path}: lacks the array {missing[0]!r}")
            found = {}
            for name in names:
                with archive.open(members[name]) as file:
                    found[name] = read_npy(path, file, members[name].file_size, kinds)
            return found


def npz_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an archive by name.

    Raises:
        InputError: One is compressed in a way that NumPy does not write.
    """
    members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in members.values()):
        raise InputError(f"{path}: is compressed in a way that NumPy does not write")
    return members


def read_npy(path: Path, file: IO[bytes], size: int, kinds: str = NUMBERS, spare: int = 8) -> NDArray[Any]:
    """The array that an open file holds.

    Args:
        path: What to call it in errors.
        file: Where its header begins.
        size: Bytes of the file.
        kinds: Kinds that it may be of.
        spare: Bytes that the caller takes for each of its numbers besides.

    Raises:
        InputError: It is of another kind, or too short for what its header says.
        ImageTooLargeError: It takes more than is read.
        ValueError: It has no header that can be read.
    """
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, kind = read_header(file)
    if kind.hasobject or kind.kind not in kinds:
        raise InputError(f"{path}: holds {kind} and no numbers")
    count = math.prod(shape)
    check_bytes(path, count * (kind.itemsize + spare), "make it smaller")
    if count * kind.itemsize > size or min(shape, default=0) < 0:
        raise InputError(f"{path}: says that it holds {'×'.join(map(str, shape))} numbers, but is too short for them")
    values = np.frombuffer(file.read(count * kind.itemsize), kind, count)
    return values.reshape(shape, order="F" if fortran else "C")
