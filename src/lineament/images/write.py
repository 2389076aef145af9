# SPDX-License-Identifier: Apache-2.0
"""Writing maps: never half a file, always with what they are in their own metadata."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import OutputError
from lineament.files.writing import atomic_path, check_finite

_EXR_ROWS = 256  # that are written at a time, a multiple of what is compressed together

MeshFormat = Literal["glb", "obj", "ply", "stl"]
"""Files that meshes are written to (`lineament.images.mesh`)."""


def write_png(path: Path, picture: NDArray[Any], text: Mapping[str, str] | None = None, spend: bool = False) -> None:
    """Write a PNG of 8 or 16 bits with text entries.

    Args:
        path: The file.
        picture: H×W or H×W×3 (RGB), uint8 or uint16.
        text: Entries for the file's metadata (Latin-1).
        spend: Whether the picture may be changed. It is then not copied, which a large one should not be.

    Raises:
        OutputError: The file cannot be written.
    """
    import cv2

    if picture.ndim == 3 and spend:
        for row in picture:
            row[:] = row[:, ::-1].copy()
    elif picture.ndim == 3:
        picture = np.ascontiguousarray(picture[..., ::-1])
    done, encoded = cv2.imencode(".png", picture)
    if not done:
        raise OutputError(f"cannot encode {path} from {picture.dtype} of shape {picture.shape}")
    header = 8 + 25  # the signature and the IHDR chunk, after which text may stand
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        # Views, not copies: an encoded photo may have a hundred megabytes.
        file.write(encoded[:header].data)
        for key, value in (text or {}).items():
            file.write(_text_chunk(key, value))
        file.write(encoded[header:].data)


def write_indexed_png(path: Path, indices: NDArray[np.uint8], colours: Iterable[tuple[int, int, int]]) -> None:
    """Write an H×W map of small numbers as a PNG with a palette: a reader sees the numbers, a viewer the colours.

    Raises:
        OutputError: The file cannot be written.
    """
    from PIL import Image

    picture = Image.fromarray(indices, mode="P")
    picture.putpalette([value for colour in colours for value in colour])
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")


def _text_chunk(key: str, value: str) -> bytes:
    """A tEXt chunk (PNG specification, section 11.3.4.3)."""
    body = b"tEXt" + key.encode("latin-1", "replace") + b"\0" + value.encode("latin-1", "replace")
    return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))


def write_exr(path: Path, channels: Mapping[str, NDArray[np.floating[Any]]], attributes: Mapping[str, str]) -> None:
    """Write an OpenEXR file with string attributes.

    Args:
        path: The file.
        channels: H×W×3 under "RGB", or H×W under any name, half or single floats.
        attributes: Entries for the file's header.

    Raises:
        NotFiniteError: Numbers that are not finite.
        OutputError: The file cannot be written.
    """
    height, width = next(iter(channels.values())).shape[:2]
    rows = range(0, height, _EXR_ROWS)
    strips = ({name: values[row : row + _EXR_ROWS] for name, values in channels.items()} for row in rows)
    write_exr_strips(path, (height, width), strips, attributes)


def write_exr_strips(
    path: Path,
    shape: tuple[int, int],
    strips: Iterable[Mapping[str, NDArray[np.floating[Any]]]],
    attributes: Mapping[str, str],
) -> None:
    """Write an OpenEXR file whose rows come some at a time, so that it is never held as a whole.

    Args:
        path: The file.
        shape: Its rows and columns.
        strips: As the channels of `write_exr`, from the first rows to the last.
        attributes: Entries for the file's header.

    Raises:
        NotFiniteError: Numbers that are not finite.
        OutputError: The file cannot be written.
    """
    import OpenEXR

    imath: Any = import_module("Imath")
    kinds = {np.dtype(np.float16): imath.PixelType.HALF, np.dtype(np.float32): imath.PixelType.FLOAT}
    header = OpenEXR.Header(shape[1], shape[0])
    header["compression"] = imath.Compression(imath.Compression.ZIP_COMPRESSION)
    header.update({name: value.encode() for name, value in attributes.items()})
    with atomic_path(path) as temporary:
        file: Any = None
        try:
            for strip in strips:
                for name, values in strip.items():
                    check_finite(f"{path.name}: channel {name}", values)
                planes = {
                    channel: plane
                    for name, values in strip.items()
                    for channel, plane in (
                        zip(name, np.moveaxis(values, -1, 0), strict=True) if values.ndim == 3 else [(name, values)]
                    )
                }
                if file is None:
                    header["channels"] = {
                        channel: imath.Channel(imath.PixelType(kinds[plane.dtype])) for channel, plane in planes.items()
                    }
                    file = OpenEXR.OutputFile(str(temporary), header)
                rows = len(next(iter(planes.values())))
                file.writePixels({channel: plane.tobytes() for channel, plane in planes.items()}, rows)
        except (RuntimeError, OSError, UnicodeError) as error:  # a folder's name may be no UTF-8
            raise OutputError(f"cannot write {path}: {error}") from error
        finally:
            if file is not None:
                file.close()
