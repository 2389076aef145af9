# SPDX-License-Identifier: Apache-2.0
"""What a method's detail maps do to a head: vertices at rest, a normal map on its atlas, a mesh with relief in it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.geometry.head import Head
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.normals import normalize
from lineament.geometry.relief import in_tangent_frame, surface_gradient
from lineament.images.inpaint import sampled
from lineament.result.crop_estimate import CropEstimate
from lineament.result.head_texture import chart_of
from lineament.rig import shipped_rig
from lineament.rig.face_chart import ChartGrid, chart_vertices, deformed_by
from lineament.rig.posing import head_rotation

_SUBDIVISIONS = 2  # a triangle of some 3 mm becomes sixteen of 0.8, the displacement map's texels


def offsets_at_rest(estimate: CropEstimate) -> NDArray[np.float64]:
    """What the deformation map adds to the rig's vertices, [V, 3] mm in the head's own frame; zero without one."""
    rig = shipped_rig()
    if estimate.deformation_map is None:
        return np.zeros((rig.vertex_count, 3))
    return deformed_by(rig, estimate.deformation_map).astype(np.float64) @ head_rotation(
        estimate.coefficients["angles"]
    )


def normal_map_of(head: Head, displacement: NDArray[np.float32], side: int) -> NDArray[np.uint8]:
    """The relief of a head of the shipped rig as a normal map on its atlas.

    Args:
        head: At rest.
        displacement: [U, U] mm along its normals, on the face's chart.
        side: Texels T of the atlas.

    Returns:
        [T, T, 3], (n + 1) / 2 in the frames of `Head.tangents`; flat where there is no displacement.
    """
    rig, chart = shipped_rig(), chart_of(side)
    grid = ChartGrid.of(rig, len(displacement))
    slope = surface_gradient(grid.of_vertices(head.vertices), displacement).astype(np.float32)
    smooth = head.normals(head.vertices)
    known = chart.of(np.concatenate([smooth, head.tangents, rig.face_uv], axis=1), rig.faces)
    normals, tangents, uv = normalize(known[..., :3]), known[..., 3:7], known[..., 7:]
    on_chart = (chart.triangle >= 0) & rig.on_chart[chart.triangle.clip(0)]
    tilted = normalize(normals - _on_chart(slope, uv))
    framed = np.where(on_chart[..., None], in_tangent_frame(tilted, normals, tangents), (0.0, 0.0, 1.0))
    return np.rint(127.5 * (framed + 1.0)).clip(0, 255).astype(np.uint8)


def raised(mesh: Mesh, displacement: NDArray[np.float32]) -> Mesh:
    """A head of the shipped rig with its relief in the mesh, for what knows no normal maps, such as 3D printing.

    Seams are closed, every triangle becomes sixteen.

    Args:
        mesh: The head, its vertices those of the rig, mm.
        displacement: [U, U] mm along its normals, on the face's chart.
    """
    trimesh: Any = import_module("trimesh")
    rig = shipped_rig()
    used = np.zeros(rig.vertex_count)
    used[chart_vertices(rig)] = 1.0
    weld = rig.weld()
    # On a seam of the atlas the face's chart has none: both vertices have one place there, or none is used.
    uv = np.zeros((rig.vertex_count, 2))
    np.maximum.at(uv, weld, rig.face_uv * used[:, None])
    np.maximum.at(used, weld, used.copy())
    normals = welded_normals(mesh, weld)
    attributes = np.concatenate([mesh.vertices, normals, uv, used[:, None]], axis=1)
    faces = weld[mesh.triangles]
    for _ in range(_SUBDIVISIONS):
        attributes, faces = trimesh.remesh.subdivide(attributes, faces)
    side = len(displacement)
    places = [(1.0 - attributes[:, 7]) * side - 0.5, attributes[:, 6] * side - 0.5]
    height = ndimage.map_coordinates(displacement, places, order=1, mode="nearest")[:, None]
    on_chart = attributes[:, 8:9] > 0.999
    moved = attributes[:, :3] + normalize(attributes[:, 3:6]) * height * on_chart
    kept, faces = np.unique(faces, return_inverse=True)
    return Mesh(moved[kept], faces.reshape(-1, 3).astype(np.int64))


def _on_chart(maps: NDArray[np.float32], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    """A map [U, U, C] of the face's chart at coordinates [H, W, 2], [H, W, C]."""
    side = len(maps)
    places = np.stack([uv[..., 0] * side, (1.0 - uv[..., 1]) * side], axis=-1).astype(np.float32) - np.float32(0.5)
    found = sampled(np.ascontiguousarray(maps, np.float32), places)
    return found.reshape(*uv.shape[:2], maps.shape[-1])
