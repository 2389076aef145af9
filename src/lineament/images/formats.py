# SPDX-License-Identifier: Apache-2.0
"""The formats that photos are read from, and no others: this list decides what a stranger's file can start."""

from __future__ import annotations

import warnings
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from lineament.errors import ImageTooLargeError, InputError, NotAnImageError

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".mpo",),
    "PNG": (".png", ".apng"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "DIB": (),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpx"),
    "HEIF": (".heic", ".heif"),
}
"""Pillow's name of each format that is read, and its suffixes. HEIF needs the extra `lineament[heic]`."""

SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
"""Suffixes of files that are taken for photos in a folder."""

READABLE = ", ".join(suffixes[0][1:] for suffixes in FORMATS.values() if suffixes)
"""The formats as a sentence names them, by one suffix each."""

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def open_picture(path: Path) -> Image.Image:
    """Open a picture, its header read and its pixels not yet; to be closed.

    Raises:
        NotAnImageError: A file of no format in `FORMATS`.
        ImageTooLargeError: More pixels than Pillow opens.
        InputError: HEIC without the extra that reads it.
    """
    with warnings.catch_warnings():
        # Pillow's own bound is lower and only warns; ours is below.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path, formats=_pillow_formats())
        except UnidentifiedImageError as error:
            if not _is_heif(path):
                raise NotAnImageError(f"{path}: not a picture in a format that is read ({READABLE})") from error
            _register_heif(path)
            picture = Image.open(path, formats=["HEIF"])
        except Image.DecompressionBombError as error:
            raise ImageTooLargeError(f"{path}: far more pixels than are decoded; scale it down first") from error
    if picture.format == "TIFF":
        picture.filename = ""  # else Pillow maps it into memory, and mixes up the sides of one that lies on its side
    return picture


@lru_cache(maxsize=1)
def _pillow_formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN and name != "HEIF")


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def _register_heif(path: Path) -> None:
    try:
        import_module("pi_heif").register_heif_opener()
    except ImportError:
        raise InputError(f"{path}: HEIC is read with an extra: pip install 'lineament[heic]'") from None
