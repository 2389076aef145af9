# SPDX-License-Identifier: Apache-2.0
"""Reading photos that nobody vouches for: bounded before they are decoded, turned upright, in plain RGB."""

from __future__ import annotations

import glob
import logging
import os
from collections import Counter
from collections.abc import Generator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lineament.errors import InputError, NoImagesError, NotAnImageError, UsageError
from lineament.files import reading as files
from lineament.files.reading import reading, regular_file
from lineament.images.decode import Photo, bytes_a_pixel, check_size, decode, decode_odd_tiff, over_backdrop
from lineament.images.formats import READABLE, SUFFIXES, open_picture
from lineament.images.resize import to_uint8

__all__ = ["SUFFIXES", "as_image", "check_size", "find_images", "read_frames", "read_image"]

MAXIMUM_FRAMES = 100
"""Most frames of an animation, or pages of a TIFF, that are looked at."""

_MAXIMUM_FRAME_PIXELS = 500_000_000  # of all frames together: some ten seconds of decoding
_ROUNDING = 0.5 / 255  # by which floating-point pictures may leave [0, 1]

_log = logging.getLogger(__name__)


def read_image(path: str | PathLike[str]) -> Photo:
    """Read a photo as upright RGB.

    EXIF orientation is applied, palettes and CMYK are converted, transparency is laid over mid grey, the first frame
    of an animation is taken. Pictures of 16 bits a channel keep them up to about 50 megapixels, larger ones are read
    with eight; how floating point is scaled says `lineament.images.decode`. Only formats of
    `lineament.images.formats` are opened, and at most 1.25 GB are held.

    Args:
        path: The file.

    Returns:
        H×W×3 RGB: uint8, or float32 in [0, 1] for pictures of more than eight bits.

    Raises:
        NotAnImageError: An empty file, or a file that is no picture.
        ImageTooSmallError: Too few pixels.
        ImageTooLargeError: More pixels or bytes than are decoded; found out before decoding.
        InputError: No file, one that cannot be read, a damaged picture, or one whose numbers are not finite.
    """
    picture, frame = _first_frame(path)
    if picture is not None:
        picture.close()
    return frame


def read_frames(path: str | PathLike[str]) -> Generator[Photo, None, None]:
    """Read the frames of a picture one by one, each as `read_image` does; pictures that do not move have one.

    At most 100 frames and 500 megapixels of them in all are decoded, each when it is asked for, and one is held at a
    time. A later frame that is damaged, too large or too small ends them; later pages of 16-bit colour have eight.

    Raises:
        NotAnImageError, ImageTooSmallError, ImageTooLargeError, InputError: As `read_image`, about the first frame.
    """
    picture, frame = _first_frame(path)
    try:
        pixels = 0
        for number in range(1, MAXIMUM_FRAMES):
            pixels += frame.shape[0] * frame.shape[1]
            if picture is not None and not (pixels < _MAXIMUM_FRAME_PIXELS and _turn_to(picture, number)):
                picture.close()
                picture = None  # a picture that does not move is not held while its only frame is worked on
            yield frame
            if picture is None:
                return
            try:
                frame = decode(path, picture)
            except Exception:
                return
        yield frame
    finally:
        if picture is not None:
            picture.close()


def _first_frame(path: str | PathLike[str]) -> tuple[Image.Image | None, Photo]:
    """The first frame, and the picture at which it stands, to be closed; None where it has no other."""
    path = regular_file(path, empty=True)
    if path.stat().st_size == 0:
        raise NotAnImageError(f"{path}: the file is empty")
    with reading(path, "a picture"):
        try:
            picture = open_picture(path)
        except NotAnImageError:
            odd = decode_odd_tiff(path)
            if odd is None:
                raise
            return None, odd
        try:
            return picture, decode(path, picture, path)
        except BaseException:
            picture.close()
            raise


def _turn_to(picture: Image.Image, number: int) -> bool:
    """Whether a picture has a frame of that number that fits beside the one before, which it then stands at."""
    # The result before, and another canvas in the decoder, are held while a frame is made.
    if picture.width * picture.height * (bytes_a_pixel(picture) + 11) > files.MAXIMUM_BYTES:
        return False
    try:
        picture.seek(number)
    except Exception:  # its end, or damage there
        return False
    return True


def as_image(image: Any, name: str = "image") -> Photo:
    """Take what Python programmes call a photo, as RGB.

    Args:
        image: H×W, H×W×1 (grey), H×W×2 (grey with alpha), H×W×3 (RGB) or H×W×4 (RGBA), of uint8, uint16 or floating
            point in [0, 1]; a PIL image, whose EXIF orientation is applied; a tensor of PyTorch or of another library
            that NumPy understands, also channels first. Alpha is laid over mid grey. Numbers that leave [0, 1] by
            rounding are cut off.
        name: What to call it in errors.

    Returns:
        H×W×3, uint8 or float32.

    Raises:
        InputError: Nothing (a reading that failed), a list, another shape or type, numbers that are not finite or out
            of range.
        ImageTooSmallError, ImageTooLargeError: Its size.
    """
    if image is None:
        raise InputError(f"{name}: there is no picture but None, as cv2.imread gives it when reading fails")
    if isinstance(image, list | tuple):
        raise InputError(f"{name}: expected one picture, got a {type(image).__name__}; give photos one at a time")
    if isinstance(image, Image.Image):
        with reading(Path(name), "a picture"):
            return decode(name, image)
    with reading(Path(name), "a picture"):
        array = _array_of(image)
    if array.dtype.kind not in "uf" or (array.dtype.kind == "u" and array.dtype.itemsize > 2):
        kind = type(image).__name__ if array.dtype == object else array.dtype
        raise InputError(f"{name}: expected a picture of uint8, uint16 or floating point in [0, 1], got {kind}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InputError(
            f"{name}: expected an array H×W×3 (RGB), H×W×4 (RGBA) or H×W (grey), got the shape {array.shape}"
        )
    check_size(name, array.shape[1], array.shape[0])
    channels = array.shape[2]
    if array.dtype == np.uint8 and channels in (1, 3):
        return np.ascontiguousarray(array if channels == 3 else np.repeat(array, 3, axis=-1))
    values = _fractions(array, name)
    colours = values[..., :3] if channels > 2 else np.repeat(values[..., :1], 3, axis=-1)
    if channels in (2, 4):
        colours = over_backdrop(colours, values[..., -1:])
    return to_uint8(colours) if array.dtype == np.uint8 else np.ascontiguousarray(colours)


def _array_of(image: Any) -> NDArray[Any]:
    """An array, or a tensor brought to one: from its device, out of its graph, its channels last."""
    if not (hasattr(image, "detach") and hasattr(image, "cpu")):  # PyTorch's, which is not imported for it
        return np.asarray(image)
    tensor = image.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    array = np.asarray(tensor.numpy())
    first = array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.shape[2] not in (1, 3, 4)
    return np.moveaxis(array, 0, -1) if first else array


def _fractions(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Numbers in [0, 1] as float32; raises InputError for those that lie outside by more than rounding."""
    if array.dtype.kind == "u":
        return np.asarray(array, np.float32) / np.float32(np.iinfo(array.dtype).max)
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise InputError(f"{name}: the picture holds numbers that are not finite")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"{name}: floating-point pictures must lie in [0, 1], got {low:g} to {high:g}; divide by white"
        )
    return np.asarray(array, np.float32).clip(0, 1)


def find_images(inputs: Sequence[str | PathLike[str]]) -> list[Path]:
    """Pictures named by files, folders (not their subfolders) and globs, in the order given.

    A file that is named by several paths is given once, by its own path where that is among them. Folders and globs
    give files whose suffix is one of `lineament.images.formats.SUFFIXES`; others are counted and named in a warning of
    this module's logger. A file named by itself is taken whatever its suffix; one that is missing, and a folder that
    cannot be read, are given, too: reading them tells, and the others go on.

    Raises:
        NoImagesError: A folder or glob without pictures, or nothing at all.
        UsageError: An empty path.
    """
    found: dict[str, Path] = {}
    for item in inputs:
        if not os.fspath(item):
            raise UsageError("a photo's path is empty, which would be the working folder: name that as .")
        path = Path(item)
        if os.path.isdir(path):  # unlike pathlib's, this fails for no name
            try:
                inside = _pictures(path, sorted(path.iterdir()))
            except OSError:
                inside = [path]
            if not inside:
                raise NoImagesError(f"{path}: the folder holds no pictures ({READABLE})")
        elif not os.path.lexists(path) and glob.has_magic(str(item)):
            inside = _pictures(item, sorted(Path(p) for p in glob.glob(str(item), recursive=True)))
            if not inside:
                raise NoImagesError(f"{item}: no picture matches ({READABLE})")
        else:
            inside = [path]
        for picture in inside:
            place = os.path.realpath(picture)
            if place not in found or os.path.abspath(picture) == place:
                found[place] = picture
    if not found:
        raise NoImagesError("no pictures given")
    return list(found.values())


def _pictures(item: object, paths: Sequence[Path]) -> list[Path]:
    """Those of the paths that are files with a picture's suffix; says how many others there are."""
    every = [path for path in paths if os.path.isfile(path)]
    pictures = [path for path in every if path.suffix.lower() in SUFFIXES]
    others = [path for path in every if path.suffix.lower() not in SUFFIXES and not path.name.startswith(".")]
    if pictures and others:
        kinds = Counter(path.suffix.lower() or "no suffix" for path in others)
        said = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common(4))
        _log.warning("%s: %d of %d files are not taken for photos: %s", item, len(others), len(every), said)
    return pictures
