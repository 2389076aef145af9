# SPDX-License-Identifier: Apache-2.0
"""Writing maps: never half a file, always with what they are in their own metadata."""

from __future__ import annotations

import json
import os
import struct
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import OutputError

MeshFormat = Literal["glb", "obj", "ply"]
"""Files that meshes are written to (`lineament.images.mesh`)."""


TEMPORARY = ".lineament-"
"""How the names of files begin that are not whole yet, or were left by a process that was killed."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it when the block ends well, removed when it does not.

    Raises:
        OutputError: The file cannot be written.
    """
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:12]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # where even the folder is none, there is nothing to remove
            temporary.unlink(missing_ok=True)


def check_finite(what: object, values: Any) -> None:
    """Raise OutputError for numbers or arrays that are not finite: such are never written.

    Args:
        what: What to call them in the error.
        values: A number or an array, of integers, too.
    """
    array = np.asarray(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        strange = int(array.size - np.isfinite(array).sum())
        raise OutputError(f"{what}: {strange} of {array.size} numbers are not finite; nothing is written of them")


def write_json(path: Path, content: Any) -> None:
    """Write plain values as JSON, UTF-8, its text printable whatever names it holds.

    Raises:
        OutputError: A number is not finite, which JSON has no word for; or the file cannot be written.
    """
    _check_plain(path, content, "")
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _check_plain(path: Path, content: Any, place: str) -> None:
    """Raise OutputError for the first number that is not finite, and name its place."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            _check_plain(path, value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, (list, tuple)):
        for number, value in enumerate(content):
            _check_plain(path, value, f"{place}[{number}]")
    elif isinstance(content, float):
        check_finite(f"{path.name}: {place}", content)


def write_png(path: Path, picture: NDArray[Any], text: Mapping[str, str] | None = None) -> None:
    """Write a PNG of 8 or 16 bits with text entries.

    Args:
        path: The file.
        picture: H×W or H×W×3 (RGB), uint8 or uint16.
        text: Entries for the file's metadata (Latin-1).

    Raises:
        OutputError: The file cannot be written.
    """
    import cv2

    done, encoded = cv2.imencode(".png", picture[..., ::-1] if picture.ndim == 3 else picture)
    if not done:
        raise OutputError(f"cannot encode {path} from {picture.dtype} of shape {picture.shape}")
    data = encoded.tobytes()
    header = 8 + 25  # the signature and the IHDR chunk, after which text may stand
    chunks = b"".join(_text_chunk(key, value) for key, value in (text or {}).items())
    with atomic_path(path) as temporary:
        temporary.write_bytes(data[:header] + chunks + data[header:])


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
        OutputError: Numbers that are not finite, or the file cannot be written.
    """
    import OpenEXR

    for name, values in channels.items():
        check_finite(f"{path.name}: channel {name}", values)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **attributes}
    with atomic_path(path) as temporary:
        try:
            with OpenEXR.File(
                header, {name: np.ascontiguousarray(values) for name, values in channels.items()}
            ) as file:
                file.write(str(temporary))
        except (RuntimeError, UnicodeError) as error:  # a folder's name may be no UTF-8
            raise OutputError(f"cannot write {path}: {error}") from error
