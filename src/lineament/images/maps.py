# SPDX-License-Identifier: Apache-2.0
"""Reading maps of numbers that other programmes wrote: normals and depth."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError, UsageError
from lineament.files.arrays import npz_members, read_npy
from lineament.files.reading import check_bytes, reading, regular_file
from lineament.images.decode import check_size, opencv_array
from lineament.images.formats import open_picture

Floats = NDArray[np.float32]

AXES = "+x+y+z"
"""Our frame: the first channel grows to the image's right, the second upwards, the third towards the viewer."""
PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Axes:
    """What the channels of somebody's normal maps hold.

    Three signed letters in the order of the channels, read as RGB: ``+x+y+z`` is ours (OpenGL), ``+x-y-z`` OpenCV's,
    ``+x-y+z`` DirectX's, ``+z+y+x`` a map that was written as BGR.
    """

    text: str = AXES

    def __post_init__(self) -> None:
        if not re.fullmatch(r"([+-][xyz]){3}", self.text) or len(set(self.text[1::2])) != 3:
            raise UsageError(f"axes must be like +x+y+z or +x-y-z, each letter once, not {self.text!r}")

    def to_ours(self, maps: Floats) -> Floats:
        """Maps [..., 3] of these axes as maps of our frame."""
        ours = np.empty_like(maps)
        for channel, (sign, letter) in enumerate(zip(self.text[::2], self.text[1::2], strict=True)):
            ours[..., "xyz".index(letter)] = maps[..., channel] * (1.0 if sign == "+" else -1.0)
        return ours


def read_array(path: Path, key: str) -> Floats:
    """An array of an `.npy`, or of an `.npz` under ``key`` or as its first one.

    Nothing is unpickled, and the header is believed only as far as the file is long.

    Raises:
        InputError: It cannot be read, holds no numbers, or numbers that are not finite.
        ImageTooLargeError: It holds more than is read; found out from its header.
    """
    path = regular_file(path)
    with reading(path, "an array"):
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                file.seek(0)
                return _array_of(path, file, path.stat().st_size)
        with zipfile.ZipFile(path) as archive:
            members = npz_members(path, archive)
            if not members:
                raise InputError(f"{path}: holds no arrays")
            entry = members.get(key) or next(iter(members.values()))
            with archive.open(entry) as file:
                return _array_of(path, file, entry.file_size)


def _array_of(path: Path, file: IO[bytes], size: int) -> Floats:
    """The array that an open file of some size holds."""
    values = read_npy(path, file, size, spare=4)
    with np.errstate(over="ignore"):
        return _finite(path, values.astype(np.float32))


def _finite(path: Path, values: Floats) -> Floats:
    # The sum of numbers that are finite may not be, hence the ends: they are not finite where any number is not.
    if values.size and not np.isfinite([values.min(), values.max()]).all():
        raise InputError(f"{path}: holds numbers that are not finite; write zero where there is nothing")
    return values


def read_picture_values(path: Path) -> Floats:
    """A picture's [H, W] or [H, W, 3] RGB as stored, in [0, 1]; 8 or 16 bits, transparency left out.

    Raises:
        InputError: It cannot be read, or has more pixels than are decoded, or next to none.
    """
    path = regular_file(path)
    with reading(path, "a picture"):
        with open_picture(path) as header:
            width, height = header.size
        check_size(path, width, height)
        # OpenCV's array of up to four channels of 16 bits, and the result.
        check_bytes(path, width * height * (8 + 12) + path.stat().st_size)
        pixels = opencv_array(path, (height, width))
        if pixels.dtype not in (np.uint8, np.uint16):
            raise InputError(f"{path}: a map in a picture has 8 or 16 bits, not {pixels.dtype}; keep it as EXR or NPY")
        values = (pixels[..., 2::-1] if pixels.ndim == 3 else pixels).astype(np.float32)
        values /= np.float32(np.iinfo(pixels.dtype).max)
        return values


def read_normals(path: Path) -> Floats:
    """Normals [..., H, W, 3] as stored: `.npy`, `.npz`, `.exr`, or a picture of (n + 1) / 2, black for none.

    Raises:
        InputError: It cannot be read, is no map of three channels, or holds numbers that are not finite.
    """
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        normals = read_array(path, "normals")
        if normals.ndim < 3 or normals.shape[-1] != 3:
            raise InputError(f"{path} holds {'×'.join(map(str, normals.shape)) or 'one number'}, not normals of H×W×3")
        return normals
    if suffix == ".exr":
        return _read_exr(path)
    normals = read_picture_values(path)
    if normals.ndim != 3 or normals.shape[2] != 3:
        raise InputError(f"{path} is not an RGB picture that can be read")
    nothing = ~normals.any(axis=2)  # black encodes no normal
    normals *= np.float32(2)
    normals -= np.float32(1)
    normals[nothing] = 0.0
    return normals


def _read_exr(path: Path) -> Floats:
    """The channels R, G and B of an EXR file's first part, [H, W, 3]; others, such as alpha, are left out."""
    import OpenEXR

    path = regular_file(path)
    with reading(path, "an EXR picture"):
        size = 0
        for part in OpenEXR.File(str(path), header_only=True).parts:
            low, high = (np.asarray(corner, np.int64) for corner in part.header["dataWindow"])
            width, height = (int(side) for side in high - low + 1)
            check_size(path, width, height)
            size += width * height * (4 * len(part.header["channels"]) + 12)
        check_bytes(path, size)
        read = OpenEXR.File(str(path), separate_channels=True)
        if not read.parts:  # a part that cannot be decoded is left out, without an exception
            raise InputError(f"{path}: the picture is damaged")
        channels = read.channels()
        names = [next((name for name in (letter, letter.lower()) if name in channels), None) for letter in "RGB"]
        if not all(names):
            raise InputError(f"{path} has no channels R, G and B")
        return _finite(path, np.stack([np.asarray(channels[name].pixels, np.float32) for name in names], axis=-1))
