# SPDX-License-Identifier: Apache-2.0
"""Heads as binary glTF 2.0 with morph targets, which trimesh does not write (Khronos Group, "glTF 2.0 Specification").

Morph targets are sparse (section 3.6.2.3): an expression moves a part of the face alone.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.files.writing import atomic_path, check_finite
from lineament.geometry.head import Head

_METRE = 1000.0  # mm
_STILL = 0.01  # mm below which a vertex counts as unmoved
_TURNED = 0.01  # length of a normal's change below which it counts as unchanged
_JPEG = 95
_FLOAT, _UINT32 = 5126, 5125
_VERTEX, _INDEX = 34962, 34963  # targets of buffer views


def write_head(path: Path, head: Head, texture: NDArray[np.uint8], normal_map: NDArray[np.uint8] | None = None) -> Path:
    """Write a textured head that can be animated.

    Args:
        path: The ``.glb`` file. Metres, y up, facing +z, at rest; its default weights are those that the photo shows.
        head: The head.
        texture: H×W×3 sRGB on its atlas.
        normal_map: H×W×3 normals in the frames of the head's tangents, (n + 1) / 2, x along u, y along v.

    Raises:
        NotFiniteError: Numbers that are not finite.
        OutputError: It cannot be written.
    """
    for name, values in (("vertices", head.vertices), ("texture coordinates", head.uv), *head.morphs.items()):
        check_finite(f"{path.name}: {name}", values)
    data = _packed(head, texture, normal_map, path.stem)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
    return path


class _Binary:
    """The binary chunk and the views and accessors that say what is where in it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, int]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, target: int | None = None) -> int:
        """Append bytes, aligned to four; the number of their view."""
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view if target is None else view | {"target": target})
        self.data += content
        return len(self.views) - 1

    def dense(self, values: NDArray[Any], kind: str, target: int, bounds: bool = False) -> int:
        """An accessor of float32 or uint32 values [N, C] or [N]."""
        whole = np.ascontiguousarray(values, np.uint32 if values.dtype.kind in "iu" else np.float32)
        component = _UINT32 if whole.dtype == np.uint32 else _FLOAT
        accessor = {"bufferView": self.view(whole.tobytes(), target), "componentType": component, "count": len(whole)}
        return self._add(accessor | {"type": kind}, whole if bounds else None)

    def sparse(self, values: NDArray[np.float32], least: float) -> int:
        """An accessor of vectors [N, 3] that are zero but for some; a shape that moves nothing keeps its first."""
        whole = np.ascontiguousarray(values, np.float32)
        rows = np.flatnonzero(np.linalg.norm(whole, axis=1) > least)
        rows = rows if len(rows) else np.zeros(1, np.int64)
        kept = np.zeros_like(whole)
        kept[rows] = whole[rows]
        indices = {"bufferView": self.view(rows.astype(np.uint32).tobytes()), "componentType": _UINT32}
        moved = {"count": len(rows), "indices": indices, "values": {"bufferView": self.view(whole[rows].tobytes())}}
        return self._add({"componentType": _FLOAT, "count": len(whole), "type": "VEC3", "sparse": moved}, kept)

    def _add(self, accessor: dict[str, Any], bounded: NDArray[Any] | None) -> int:
        if bounded is not None:
            accessor |= {"min": bounded.min(0).tolist(), "max": bounded.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _packed(head: Head, texture: NDArray[np.uint8], normal_map: NDArray[np.uint8] | None, name: str) -> bytes:
    """The file's content."""
    binary = _Binary()
    rest = head.normals(head.vertices)
    # Texture coordinates of glTF have their origin at the top.
    attributes = {
        "POSITION": binary.dense(head.vertices / _METRE, "VEC3", _VERTEX, bounds=True),
        "NORMAL": binary.dense(rest, "VEC3", _VERTEX),
        "TEXCOORD_0": binary.dense(head.uv * [1.0, -1.0] + [0.0, 1.0], "VEC2", _VERTEX),
    }
    if normal_map is not None:
        attributes["TANGENT"] = binary.dense(head.tangents, "VEC4", _VERTEX)
    indices = binary.dense(head.triangles.reshape(-1), "SCALAR", _INDEX)
    targets = []
    for offsets in head.morphs.values():
        turned = head.normals(head.vertices + offsets) - rest
        moved = {
            "POSITION": binary.sparse(offsets / np.float32(_METRE), _STILL / _METRE),
            "NORMAL": binary.sparse(turned.astype(np.float32), _TURNED),
        }
        targets.append(moved)
    images = [_image(binary, ".jpg", texture, f"{name}-texture")]
    primitive: dict[str, Any] = {"attributes": attributes, "indices": indices, "material": 0}
    mesh: dict[str, Any] = {"name": name, "primitives": [primitive]}
    if targets:
        primitive["targets"] = targets
        mesh["weights"] = [float(head.weights.get(shape, 0.0)) for shape in head.morphs]
        mesh["extras"] = {"targetNames": list(head.morphs)}
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 0.6}
    material: dict[str, Any] = {"name": name, "pbrMetallicRoughness": surface}
    if normal_map is not None:
        images.append(_image(binary, ".png", normal_map, f"{name}-normals"))
        material["normalTexture"] = {"index": 1}
    content = {
        "asset": {"version": "2.0", "generator": "lineament"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [mesh],
        "materials": [material],
        "textures": [{"source": number, "sampler": 0} for number in range(len(images))],
        "samplers": [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}],
        "images": images,
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data) + -len(binary.data) % 4}],
    }
    return _chunks(json.dumps(content, separators=(",", ":"), allow_nan=False).encode(), bytes(binary.data))


def _image(binary: _Binary, kind: str, picture: NDArray[np.uint8], name: str) -> dict[str, Any]:
    """Append a picture H×W×3 RGB as JPEG or PNG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG] if kind == ".jpg" else []
    _, encoded = cv2.imencode(kind, picture[..., ::-1], options)
    mime = "image/jpeg" if kind == ".jpg" else "image/png"
    return {"bufferView": binary.view(encoded.tobytes()), "mimeType": mime, "name": name}


def _chunks(text: bytes, data: bytes) -> bytes:
    """The JSON and the binary chunk behind the file's header (section 4.4)."""
    text += b" " * (-len(text) % 4)
    data += b"\0" * (-len(data) % 4)
    length = 12 + 8 + len(text) + 8 + len(data)
    header = struct.pack("<4sII", b"glTF", 2, length)
    return header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
