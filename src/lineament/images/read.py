# SPDX-License-Identifier: Apache-2.0
"""Reading photos that nobody vouches for: bounded before they are decoded, turned upright, in plain RGB."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from lineament.errors import ImageTooLargeError, ImageTooSmallError, InputError, NoImagesError, NotAnImageError

MAXIMUM_PIXELS = 120_000_000
"""Largest picture that is decoded: above what any camera makes in one shot, below what fills a laptop's memory."""

MINIMUM_SIDE = 16
"""Shortest side, pixels, on which anything could be seen."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".pgm", ".ppm", ".gif"})

# Sixteen-bit RGB is decoded by OpenCV: Pillow would cut it to eight bits.
_SIXTEEN_BIT_SUFFIXES = frozenset({".png", ".tif", ".tiff"})

_BACKDROP = 128  # grey that shows through transparent pixels


def read_image(path: str | PathLike[str]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Read a photo as upright RGB.

    EXIF orientation is applied, palettes and CMYK are converted, transparency is laid over mid grey, the first frame
    of an animation is taken. Pictures of 16 bits a channel keep them.

    Args:
        path: The file.

    Returns:
        H×W×3 RGB: uint8, or float32 in [0, 1] for pictures of 16 bits.

    Raises:
        NotAnImageError: No file, an empty file, or a file that is no picture.
        ImageTooSmallError: Too few pixels.
        ImageTooLargeError: More pixels than are decoded; found out before decoding.
        InputError: A damaged picture.
    """
    path = Path(path)
    if not path.exists():
        raise NotAnImageError(f"{path}: no such file")
    if path.is_dir():
        raise NotAnImageError(f"{path}: is a folder, not a picture")
    if path.stat().st_size == 0:
        raise NotAnImageError(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings():
            # Pillow's own bound is lower and only warns; ours is below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                check_size(path, *picture.size)
                return _decode(path, picture)
    except UnidentifiedImageError as error:
        raise NotAnImageError(f"{path}: not a picture in any known format") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(_too_large(path, "far more pixels than that")) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"{path}: the picture is damaged ({error})") from error


def check_size(name: object, width: int, height: int) -> None:
    """Raise ImageTooLargeError for a picture with more pixels than are decoded, ImageTooSmallError for a tiny one."""
    if width * height > MAXIMUM_PIXELS:
        raise ImageTooLargeError(_too_large(name, f"{width}×{height}"))
    if min(width, height) < MINIMUM_SIDE:
        raise ImageTooSmallError(
            f"{name}: {width}×{height} pixels are too few; the shorter side needs at least {MINIMUM_SIDE}"
        )


def _too_large(name: object, size: str) -> str:
    return f"{name}: {size} pixels; at most {MAXIMUM_PIXELS // 1_000_000} megapixels are decoded, scale it down first"


def _decode(path: Path, picture: Image.Image) -> NDArray[np.uint8] | NDArray[np.float32]:
    # Asked first: reading EXIF decodes a PNG, after which Pillow forgets how deep it was.
    deep = picture.mode.startswith(("I", "F")) or _is_deep_colour(picture)
    orientation = picture.getexif().get(0x0112, 1)
    picture.load()
    if deep and path.suffix.lower() in _SIXTEEN_BIT_SUFFIXES:
        array = _decode_deep(path)
        if array is not None:
            return _upright(array, orientation)
    if picture.mode.startswith(("I", "F")):
        grey = np.asarray(picture, dtype=np.float32)
        top = 65535.0 if grey.max() > 255 else 255.0
        return _upright(np.repeat((grey / top).clip(0, 1)[..., None], 3, axis=-1), orientation)
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        rgba = picture.convert("RGBA")
        backdrop = Image.new("RGBA", rgba.size, (_BACKDROP, _BACKDROP, _BACKDROP, 255))
        picture = Image.alpha_composite(backdrop, rgba)
    return _upright(np.asarray(picture.convert("RGB"), dtype=np.uint8), orientation)


def _is_deep_colour(picture: Image.Image) -> bool:
    """Whether the file holds RGB of 16 bits a channel, which Pillow opens as 8 bits."""
    tiles = getattr(picture, "tile", None)
    raw = tiles[0][3] if tiles and len(tiles[0]) > 3 else ""
    name = raw[0] if isinstance(raw, tuple) and raw else raw
    return isinstance(name, str) and ";16" in name


def _decode_deep(path: Path) -> NDArray[np.float32] | None:
    import cv2

    data = np.frombuffer(path.read_bytes(), np.uint8)
    array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if array is None or array.dtype != np.uint16:
        return None
    values: NDArray[np.float32] = array.astype(np.float32) / np.float32(65535)
    if values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=-1)
    colour = values[..., 2::-1]
    if values.shape[2] == 4:
        alpha = values[..., 3:]
        colour = colour * alpha + np.float32(_BACKDROP / 255) * (1 - alpha)
    return np.ascontiguousarray(colour, dtype=np.float32)


def _upright(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation (1 to 8) on an H×W×3 array."""
    if orientation in (2, 4, 5, 7):
        array = {2: array[:, ::-1], 4: array[::-1], 5: array.swapaxes(0, 1), 7: array[::-1, ::-1].swapaxes(0, 1)}[
            orientation
        ]
    elif orientation in (3, 6, 8):
        array = np.rot90(array, {3: 2, 6: 3, 8: 1}[orientation])
    return np.ascontiguousarray(array)


def as_image(image: Any, name: str = "image") -> NDArray[np.uint8] | NDArray[np.float32]:
    """Check an array given as a photo; grey becomes RGB.

    Args:
        image: H×W or H×W×3, uint8 or floating point in [0, 1].
        name: What to call it in errors.

    Returns:
        H×W×3, uint8 or float32.

    Raises:
        InputError: Another shape or type, numbers that are not finite or out of range.
        ImageTooSmallError, ImageTooLargeError: Its size.
    """
    array = np.asarray(image)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 3 or array.shape[2] != 3:
        raise InputError(f"{name}: expected an array H×W×3 (RGB) or H×W (grey), got the shape {array.shape}")
    check_size(name, array.shape[1], array.shape[0])
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{name}: expected uint8 or floating point in [0, 1], got {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all() or low < 0 or high > 1:
        raise InputError(f"{name}: floating-point pictures must lie in [0, 1], got {low:g} to {high:g}")
    return np.ascontiguousarray(array, dtype=np.float32)


def find_images(inputs: Sequence[str | PathLike[str]]) -> list[Path]:
    """Pictures named by files, folders (not their subfolders) and globs, without repeats, in the order given.

    Raises:
        NoImagesError: A folder or glob without pictures, or nothing at all.
    """
    found: dict[Path, None] = {}
    for item in inputs:
        path = Path(item)
        if os.path.isdir(path):  # unlike pathlib's, this fails for no name
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise NoImagesError(f"{path}: the folder holds no pictures ({', '.join(sorted(SUFFIXES))})")
        elif not os.path.lexists(path) and glob.has_magic(str(item)):
            inside = sorted(Path(p) for p in glob.glob(str(item), recursive=True) if Path(p).is_file())
            if not inside:
                raise NoImagesError(f"{item}: no file matches")
        else:
            inside = [path]  # a missing file is reported when it is read, so that the others go on
        found.update(dict.fromkeys(inside))
    if not found:
        raise NoImagesError("no pictures given")
    return list(found)
