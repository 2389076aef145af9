# SPDX-License-Identifier: Apache-2.0
"""Heads as glTF: read back by trimesh, and held to the specification's rules where it does not look."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from lineament.errors import DataError, NotFiniteError
from lineament.geometry.head import Head
from lineament.images.gltf import write_head

TEXTURE = np.full((8, 8, 3), (200, 120, 90), np.uint8)


def octahedron(**changes: Any) -> Head:
    """An octahedron of 20 mm with one vertex twice, and two shapes."""
    corners = 20.0 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [1, 0, 0]], float)
    sides = [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 6, 5], [1, 2, 5], [3, 1, 5], [6, 3, 5]]
    moved = np.zeros((7, 3), np.float32)
    moved[4] = (0.0, 0.0, 5.0)
    values: dict[str, Any] = {
        "vertices": corners,
        "triangles": np.array(sides),
        "uv": np.linspace(0.1, 0.9, 14).reshape(7, 2),
        "weld": np.array([0, 1, 2, 3, 4, 5, 0]),
        "morphs": {"jawOpen": moved, "still": np.zeros((7, 3), np.float32)},
        "weights": {"jawOpen": 0.25},
    }
    return Head(**{**values, **changes})


def parsed(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary chunk of a file."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    start = 20 + size
    more, kind = struct.unpack_from("<I4s", data, start)
    assert kind == b"BIN\0"
    assert start + 8 + more == len(data)
    return json.loads(data[20:start]), data[start + 8 :]


def read(content: dict[str, Any], binary: bytes, number: int) -> NDArray[Any]:
    """An accessor's values, sparse or not, by the specification's rules."""
    accessor = content["accessors"][number]
    kinds, widths = {5126: np.dtype("<f4"), 5125: np.dtype("<u4")}, {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
    width = widths[accessor["type"]]

    def view(place: int, kind: np.dtype[Any], count: int) -> NDArray[Any]:
        said = content["bufferViews"][place]
        assert said["byteOffset"] % 4 == 0
        assert said["byteOffset"] + said["byteLength"] <= len(binary)
        assert said["byteLength"] == count * kind.itemsize
        return np.frombuffer(binary, kind, count, said["byteOffset"])

    kind = kinds[accessor["componentType"]]
    if "sparse" not in accessor:
        values = view(accessor["bufferView"], kind, accessor["count"] * width)
        return values.reshape(-1, width)
    assert "bufferView" not in accessor
    sparse = accessor["sparse"]
    assert 0 < sparse["count"] <= accessor["count"]
    rows = view(sparse["indices"]["bufferView"], kinds[sparse["indices"]["componentType"]], sparse["count"])
    assert (np.diff(rows.astype(int)) > 0).all()
    assert rows.max() < accessor["count"]
    values = np.zeros((accessor["count"], width), np.float32)
    values[rows] = view(sparse["values"]["bufferView"], kind, sparse["count"] * width).reshape(-1, width)
    assert np.allclose(values.min(0), accessor["min"])
    assert np.allclose(values.max(0), accessor["max"])
    return values


def test_trimesh_reads_a_head_back(tmp_path: Path) -> None:
    head = octahedron()
    path = write_head(tmp_path / "head.glb", head, TEXTURE)
    (mesh,) = trimesh.load(path, process=False).geometry.values()
    assert np.allclose(mesh.vertices, head.vertices / 1000.0, atol=1e-6)
    assert np.array_equal(mesh.faces, head.triangles)
    assert np.allclose(mesh.visual.uv, head.uv, atol=1e-6)  # trimesh turns v back up
    picture = np.asarray(mesh.visual.material.baseColorTexture)[..., :3].astype(int)
    assert np.abs(picture - TEXTURE).max() < 6  # JPEG
    assert mesh.is_winding_consistent


def test_shapes_move_what_they_move(tmp_path: Path) -> None:
    head = octahedron()
    content, binary = parsed(write_head(tmp_path / "head.glb", head, TEXTURE))
    (mesh,) = content["meshes"]
    (primitive,) = mesh["primitives"]
    assert mesh["extras"]["targetNames"] == ["jawOpen", "still"]
    assert mesh["weights"] == [0.25, 0.0]
    position = content["accessors"][primitive["attributes"]["POSITION"]]
    assert np.allclose(position["min"], -0.02)
    assert np.allclose(position["max"], 0.02)
    for name, target in zip(mesh["extras"]["targetNames"], primitive["targets"], strict=True):
        assert np.allclose(read(content, binary, target["POSITION"]), head.morphs[name] / 1000.0)
        normals = read(content, binary, primitive["attributes"]["NORMAL"]) + read(content, binary, target["NORMAL"])
        wanted = head.normals(head.vertices + head.morphs[name])
        assert np.allclose(normals, wanted, atol=0.02)
    assert np.allclose(read(content, binary, primitive["attributes"]["NORMAL"])[0], [1.0, 0.0, 0.0])
    normals = read(content, binary, primitive["attributes"]["NORMAL"])
    assert np.allclose(normals[0], normals[6])  # no seam
    indices = read(content, binary, primitive["indices"])
    assert np.array_equal(indices.reshape(-1, 3), head.triangles)
    assert content["buffers"][0]["byteLength"] == len(binary)


def test_relief_is_a_normal_texture_with_its_tangents(tmp_path: Path) -> None:
    head = octahedron()
    relief = np.full((8, 8, 3), (128, 128, 255), np.uint8)
    relief[2, 3] = (200, 100, 220)
    content, binary = parsed(write_head(tmp_path / "head.glb", head, TEXTURE, relief))
    (material,) = content["materials"]
    image = content["images"][content["textures"][material["normalTexture"]["index"]]["source"]]
    assert image["mimeType"] == "image/png"  # JPEG would blur it
    view = content["bufferViews"][image["bufferView"]]
    start, length = view["byteOffset"], view["byteLength"]
    picture = cv2.imdecode(np.frombuffer(binary[start : start + length], np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(picture[..., ::-1], relief)
    tangents = read(content, binary, content["meshes"][0]["primitives"][0]["attributes"]["TANGENT"])
    assert np.allclose(np.linalg.norm(tangents[:, :3], axis=1), 1.0, atol=1e-6)
    assert set(tangents[:, 3].tolist()) <= {-1.0, 1.0}
    (mesh,) = trimesh.load(tmp_path / "head.glb", process=False).geometry.values()
    assert np.array_equal(np.asarray(mesh.visual.material.normalTexture)[..., :3], relief)
    plain, _ = parsed(write_head(tmp_path / "plain.glb", head, TEXTURE))
    assert "normalTexture" not in plain["materials"][0]
    assert "TANGENT" not in plain["meshes"][0]["primitives"][0]["attributes"]


def test_a_head_without_shapes_has_none(tmp_path: Path) -> None:
    content, _ = parsed(write_head(tmp_path / "head.glb", octahedron(morphs={}, weights={}), TEXTURE))
    assert "weights" not in content["meshes"][0]
    assert "targets" not in content["meshes"][0]["primitives"][0]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="jawOpen does not fit"):
        octahedron(morphs={"jawOpen": np.zeros((6, 3), np.float32)})
    with pytest.raises(DataError, match="a weight for smile"):
        octahedron(weights={"smile": 1.0})
    with pytest.raises(DataError, match="do not fit a head of 7"):
        octahedron(weld=np.arange(3))
    broken = {"jawOpen": np.full((7, 3), np.nan, np.float32)}
    with pytest.raises(NotFiniteError, match="jawOpen"):
        write_head(tmp_path / "head.glb", octahedron(morphs=broken), TEXTURE)
    assert not list(tmp_path.iterdir())


def test_the_mesh_shows_the_photos_expression() -> None:
    head = octahedron()
    assert np.allclose(head.mesh.vertices[4], [0.0, 0.0, 21.25])
    assert np.allclose(head.mesh.vertices[:4], head.vertices[:4])
