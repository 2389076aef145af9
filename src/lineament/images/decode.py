# SPDX-License-Identifier: Apache-2.0
"""From an opened picture to upright RGB, a strip at a time, so that little more than the result is held.

How pictures of more than eight bits become numbers in [0, 1]: 16 bits are divided by 65,535. Floating point is divided
by the first of 1, 255 and 65,535 that its largest number does not exceed, but not where that number is above 1 and
below 16: the scale of such a picture cannot be told. Integers of 32 bits are divided by 255 or 65,535. What lies
outside by at most 5 %, as resampling leaves it, is cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from lineament.errors import ImageTooLargeError, ImageTooSmallError, InputError
from lineament.files import reading as files
from lineament.files.reading import check_bytes
from lineament.images.resize import to_uint8

Photo = NDArray[np.uint8] | NDArray[np.float32]
Rows = Callable[[int, int], NDArray[Any]]
"""Gives rows from one to before another, [rows, W, 3], uint8 or floating point in [0, 1], as they are stored."""

MAXIMUM_PIXELS = 120_000_000
"""Largest picture that is decoded: above what any camera makes in one shot, below what fills a laptop's memory."""

MINIMUM_SIDE = 16
"""Shortest side, pixels, on which anything could be seen."""

BACKDROP = 128
"""Grey that shows through transparent pixels."""

_STRIP = 2_000_000  # pixels that are converted at a time
_OVERSHOOT = 0.05  # share of the scale by which resampling leaves numbers outside it
_DARKEST = 16.0  # a picture of the scale 255 has something brighter than that

# Bytes a pixel that a decoder holds beside Pillow's own picture: freed when that is loaded, or kept as long as it.
_WHILE_LOADING = {"JPEG2000": 16}
_WHILE_OPEN = {"AVIF": 10, "WEBP": 8, "HEIF": 10, "GIF": 5}
_PILLOW_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # four in all other modes


def check_size(name: object, width: int, height: int) -> None:
    """Raise ImageTooLargeError for a picture with more pixels than are decoded, ImageTooSmallError for a tiny one."""
    if width * height > MAXIMUM_PIXELS:
        raise ImageTooLargeError(
            f"{name}: {width}×{height} pixels; at most {MAXIMUM_PIXELS // 1_000_000} megapixels are decoded, "
            "scale it down first"
        )
    if min(width, height) < MINIMUM_SIDE:
        raise ImageTooSmallError(
            f"{name}: {width}×{height} pixels are too few; the shorter side needs at least {MINIMUM_SIDE}"
        )


def decode(name: object, picture: Image.Image, path: Path | None = None) -> Photo:
    """The frame that a picture stands at, as upright RGB H×W×3: uint8, or float32 in [0, 1] of deeper pictures.

    Args:
        name: What to call the picture in errors.
        picture: Opened, its pixels not yet read unless there is no file.
        path: Its file, which RGB of 16 bits is read from, as Pillow would cut it to eight.

    Raises:
        ImageTooSmallError, ImageTooLargeError: Its size, known before anything is decoded.
        InputError: Numbers that are not finite or of no scale that can be told.
    """
    width, height = picture.size
    check_size(name, width, height)
    # Asked first: reading EXIF decodes a PNG, after which Pillow forgets how deep it was.
    raw = _raw_mode(picture)
    numbers = picture.mode.startswith(("I", "F"))
    colours = path is not None and picture.format in ("PNG", "TIFF") and not numbers and ";16" in raw
    pixels = width * height
    held = pixels * bytes_a_pixel(picture) + _tile_bytes(picture)
    deep = held + (_beside_opencv(path, pixels, 8) if path and colours else 12 * pixels)
    dtype: type[np.uint8 | np.float32] = np.uint8
    if numbers or colours:
        # Too large to be held as floats, such a picture is read as eight bits.
        dtype = np.float32 if deep <= files.MAXIMUM_BYTES else np.uint8
    check_bytes(name, held + 3 * pixels if dtype is np.uint8 else deep)
    if colours and dtype is np.float32 and path is not None:
        # OpenCV turns a TIFF upright, whatever it is asked; its sides are those that Pillow names.
        orientation = 1 if picture.format == "TIFF" else picture.getexif().get(0x0112, 1)
        return _filled(_array_rows(name, opencv_array(path, (height, width))), width, height, orientation, dtype)
    picture.load()
    # Asked last: a TIFF is turned upright by being loaded, and its orientation is gone.
    orientation = picture.getexif().get(0x0112, 1)
    rows = _number_rows(name, picture, raw) if numbers else _colour_rows(picture)
    return _filled(rows, width, height, orientation, dtype)


def decode_odd_tiff(path: Path) -> Photo | None:
    """A TIFF that Pillow does not open, such as RGB in floating point; None if the file is no TIFF.

    Raises:
        InputError, ImageTooSmallError, ImageTooLargeError: As `decode` does.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] not in (b"II*\0", b"MM\0*"):
            return None
        tags = TiffImagePlugin.ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
    width, height, channels = int(tags[256]), int(tags[257]), int(tags.get(277, 1))
    check_size(path, width, height)
    if channels > 4:
        raise InputError(f"{path}: a TIFF of {channels} channels is not read")
    tile = int(tags.get(322, 0)) * int(tags.get(323, 0))
    depth = min(8, max(map(int, tags.get(258, (64,)))) // 8)
    check_bytes(path, tile * depth * channels + _beside_opencv(path, width * height, depth * channels))
    if tags.get(274) in (5, 6, 7, 8):
        width, height = height, width  # OpenCV turns it upright
    rows = _array_rows(path, opencv_array(path, (height, width)))
    return _filled(rows, width, height, 1, np.float32)


def opencv_array(path: Path, shape: tuple[int, int]) -> NDArray[Any]:
    """A picture as OpenCV reads it, [H, W] or [H, W, C] in BGR order, in the depth that it is stored with.

    Raises:
        InputError: OpenCV cannot read it, or finds another size than its header has.
    """
    import cv2

    # imdecode of the bytes, since imread cannot open every file name on every system.
    data = np.fromfile(path, dtype=np.uint8)
    array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if array is None or array.shape[:2] != shape:
        raise InputError(f"{path}: the picture is damaged, or of a kind that is not read")
    return np.asarray(array)


def over_backdrop(colours: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float32]:
    """Colours [..., 3] in [0, 1] laid over mid grey where alpha [..., 1] is below 1."""
    return np.asarray(colours * alpha + np.float32(BACKDROP / 255) * (1 - alpha), dtype=np.float32)


def span_of(name: object, low: float, high: float, fractions: bool) -> float:
    """The number that is white in a picture whose numbers go from ``low`` to ``high``; see the module's text.

    Raises:
        InputError: They are not finite, or of no scale that can be told.
    """
    if not np.isfinite([low, high]).all():
        raise InputError(f"{name}: the picture holds numbers that are not finite")
    spans = (1.0, 255.0, 65535.0) if fractions else (255.0, 65535.0)
    span = next((s for s in spans if high <= s * (1 + _OVERSHOOT)), None)
    if span is None or low < -_OVERSHOOT * span or (fractions and span == 255.0 and high < _DARKEST):
        raise InputError(
            f"{name}: numbers from {low:g} to {high:g} have no scale that can be told; save the picture in [0, 1]"
        )
    return span


def _filled(rows: Rows, width: int, height: int, orientation: Any, dtype: type[np.uint8 | np.float32]) -> NDArray[Any]:
    """All rows in one upright array; an EXIF orientation (1 to 8) is undone while they are put down."""
    turned = orientation in (5, 6, 7, 8)
    photo = np.empty((width, height, 3) if turned else (height, width, 3), dtype)
    stored: NDArray[Any] = photo
    if orientation in (2, 4, 5, 7):
        stored = {2: photo[:, ::-1], 4: photo[::-1], 5: photo.swapaxes(0, 1), 7: photo[::-1, ::-1].swapaxes(0, 1)}[
            orientation
        ]
    elif orientation in (3, 6, 8):
        stored = np.rot90(photo, {3: 2, 6: 1, 8: 3}[orientation])
    for top, bottom in _strips(width, height):
        strip = rows(top, bottom)
        stored[top:bottom] = to_uint8(strip) if dtype is np.uint8 else strip
    return photo


def _strips(width: int, height: int) -> list[tuple[int, int]]:
    step = max(1, _STRIP // width)
    return [(top, min(height, top + step)) for top in range(0, height, step)]


def _colour_rows(picture: Image.Image) -> Rows:
    """Rows of a picture of eight bits; transparency is laid over mid grey."""
    clear = "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa")

    def rows(top: int, bottom: int) -> NDArray[Any]:
        strip = picture.crop((0, top, picture.width, bottom))
        if clear:
            rgba = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", rgba.size, (BACKDROP, BACKDROP, BACKDROP, 255)), rgba)
        return np.asarray(strip.convert("RGB"), dtype=np.uint8)

    return rows


def _number_rows(name: object, picture: Image.Image, raw: str) -> Rows:
    """Rows of a grey picture of more than eight bits."""

    def values(top: int, bottom: int) -> NDArray[Any]:
        return np.asarray(picture.crop((0, top, picture.width, bottom)))

    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        span = 4095.0 if raw == "I;12" else 65535.0
    else:
        ends = [(float(v.min()), float(v.max())) for v in (values(*strip) for strip in _strips(*picture.size))]
        low, high = np.min(ends, axis=0)[0], np.max(ends, axis=0)[1]
        span = span_of(name, float(low), float(high), picture.mode == "F")
    white_is_zero = picture.mode.startswith("I;16") and getattr(picture, "tag_v2", {}).get(262) == 0

    def rows(top: int, bottom: int) -> NDArray[Any]:
        grey = (values(top, bottom).astype(np.float32) / np.float32(span)).clip(0, 1)
        return np.repeat((1 - grey if white_is_zero else grey)[..., None], 3, axis=-1)

    return rows


def _array_rows(name: object, array: NDArray[Any]) -> Rows:
    """Rows of what OpenCV read."""
    if array.dtype in (np.uint8, np.uint16):
        span = float(np.iinfo(array.dtype).max)
    else:
        colours = array[..., :3] if array.ndim == 3 else array
        span = span_of(name, float(colours.min()), float(colours.max()), bool(np.issubdtype(array.dtype, np.floating)))

    def rows(top: int, bottom: int) -> NDArray[Any]:
        values = (array[top:bottom].astype(np.float32) / np.float32(span)).clip(0, 1)
        if values.ndim == 2:
            return np.repeat(values[..., None], 3, axis=-1)
        colours = values[..., 2::-1]
        return over_backdrop(colours, values[..., 3:]) if values.shape[2] == 4 else colours

    return rows


def _raw_mode(picture: Image.Image) -> str:
    """How the file stores pixels, in Pillow's words."""
    tiles = getattr(picture, "tile", None)
    raw = tiles[0][3] if tiles and len(tiles[0]) > 3 else ""
    name = raw[0] if isinstance(raw, tuple) and raw else raw
    return name if isinstance(name, str) else ""


def bytes_a_pixel(picture: Image.Image) -> int:
    """What Pillow and the format's decoder hold of a picture at most, without the result."""
    kind = picture.format or ""
    loading = _WHILE_LOADING.get(kind, 0)
    if kind in ("JPEG", "MPO") and picture.info.get("progressive"):
        loading = 2 * len(picture.getbands())  # the coefficients of the whole picture
    # What is freed before the result is made costs only what it needs beyond that.
    return _PILLOW_BYTES.get(picture.mode, 4) + _WHILE_OPEN.get(kind, 0) + max(0, loading - 3)


def _beside_opencv(path: Path, pixels: int, bytes_a_pixel: int) -> int:
    """What OpenCV's array and, one after the other, the file's bytes and the result take."""
    return pixels * bytes_a_pixel + max(path.stat().st_size, 12 * pixels)


def _tile_bytes(picture: Image.Image) -> int:
    """What one tile of a TIFF takes, which may be larger than the picture."""
    tags = getattr(picture, "tag_v2", None)
    if picture.format != "TIFF" or tags is None:
        return 0
    return int(tags.get(322, 0)) * int(tags.get(323, 0)) * 8
