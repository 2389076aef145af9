# SPDX-License-Identifier: Apache-2.0
"""Reading maps of numbers that other programmes wrote: normals and depth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError, UsageError
from lineament.images.read import check_size

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

    Raises:
        InputError: It cannot be read.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else loaded[key if key in loaded else loaded.files[0]]
        return np.asarray(array, dtype=np.float32)
    except (OSError, ValueError, EOFError, IndexError, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def read_picture_values(path: Path) -> Floats:
    """A picture's [H, W] or [H, W, 3] RGB as stored, in [0, 1]; 8 or 16 bits.

    Raises:
        InputError: It cannot be read, or has more pixels than are decoded, or next to none.
    """
    import cv2
    from PIL import Image

    try:
        with Image.open(path) as header:
            check_size(path, *header.size)
    except (OSError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a picture that can be read") from error
    # imdecode of the bytes, since imread cannot open every file name on every system.
    pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InputError(f"{path} is not a picture that can be read")
    span = np.float32(65535.0 if pixels.dtype == np.uint16 else 255.0)
    rgb_or_grey = pixels[..., 2::-1] if pixels.ndim == 3 else pixels
    return np.asarray(rgb_or_grey, dtype=np.float32) / span


def read_normals(path: Path) -> Floats:
    """Normals [..., H, W, 3] as stored: `.npy`, `.npz`, `.exr`, or a picture of (n + 1) / 2, black for none.

    Raises:
        InputError: It cannot be read, or is no map of three channels.
    """
    if path.suffix in (".npy", ".npz"):
        return read_array(path, "normals")
    if path.suffix == ".exr":
        import OpenEXR

        try:
            channels = OpenEXR.File(str(path)).channels()
        except Exception as error:  # the binding raises its own kinds
            raise InputError(f"{path} cannot be read: {error}") from None
        names = [set(channels) & {letter, letter.lower()} for letter in "RGB"]
        if "RGB" in channels:
            return np.asarray(channels["RGB"].pixels, np.float32)
        if not all(names):
            raise InputError(f"{path} has no channels R, G and B")
        return np.stack([np.asarray(channels[name.pop()].pixels, np.float32) for name in names], axis=-1)
    colours = read_picture_values(path)
    if colours.ndim != 3 or colours.shape[2] != 3:
        raise InputError(f"{path} is not an RGB picture that can be read")
    normals = colours * np.float32(2) - np.float32(1)
    normals[~colours.any(axis=2)] = 0.0  # black encodes no normal
    return normals
