# SPDX-License-Identifier: Apache-2.0
"""Where numbers and pieces lie in a binary file, so that a mutation can aim at them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Order = Literal["little", "big"]


class Field(NamedTuple):
    """A whole number of a header: a length, a width, an offset."""

    start: int
    size: int
    order: Order


class Piece(NamedTuple):
    """A chunk, segment, box, entry or line."""

    start: int
    end: int


Places = Iterator[Field | Piece]


def layout(data: bytes, suffix: str) -> tuple[list[Field], list[Piece]]:
    """Numbers and pieces of a file, as far as it can still be followed."""
    fields: list[Field] = []
    pieces: list[Piece] = []
    try:
        for place in _WALKERS.get(suffix, _lines)(data):
            if isinstance(place, Field):
                if place.start + place.size <= len(data):
                    fields.append(place)
            elif place.start < place.end:
                pieces.append(place)
            if len(fields) + len(pieces) > 2000:
                break
    except (ValueError, IndexError):  # it was mutated before: what was found so far is enough
        pass
    return fields, pieces


def _words(start: int, end: int, size: int, order: Order) -> Places:
    for at in range(start, end - size + 1, size):
        yield Field(at, size, order)


def _lines(data: bytes) -> Places:
    start = 0
    for line in data[:1_000_000].splitlines(keepends=True):
        yield Piece(start, start + len(line))
        start += len(line)


def _png(data: bytes) -> Places:
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield Field(at, 4, "big")
        yield Piece(at, min(len(data), at + 12 + length))
        name = data[at + 4 : at + 8]
        if name == b"IHDR":
            yield from _words(at + 8, at + 16, 4, "big")
            yield from _words(at + 16, at + 21, 1, "big")
        elif name in (b"acTL", b"fcTL"):
            yield from _words(at + 8, at + 8 + length, 4, "big")
        at += 12 + length


def _markers(data: bytes, at: int) -> Places:
    """Segments of JPEG, and of a JPEG 2000 codestream, which has the same ones."""
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        yield Field(at + 2, 2, "big")
        yield Piece(at, min(len(data), at + 2 + length))
        if marker in (0xC0, 0xC1, 0xC2):
            yield from (Field(at + 5, 2, "big"), Field(at + 7, 2, "big"), Field(at + 9, 1, "big"))
        elif marker == 0x51:
            yield from _words(at + 6, at + 38, 4, "big")
        elif marker == 0x52:
            yield from _words(at + 4, at + 2 + length, 1, "big")
        elif marker == 0xE1:  # EXIF is a TIFF
            yield from (_moved(place, at + 10) for place in _tiff(data[at + 10 : at + 2 + length]))
        at += 2 + length


def _moved(place: Field | Piece, by: int) -> Field | Piece:
    if isinstance(place, Field):
        return place._replace(start=place.start + by)
    return Piece(place.start + by, place.end + by)


def _jpeg(data: bytes) -> Places:
    return _markers(data, 2)


def _tiff(data: bytes) -> Places:
    order: Order = "big" if data[:2] == b"MM" else "little"
    big = int.from_bytes(data[2:4], order) == 43
    word, first, head = (8, 8, 8) if big else (4, 4, 2)
    yield Field(first, word, order)
    at = int.from_bytes(data[first : first + word], order)
    for _ in range(4):
        if not 0 < at < len(data):
            return
        yield Field(at, head, order)
        entry = at + head
        for _ in range(min(64, int.from_bytes(data[at : at + head], order))):
            yield Piece(entry, min(len(data), entry + 4 + 2 * word))
            yield from (Field(entry, 2, order), Field(entry + 2, 2, order))
            yield from (Field(entry + 4, word, order), Field(entry + 4 + word, word, order))
            entry += 4 + 2 * word
        yield Field(entry, word, order)
        at = int.from_bytes(data[entry : entry + word], order)


def _gif(data: bytes) -> Places:
    yield from (Field(6, 2, "little"), Field(8, 2, "little"), Field(10, 1, "little"))
    for found in re.finditer(rb"\x00[\x21\x2c]", data):
        at = found.start() + 1
        yield Piece(at, min(len(data), at + 16))
        if data[at] == 0x2C:
            yield from _words(at + 1, at + 9, 2, "little")
            yield Field(at + 9, 1, "little")


def _riff(data: bytes) -> Places:
    yield Field(4, 4, "little")
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield Field(at + 4, 4, "little")
        yield Piece(at, min(len(data), at + 8 + length))
        yield from _words(at + 8, min(len(data), at + 24), 2, "little")
        at += 8 + length + length % 2


_CONTAINERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iinf": 6, b"moov": 0, b"jp2h": 0}


def _boxes(data: bytes, at: int = 0, end: int | None = None) -> Places:
    """ISO boxes: AVIF, HEIC and JPEG 2000."""
    end = len(data) if end is None else end
    if data[at : at + 4] == b"\xff\x4f\xff\x51":  # a bare codestream
        yield from _markers(data, at + 2)
        return
    while at + 8 <= end:
        length = int.from_bytes(data[at : at + 4], "big") or end - at
        after = min(end, at + max(8, length))
        yield Field(at, 4, "big")
        yield Piece(at, after)
        name = data[at + 4 : at + 8]
        if name in _CONTAINERS:
            yield from _boxes(data, at + 8 + _CONTAINERS[name], after)
        elif name == b"jp2c":
            yield from _markers(data, at + 10)
        else:
            yield from _words(at + 8, min(after, at + 40), 4, "big")
            yield from _words(at + 8, min(after, at + 24), 2, "big")
        at = after


def _bmp(data: bytes) -> Places:
    yield from (Field(2, 4, "little"), Field(10, 4, "little"), Field(14, 4, "little"))
    yield from (Field(18, 4, "little"), Field(22, 4, "little"), Field(26, 2, "little"), Field(28, 2, "little"))
    yield from _words(30, 54, 4, "little")


def _exr(data: bytes) -> Places:
    yield from (Field(0, 4, "little"), Field(4, 4, "little"))
    at = 8
    while data[at]:
        start, at = at, data.index(b"\0", at) + 1
        at = data.index(b"\0", at) + 1
        size = int.from_bytes(data[at : at + 4], "little")
        yield Field(at, 4, "little")
        yield from _words(at + 4, at + 4 + min(size, 64), 4, "little")
        at += 4 + size
        yield Piece(start, at)
    yield from _words(at + 1, min(len(data), at + 1 + 8 * 16), 8, "little")


def _stl(data: bytes) -> Places:
    if data[:5] == b"solid":
        yield from _lines(data)
        return
    yield Field(80, 4, "little")
    for at in range(84, min(len(data), 84 + 50 * 40), 50):
        yield Piece(at, at + 50)
        yield from _words(at, at + 48, 4, "little")


def _ply(data: bytes) -> Places:
    end = data.index(b"end_header") if b"end_header" in data else len(data)
    yield from _lines(data[:end])
    yield from _words(end + 11, min(len(data), end + 11 + 400), 4, "little")
    yield from _words(max(end + 11, len(data) - 130), len(data), 1, "little")


def _glb(data: bytes) -> Places:
    yield from _words(4, 12, 4, "little")
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        yield from _words(at, at + 8, 4, "little")
        yield Piece(at, min(len(data), at + 8 + length))
        at += 8 + length


def _zip(data: bytes) -> Places:
    for found in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", data):
        at = found.start()
        yield Piece(at, min(len(data), at + 46))
        yield from _words(at + 4, min(len(data), at + 46), 2, "little")
        yield from _words(at + 14, min(len(data), at + 26), 4, "little")


def _npy(data: bytes) -> Places:
    yield from (Field(6, 1, "little"), Field(7, 1, "little"), Field(8, 2, "little"))
    yield from _words(128, min(len(data), 128 + 256), 4, "little")


def _safetensors(data: bytes) -> Places:
    yield Field(0, 8, "little")
    header = int.from_bytes(data[:8], "little")
    yield from _words(8 + header, min(len(data), 8 + header + 4000), 4, "little")


_WALKERS: dict[str, Callable[[bytes], Places]] = {
    ".png": _png,
    ".jpg": _jpeg,
    ".tif": _tiff,
    ".gif": _gif,
    ".webp": _riff,
    ".avif": _boxes,
    ".heic": _boxes,
    ".jp2": _boxes,
    ".j2k": _boxes,
    ".bmp": _bmp,
    ".exr": _exr,
    ".stl": _stl,
    ".ply": _ply,
    ".glb": _glb,
    ".npz": _zip,
    ".npy": _npy,
    ".safetensors": _safetensors,
}
