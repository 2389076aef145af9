# SPDX-License-Identifier: Apache-2.0
"""Writing meshes with their texture: GLB, OBJ, PLY; and STL, which knows none."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError
from lineament.files.writing import atomic_path, check_finite
from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.images.write import MeshFormat

_METRE = 1000.0  # mm: glTF's unit is the metre


def write_mesh(
    path: Path, mesh: Mesh, texture: NDArray[np.uint8] | None = None, normal_map: NDArray[np.uint8] | None = None
) -> list[Path]:
    """Write a mesh with its vertex normals, in millimetres; GLB in metres.

    Args:
        path: The file; its suffix names the format. OBJ writes a material and the texture beside it, under its stem;
            GLB holds them; PLY gets the texture's colours at its vertices; STL gets none.
        mesh: In millimetres; its texture coordinates count if there is a texture.
        texture: H×W×3 RGB.
        normal_map: H×W×3 normals in the surface's tangent frames, (n + 1) / 2, which GLB alone takes.

    Returns:
        All files that were written.

    Raises:
        UsageError: Another suffix.
        NotFiniteError: Numbers that are not finite.
        OutputError: They cannot be written.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in get_args(MeshFormat):
        raise UsageError(f"meshes are written as {', '.join(get_args(MeshFormat))}, not as {path.suffix or path.name}")
    from PIL import Image

    trimesh: Any = import_module("trimesh")
    check_finite(f"{path.name}: vertices", mesh.vertices)
    vertices, triangles, uv = _one_uv_per_vertex(mesh)
    check_finite(f"{path.name}: texture coordinates", 0 if uv is None else uv)
    visual: Any = None
    if texture is not None and uv is not None:
        if kind == "ply":
            rows, columns = texture.shape[:2]
            row = ((1.0 - uv[:, 1]) * rows).astype(int).clip(0, rows - 1)
            column = (uv[:, 0] * columns).astype(int).clip(0, columns - 1)
            visual = trimesh.visual.ColorVisuals(vertex_colors=texture[row, column])
        else:
            picture, white, black = Image.fromarray(texture), [255, 255, 255, 255], [0, 0, 0, 255]
            if kind == "glb":
                material = trimesh.visual.material.PBRMaterial(
                    name=path.stem,
                    baseColorTexture=picture,
                    normalTexture=None if normal_map is None else Image.fromarray(normal_map),
                    metallicFactor=0.0,
                    roughnessFactor=1.0,
                )
            else:  # the texture as it is, without gloss: trimesh's own would darken it
                material = trimesh.visual.material.SimpleMaterial(
                    picture, diffuse=white, ambient=white, specular=black, name=path.stem
                )
            visual = trimesh.visual.TextureVisuals(uv, material)
    normals = vertex_normals(mesh)[vertices]
    places = mesh.vertices[vertices] / (_METRE if kind == "glb" else 1.0)
    solid = trimesh.Trimesh(places, triangles, visual=visual, vertex_normals=normals, process=False)
    files: dict[str, bytes] = {}
    if kind == "obj":
        text, auxiliary = trimesh.exchange.obj.export_obj(
            solid,
            include_normals=True,
            include_texture=visual is not None,
            return_texture=True,
            mtl_name=f"{path.stem}.mtl",
        )
        files = {name: data if isinstance(data, bytes) else data.encode() for name, data in auxiliary.items()}
        files[path.name] = text.encode()
    elif kind == "ply":
        files[path.name] = solid.export(file_type="ply", vertex_normal=True)
    elif kind == "stl":
        files[path.name] = solid.export(file_type="stl")
    else:
        files[path.name] = solid.export(file_type="glb", include_normals=True)
    written = []
    for name, data in files.items():
        with atomic_path(path.with_name(name)) as temporary:
            temporary.write_bytes(data)
        written.append(path.with_name(name))
    return written


def _one_uv_per_vertex(
    mesh: Mesh,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64] | None]:
    """Vertices to write, triangles of them, texture coordinates: on a seam a vertex is written twice."""
    if mesh.corner_uv is None:
        return np.arange(len(mesh.vertices)), mesh.triangles, None
    corners = np.concatenate([mesh.triangles.reshape(-1, 1), mesh.corner_uv.reshape(-1, 2)], axis=1)
    rows, back = np.unique(corners, axis=0, return_inverse=True)
    return rows[:, 0].astype(np.int64), back.reshape(-1, 3), rows[:, 1:]
