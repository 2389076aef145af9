# SPDX-License-Identifier: Apache-2.0
"""Scans: reading OBJ, PLY and VRML files, and turning them into what a camera sees of them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from lineament.errors import DataError, UsageError
from lineament.files.reading import reading, regular_file
from lineament.geometry.mesh import Mesh, normals_at, triangle_normals

_LARGEST_FILE = {".wrl": 1 << 26, ".vrml": 1 << 26, ".obj": 1 << 28, ".ply": 1 << 28, ".stl": 1 << 28, ".off": 1 << 28}
"""Bytes that are read of each kind of file, which bounds its vertices and triangles: text takes ten times as much."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_ASCII = bytes(byte if byte < 128 else ord("?") for byte in range(256))


def read_mesh(path: Path) -> Mesh:
    """Read a mesh, its vertices in the file's order and unit.

    Raises:
        DataError: No such file, one of another format, a damaged one, one that is too large, or vertices that are not
            finite.
    """
    path = regular_file(path, DataError)
    suffix = path.suffix.lower()
    if suffix not in _LARGEST_FILE:
        raise DataError(f"{path}: meshes are read from OBJ, PLY, STL, OFF and WRL files")
    _check_length(path, suffix)
    with reading(path, "a mesh", DataError):
        vertices, triangles, corner_uv = _vrml(path) if suffix in (".wrl", ".vrml") else _with_trimesh(path, suffix)
        if corner_uv is not None and not np.isfinite(corner_uv).all():
            corner_uv = None
        try:
            return Mesh(vertices, triangles, corner_uv)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None


def _check_length(path: Path, suffix: str) -> None:
    if path.stat().st_size > _LARGEST_FILE[suffix]:
        raise DataError(f"{path}: a mesh of more than {_LARGEST_FILE[suffix] >> 20} MB is not read as {suffix[1:]}")


_Parts = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64] | None]


def _with_trimesh(path: Path, suffix: str) -> _Parts:
    """Vertices, triangles and texture coordinates of an OBJ, PLY, STL or OFF file."""
    trimesh = needed("trimesh")
    # Names and comments may have any encoding, which trimesh would guess with a package of its own.
    data = path.read_bytes()
    if suffix == ".ply":
        head, end, body = data.partition(b"end_header")
        data = head.translate(_ASCII) + end + body
    elif suffix != ".stl" or len(data) != 84 + 50 * int.from_bytes(data[80:84], "little"):
        data = data.translate(_ASCII)
    # Without the file's folder no material or texture is followed, and nothing beside it is opened.
    options = {"skip_materials": True} if suffix == ".ply" else {}
    loaded = trimesh.load_mesh(io.BytesIO(data), file_type=suffix[1:], process=False, maintain_order=True, **options)
    triangles = np.array(loaded.faces, np.int64)
    uv = getattr(loaded.visual, "uv", None)
    fits = uv is not None and len(uv) == len(loaded.vertices)
    corner_uv = np.array(uv, np.float64)[triangles][..., :2] if fits else None
    return np.array(loaded.vertices, np.float64), triangles, corner_uv


def _vrml(path: Path) -> _Parts:
    """The first indexed face set of a VRML 2.0 file, polygons cut into fans."""
    text = re.sub(r"#[^\n]*", "", path.read_text(encoding="latin-1"))
    points = re.search(r"\bpoint\s*\[([^\]]*)\]", text.partition("Coordinate")[2])
    indices = re.search(r"\bcoordIndex\s*\[([^\]]*)\]", text)
    if points is None or indices is None:
        raise DataError(f"{path} holds no VRML 2.0 IndexedFaceSet")
    vertices = np.array(_NUMBER.findall(points[1]), dtype=np.float64)
    numbers = np.array(re.findall(r"-?\d+", indices[1]), dtype=np.int64)
    if len(vertices) % 3 or not len(numbers):
        raise DataError(f"{path}: the face set is incomplete")
    triangles = _fans(numbers)
    coordinates = re.search(r"\bpoint\s*\[([^\]]*)\]", text.partition("TextureCoordinate")[2])
    texture = re.search(r"\btexCoordIndex\s*\[([^\]]*)\]", text)
    corner_uv = None
    pairs = np.array(_NUMBER.findall(coordinates[1]) if coordinates else [], dtype=np.float64)
    if len(pairs) and len(pairs) % 2 == 0:  # else they are damaged, which the shape is not
        uv = pairs.reshape(-1, 2)
        corners = triangles if texture is None else _fans(np.array(re.findall(r"-?\d+", texture[1]), dtype=np.int64))
        if len(corners) == len(triangles) and corners.max(initial=-1) < len(uv):
            corner_uv = uv[corners]
    return vertices.reshape(-1, 3), triangles, corner_uv


def _fans(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Polygons, ended by -1 each, as triangles [T, 3]."""
    polygons = [part[part >= 0] for part in np.split(indices, np.flatnonzero(indices < 0) + 1)]
    fans = [np.stack([np.full(len(p) - 2, p[0]), p[1:-1], p[2:]], axis=1) for p in polygons if len(p) > 2]
    return np.concatenate(fans) if fans else np.zeros((0, 3), np.int64)


def read_points(path: Path) -> NDArray[np.float64]:
    """The vertices [V, 3] of an OBJ file that need have no faces.

    Raises:
        DataError: It cannot be read, has none, or some that are not finite.
    """
    path = regular_file(path, DataError)
    _check_length(path, ".obj")
    with reading(path, "vertices", DataError):
        rows = [line.split()[1:4] for line in path.read_text(errors="replace").splitlines() if line.startswith("v ")]
        points = np.array(rows, dtype=np.float64)
    if not rows or points.shape[1] != 3 or not np.isfinite(points).all():
        raise DataError(f"{path} holds no vertices, or some that are not finite")
    return points


@dataclass(frozen=True)
class View:
    """What an orthographic camera sees of a mesh."""

    normals: NDArray[np.float32]
    """[S, S, 3] interpolated vertex normals, camera frame; zero where there is nothing."""
    depth: NDArray[np.float32]
    """[S, S] the mesh's z, in its unit, larger is nearer; not a number where there is nothing."""
    mask: NDArray[np.bool_]
    """[S, S]."""
    scale: float
    """Pixels per unit of the mesh."""
    triangle: NDArray[np.int64]
    """[S, S] which triangle is seen; -1 where there is nothing."""
    weights: NDArray[np.float64]
    """[S, S, 3] barycentric coordinates in it."""


def view_mesh(
    mesh: Mesh,
    size: int = 256,
    margin: float = 0.05,
    bounds: Sequence[Sequence[float]] | None = None,
    normals_of: Mesh | None = None,
) -> View:
    """Look at a mesh along -z, its y up.

    Args:
        mesh: In the camera's frame: x to the right, y up, z towards the viewer.
        size: Side of the picture, pixels.
        margin: Room around the mesh, a share of the side.
        bounds: Lowest and highest x, y and z that the picture shows; those of the mesh by default.
        normals_of: The whole mesh with the same vertices, where ``mesh`` is a part of it, whose edges would bend.

    Raises:
        DataError: Nothing of it is seen.
        UsageError: The extra packages of evaluation are missing.
    """
    inside = mesh.vertices[np.unique(mesh.triangles)] if bounds is None else np.asarray(bounds)
    low, high = inside.min(axis=0), inside.max(axis=0)
    x, y = (low + high)[:2] / 2
    scale = float(size * (1 - 2 * margin) / max(1e-9, float((high - low)[:2].max())))
    line = (np.arange(size) + 0.5 - size / 2) / scale
    across, down = np.meshgrid(line, line)
    origins = np.stack([x + across.ravel(), y - down.ravel(), np.full(size * size, high[2] + 1.0 / scale)], axis=1)
    triangle, weights, distance = cast_rays(mesh, origins, np.tile([0.0, 0.0, -1.0], (size * size, 1)))
    hit = triangle >= 0
    if not hit.any():
        raise DataError("nothing of the mesh is seen from the front")
    facing = triangle_normals(mesh)[triangle][:, 2]
    # Some scanners wind triangles the other way; what most pixels see is the outside. The inside is no face.
    outwards = 1.0 if (facing[hit] > 0).mean() >= 0.5 else -1.0
    hit &= facing * outwards > 0
    normals = np.zeros((size * size, 3))
    normals[hit] = outwards * normals_at(mesh, triangle[hit], weights[hit], normals_of)
    depth = np.full(size * size, np.nan)
    depth[hit] = origins[hit, 2] - distance[hit]
    shape = (size, size)
    return View(
        normals.reshape(*shape, 3).astype(np.float32),
        depth.reshape(shape).astype(np.float32),
        hit.reshape(shape),
        scale,
        np.where(hit, triangle, -1).astype(np.int64).reshape(shape),
        np.where(hit[:, None], weights, 0.0).reshape(*shape, 3),
    )


def picture_of(view: View, mesh: Mesh, texture: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """What the camera sees, [S, S, 3]: the texture, or grey shading lit from the camera where there is none."""
    if texture is None or mesh.corner_uv is None:
        from lineament.render.preview import LIGHTS, shade_normals

        return np.repeat(shade_normals(view.normals, LIGHTS[0], view.mask)[..., None], 3, axis=2)
    import cv2

    uv = (mesh.corner_uv[np.maximum(view.triangle, 0)] * view.weights[..., None]).sum(axis=2)
    height, width = texture.shape[:2]
    across, down = uv[..., 0] * width - 0.5, (1.0 - uv[..., 1]) * height - 0.5
    sampled = cv2.remap(
        texture, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled * view.mask[..., None], np.uint8)


def cast_rays(
    mesh: Mesh, origins: NDArray[np.float64], towards: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Where rays first meet a mesh: triangle [N] (-1 for none), barycentric weights [N, 3], distance [N].

    Args:
        mesh: The mesh.
        origins: [N, 3].
        towards: [N, 3] unit directions.
    """
    pcu = needed("point_cloud_utils")
    triangles = mesh.triangles.astype(np.int32)
    triangle, weights, distance = pcu.ray_mesh_intersection(
        np.ascontiguousarray(mesh.vertices), triangles, origins, towards
    )
    hit = np.isfinite(distance) & (triangle >= 0)
    return np.where(hit, triangle, -1).astype(np.int64), weights, np.where(hit, distance, np.nan)


def nearest_on_mesh(
    points: NDArray[np.float64], mesh: Mesh
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """The nearest place on a mesh to each of the points [N, 3]: points [N, 3], triangles [N], weights [N, 3].

    Triangles without area, of which scans have some, are passed over.
    """
    pcu = needed("point_cloud_utils")
    solid = np.flatnonzero(np.linalg.norm(triangle_normals(mesh), axis=1) > 0.0)
    triangles = mesh.triangles[solid].astype(np.int32)
    _, triangle, weights = pcu.closest_points_on_mesh(
        np.ascontiguousarray(points, np.float64), np.ascontiguousarray(mesh.vertices), triangles
    )
    triangle = solid[triangle]
    corners = mesh.vertices[mesh.triangles[triangle]]
    return (corners * weights[:, :, None]).sum(axis=1), np.asarray(triangle, np.int64), weights


def needed(package: str) -> ModuleType:
    """A package of the extra ``evaluate``.

    Raises:
        UsageError: It is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise UsageError(f"this needs {package}: pip install 'lineament[evaluate]'") from None
