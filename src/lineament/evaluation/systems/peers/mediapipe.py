# SPDX-License-Identifier: Apache-2.0
"""MediaPipe's Face Mesh: 468 landmarks in space, whose mesh gives normals (`pip install "lineament[mediapipe]"`).

Landmarks' z has the scale of x and grows away from the viewer. Normals are the vertices', interpolated over triangles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.datasets.meshes import cast_rays, needed
from lineament.errors import UsageError
from lineament.geometry.mesh import Mesh, normals_at, triangle_normals

_MARGINS = (0.2, 0.4, 0.0)
"""Room around the photo, of its longer side, tried in this order: too tight or too loose a face is not found."""


def load() -> tuple[Any, NDArray[np.int64]]:
    """The detector and the triangles of its mesh."""
    try:
        from mediapipe.python.solutions import face_mesh
    except ImportError:
        raise UsageError("this needs MediaPipe up to 0.10.14: pip install 'lineament[mediapipe]'") from None
    mesher = face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=False)
    return mesher, triangles_of(face_mesh.FACEMESH_TESSELATION)


def triangles_of(edges: frozenset[tuple[int, int]]) -> NDArray[np.int64]:
    """Triangles of a planar mesh from its edges: three vertices that are joined to each other."""
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found = {
        tuple(sorted((a, b, c))) for a, near in neighbours.items() for b in near for c in near & neighbours[b]
    }  # fmt: skip
    return np.array(sorted(found), dtype=np.int64)


def normals(state: tuple[Any, NDArray[np.int64]], image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normals [H, W, 3]; zero everywhere when no face is found."""
    import cv2

    mesher, triangles = state
    height, width = image.shape[:2]
    for margin in _MARGINS:
        room = round(margin * max(height, width))
        framed = cv2.copyMakeBorder(image, room, room, room, room, cv2.BORDER_REPLICATE)
        scale = max(1.0, 480.0 / max(framed.shape[:2]))
        framed = cv2.resize(framed, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        found = mesher.process(np.ascontiguousarray(framed)).multi_face_landmarks
        if found:
            wide, high = framed.shape[1] / scale, framed.shape[0] / scale
            points = [[p.x * wide - room, p.y * high - room, -p.z * wide] for p in found[0].landmark[:468]]
            return rasterised(np.array(points), triangles, height, width)
    return np.zeros((height, width, 3), np.float32)


def rasterised(
    points: NDArray[np.float64], triangles: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    """Interpolated vertex normals of a mesh whose points are column, row and depth (larger nearer), in pixels."""
    vertices = points * np.array([1.0, -1.0, 1.0])
    wound = _wound(vertices, triangles)
    mesh = Mesh(vertices, wound)
    line, column = np.mgrid[:height, :width] + 0.5
    far = float(vertices[:, 2].max()) + 10.0
    origins = np.stack([column.ravel(), -line.ravel(), np.full(height * width, far)], axis=1)
    triangle, weights, _ = cast_rays(mesh, origins, np.tile([0.0, 0.0, -1.0], (height * width, 1)))
    hit = triangle >= 0
    out = np.zeros((height * width, 3))
    out[hit] = normals_at(mesh, triangle[hit], weights[hit])
    # Where the mesh does not reach (forehead, eyes), the nearest normal stands in, which is kinder than no answer.
    _, (row, across) = ndimage.distance_transform_edt(~hit.reshape(height, width), return_indices=True)
    return np.asarray(out.reshape(height, width, 3)[row, across], np.float32)


def _wound(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles turned so that neighbours agree and most face the viewer; edges say nothing of the winding."""
    trimesh = needed("trimesh")
    mesh = trimesh.Trimesh(vertices, triangles, process=False)
    trimesh.repair.fix_winding(mesh)
    wound = np.array(mesh.faces, np.int64)
    towards_viewer = triangle_normals(Mesh(vertices, wound))[:, 2].sum() > 0
    return wound if towards_viewer else wound[:, ::-1].copy()
