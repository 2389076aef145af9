# SPDX-License-Identifier: Apache-2.0
"""Reading and writing rigs: one safetensors file, bases in half precision, provenance in its header."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from lineament.errors import OutputError, RigError
from lineament.files.reading import parse_json
from lineament.files.writing import atomic_path
from lineament.rig.model import Rig
from lineament.weights.file import check_shipped, first_line, read_header, read_tensors, shown

DEFAULT_RIG_PATH = Path(__file__).parent / "data" / "lineament-rig.safetensors"
"""The compact rig that ships with the package."""

FORMAT_NAME = "lineament-rig"
FORMAT_VERSION = 2
LANDMARK_ORDER = "ibug-68"

_HEADER_KEYS = ("format", "format_version", "landmark_order", "expression_names", "iris_radius")
_REGION_PREFIX = "region."
# The type of each tensor on disk. Half precision keeps offsets of up to 32 mm to 0.016 mm.
_DISK_TYPES: dict[str, type[np.generic]] = {
    "mean": np.float32,
    "uv": np.float32,
    "part": np.uint8,
    "face_part": np.uint8,
    "identity": np.float16,
    "identity_std": np.float32,
    "expression": np.float16,
    "expression_std": np.float32,
    "eye_centre": np.float32,
    "eye_radius": np.float32,
    "face_uv": np.float32,
    "on_chart": np.uint8,
    "albedo_mean": np.float32,
    "albedo": np.float16,
}
_INDICES = ("faces", "landmarks", "contour")
_KINDS = ("F16", "F32", "U8", "U16", "U32")


class RigFileError(RigError):
    """Raised when a file cannot be read as a rig."""


def save_rig(rig: Rig, path: str | Path) -> None:
    """Write a rig.

    Args:
        rig: The rig.
        path: Target file; its folder is made when missing.

    Raises:
        OutputError: The file cannot be written, or is there and no rig.
    """
    index_type = np.uint16 if rig.vertex_count <= 1 << 16 else np.uint32
    tensors: dict[str, NDArray[np.generic]] = {
        name: np.ascontiguousarray(getattr(rig, name), dtype=kind) for name, kind in _DISK_TYPES.items()
    }
    tensors |= {name: np.ascontiguousarray(getattr(rig, name), dtype=index_type) for name in _INDICES}
    for name, values in rig.regions.items():
        tensors[_REGION_PREFIX + name] = np.ascontiguousarray(values, dtype=np.float16)
    header = {
        **rig.metadata,
        "format": FORMAT_NAME,
        "format_version": str(FORMAT_VERSION),
        "landmark_order": LANDMARK_ORDER,
        "expression_names": json.dumps(list(rig.expression_names)),
        "iris_radius": repr(float(rig.iris_radius)),
    }
    path = Path(path)
    check_rig_replaceable(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=header))


def check_rig_replaceable(path: Path) -> None:
    """Raise OutputError for a file that is no rig of ours, and would be lost if a rig were written there."""
    if os.path.lexists(path):
        try:
            known = read_header(path, RigFileError, "rig").get("format") == FORMAT_NAME
        except RigFileError:
            known = False
        if not known:
            raise OutputError(f"{path} is no rig of ours and would be lost: name another file, or move it away")


def load_rig(path: str | Path | None = None) -> Rig:
    """Read a rig.

    Args:
        path: A file written by `save_rig`; None reads the rig that ships with the package.

    Returns:
        The rig, with float32 arrays and int32 indices.

    Raises:
        RigFileError: If the file is missing, is no rig, or has a newer format; if a value of it is not finite; or if it
            is not the file that shipped under its name.
        RigShapeError: If its arrays do not fit together.
    """
    path = DEFAULT_RIG_PATH if path is None else Path(path)
    if not path.is_file():
        raise RigFileError(f"no rig file at {path}; build one with: lineament rig build FACEKIT -o {path}")
    file = read_tensors(path, _KINDS, RigFileError, "rig")
    check_shipped(path, file.sha256, RigFileError)
    return _decode(path, file.header, file.tensors)


@lru_cache(maxsize=1)
def shipped_rig() -> Rig:
    """The rig that ships, read once per process."""
    return load_rig()


def _decode(path: Path, header: dict[str, str], tensors: dict[str, NDArray[np.generic]]) -> Rig:
    """Check the header and turn the tensors of a file into a rig."""
    if header.get("format") != FORMAT_NAME:
        raise RigFileError(f"{path} is not a {FORMAT_NAME} file: its format is {header.get('format')!r}")
    version = header.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise RigFileError(
            f"{path} has rig format version {version!r}, this lineament reads {FORMAT_VERSION}: build it again with "
            "`lineament rig build`"
        )
    order = header.get("landmark_order")
    if order != LANDMARK_ORDER:
        raise RigFileError(f"{path} has landmarks in the order {order!r}, expected {LANDMARK_ORDER!r}")
    missing = sorted((set(_DISK_TYPES) | set(_INDICES)) - set(tensors))
    if missing:
        raise RigFileError(f"{path} lacks the tensors {', '.join(missing)}")
    for name, values in tensors.items():
        kinds = (np.uint16, np.uint32) if name in _INDICES else (_DISK_TYPES.get(name, np.float16),)
        if values.dtype not in kinds:
            raise RigFileError(f"{path} has {shown(name)} as {values.dtype}, expected {np.dtype(kinds[0])}")
    try:
        names = parse_json(header["expression_names"])
        iris_radius = float(header["iris_radius"])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("expression_names is no list of names")
        if not 0.0 < iris_radius < 100.0:
            raise ValueError(f"an iris has no radius of {iris_radius:g} mm")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RigFileError(f"{path} has a broken header: {first_line(error)}") from error

    def as_float(name: str) -> NDArray[np.float32]:
        return np.asarray(tensors[name]).astype(np.float32)

    return Rig(
        mean=as_float("mean"),
        faces=np.asarray(tensors["faces"]).astype(np.int32),
        uv=as_float("uv"),
        part=np.asarray(tensors["part"]).astype(np.uint8),
        face_part=np.asarray(tensors["face_part"]).astype(np.uint8),
        identity=as_float("identity"),
        identity_std=as_float("identity_std"),
        expression=as_float("expression"),
        expression_names=tuple(names),
        expression_std=as_float("expression_std"),
        landmarks=np.asarray(tensors["landmarks"]).astype(np.int32),
        eye_centre=as_float("eye_centre"),
        eye_radius=as_float("eye_radius"),
        iris_radius=iris_radius,
        face_uv=as_float("face_uv"),
        on_chart=np.asarray(tensors["on_chart"]).astype(bool),
        contour=np.asarray(tensors["contour"]).astype(np.int32),
        albedo_mean=as_float("albedo_mean"),
        albedo=as_float("albedo"),
        regions={
            name.removeprefix(_REGION_PREFIX): as_float(name)
            for name in sorted(tensors)
            if name.startswith(_REGION_PREFIX)
        },
        metadata={key: value for key, value in header.items() if key not in _HEADER_KEYS},
    )
