# SPDX-License-Identifier: Apache-2.0
"""Reading safetensors files that anybody may have made: bounded before they are parsed, nothing in them not finite."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from lineament.errors import LineamentError, WeightsError
from lineament.files.reading import parse_json
from lineament.weights import FOLDER
from lineament.weights.schema import WeightsFormat, check_config

MAX_HEADER = 1 << 20
"""Bytes of a header; ours have some 25,000, the library takes a hundred million."""
MAX_FILE = 1 << 30
"""Bytes of a file of weights or of a rig; the largest network's has 150 million."""

_HALF_OR_SINGLE = ("F16", "F32")


@dataclass(frozen=True)
class TensorFile:
    """What a safetensors file holds."""

    tensors: dict[str, NDArray[Any]]
    header: dict[str, str]
    """Its entries of text."""
    sha256: str
    """Of the whole file, hexadecimal."""


@dataclass(frozen=True)
class Weights:
    """A network's weights, whose header and values have been checked."""

    tensors: dict[str, NDArray[np.float32]]
    method: str
    config: dict[str, Any]
    """The network's configuration, complete and within bounds (`lineament.weights.schema`)."""
    licence: str
    sha256: str
    """Of the file, hexadecimal."""


def read_tensors(path: Path, kinds: Collection[str], error: type[LineamentError], what: str) -> TensorFile:
    """Read a safetensors file.

    Args:
        path: The file.
        kinds: Types that its tensors may have, as safetensors names them: "F16", "U8" and so on.
        error: What is raised.
        what: What the file should be, for messages: "weights".

    Raises:
        LineamentError: Of the kind ``error``: the file is missing or no regular one, larger than `MAX_FILE`, its header
            larger than `MAX_HEADER`; it is damaged; a tensor is of another type, or a value is not finite.
    """
    header = _header(path, error, what)
    data = read_bytes(path, MAX_FILE, error, what)
    for name, about in header.items():
        kind = about.get("dtype") if isinstance(about, dict) else None
        if name != "__metadata__" and kind not in kinds:
            raise error(f"cannot read the {what} {path}: {shown(name)} is of the type {kind}, not {' or '.join(kinds)}")
    try:
        tensors = load(data)
    except (SafetensorError, TypeError, ValueError, KeyError) as problem:
        raise error(f"cannot read the {what} {path}: {first_line(problem)}") from problem
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise error(f"cannot use the {what} {path}: its tensor {shown(name)} has values that are not finite")
    return TensorFile(tensors, dict(header.get("__metadata__") or {}), hashlib.sha256(data).hexdigest())


def read_header(path: Path, error: type[LineamentError], what: str) -> dict[str, Any]:
    """A safetensors file's entries of text, which nobody has checked; its tensors are not read.

    Raises:
        LineamentError: Of the kind ``error``: the file cannot be read.
    """
    entries = _header(path, error, what).get("__metadata__")
    return entries if isinstance(entries, dict) else {}


def read_method(path: Path) -> str:
    """The method that a weights file is for; its weights are not read.

    Raises:
        WeightsError: The file cannot be read, or names no method.
    """
    method = read_header(path, WeightsError, "weights").get("method")
    if not isinstance(method, str):
        raise WeightsError(f"{path} holds no weights of a method: its header names none")
    return method


def read_weights(path: Path, kind: WeightsFormat) -> Weights:
    """Read a network's weights, widened to single precision.

    Args:
        path: The safetensors file.
        kind: Whose weights they must be.

    Raises:
        WeightsError: As `read_tensors` does; or the weights are another method's, their configuration is incomplete,
            out of bounds or has entries that are not known, or the file is not the one that shipped under its name.
    """
    if (found := read_method(path)) != kind.name:
        raise WeightsError(f"{path} holds no weights of {kind.name}: it is for {shown(found)}")
    file = read_tensors(path, _HALF_OR_SINGLE, WeightsError, "weights")
    check_shipped(path, file.sha256)
    tensors = {name: values.astype(np.float32) for name, values in file.tensors.items()}
    licence = file.header.get("license", "unknown")
    if len(licence) > 200 or not licence.isprintable():
        raise WeightsError(f"{path} names a licence that cannot be shown")
    try:
        config = parse_json(file.header.get("config", "{}"))
    except ValueError as problem:
        raise WeightsError(f"{path} has a header whose configuration is damaged: {first_line(problem)}") from problem
    return Weights(tensors, kind.name, check_config(path, kind, config), licence, file.sha256)


def read_bytes(path: Path, most: int, error: type[LineamentError], what: str) -> bytes:
    """The bytes of a regular file of at most so many.

    Raises:
        LineamentError: Of the kind ``error``: the file is missing, a folder, a pipe or a device, too large, or cannot
            be read.
    """
    _check_regular(path, error, what)
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as problem:
        raise error(f"cannot read the {what} {path}: {problem.strerror}") from problem
    if len(data) > most:
        raise error(f"cannot read the {what} {path}: it has more than the {most:,} bytes that are read")
    return data


def check_shipped(path: Path, sha256: str, error: type[LineamentError] = WeightsError) -> None:
    """Hold a file that ships with the package to the hash that ships with it; files elsewhere are the caller's own.

    Args:
        path: A file of weights, a graph, or the rig.
        sha256: Of what was read of it, hexadecimal.
        error: What is raised.

    Raises:
        LineamentError: Of the kind ``error``: it lies where shipped files do and is not one of them.
    """
    place, shipped = path.resolve(), shipped_hashes()
    if place.parent in {other.parent for other in shipped} and shipped.get(place) != sha256:
        raise error(f"{path} is not the file that ships with this version of lineament: install it again")


@lru_cache(maxsize=1)
def shipped_hashes() -> Mapping[Path, str]:
    """Hexadecimal SHA-256 of every file of weights, graph and rig that ships, by its place."""
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {(FOLDER / name).resolve(): digest for digest, name in (line.split() for line in lines)}


def shown(name: str) -> str:
    """A name out of a file as it may be printed: short, and without control characters."""
    return repr(name) if len(name) <= 80 else repr(name[:80]) + "…"


def first_line(problem: BaseException) -> str:
    """What a library's error says, on one line that is not too long."""
    lines = str(problem).split("\n", 1)[0].strip()
    text = "".join(c if c.isprintable() else " " for c in lines)
    return text[:300] or type(problem).__name__


def _check_regular(path: Path, error: type[LineamentError], what: str) -> None:
    try:
        regular, exists = path.is_file(), path.exists()
    except (OSError, ValueError) as problem:  # a name that no file can have
        raise error(f"cannot read the {what} {path}: {first_line(problem)}") from problem
    if not regular:
        raise error(f"cannot read the {what} {path}: {'it is no regular file' if exists else 'there is no file'}")


def _header(path: Path, error: type[LineamentError], what: str) -> dict[str, Any]:
    """A safetensors file's header, its size bounded first."""
    _check_regular(path, error, what)
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER:
                raise error(f"cannot read the {what} {path}: its header is damaged or larger than {MAX_HEADER:,} bytes")
            header = parse_json(file.read(size))
    except OSError as problem:
        raise error(f"cannot read the {what} {path}: {problem.strerror}") from problem
    except ValueError as problem:
        raise error(f"cannot read the {what} {path}: its header is damaged") from problem
    if not isinstance(header, dict):
        raise error(f"cannot read the {what} {path}: its header is damaged")
    return header
