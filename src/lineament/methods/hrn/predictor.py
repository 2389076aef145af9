# SPDX-License-Identifier: Apache-2.0
"""HRN on ONNX Runtime and NumPy (no torch): coefficients, the head that they stand for, what the crop sees of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.camera import Perspective
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.normals import normalize
from lineament.geometry.raster import rasterize
from lineament.images.resize import resized_square
from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.method import METHOD
from lineament.rig import Rig, shipped_rig
from lineament.rig.posing import DISTANCE, FOCAL, head_rotation

Float32 = NDArray[np.float32]


class HRNPredictor(Predictor):
    """Stage 0 is M_0, the morphable model's head."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {"analyser": ("analyser.",)}

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; one stage, no exemplars. Crops may have any size: the network sees them at its own."""
        stages = self.MOST_STAGES if stages is None else stages
        self.check(crops, stages, exemplars)
        batch, side = crops.shape[:2]
        seen = crops if side == self.size else np.stack([resized_square(crop, self.size) for crop in crops])
        shapes = [(batch, count) for count in SIZES.values()]
        answers = self._graphs["analyser"].run({"image": as_input(seen)}, shapes)
        coefficients = dict(zip(SIZES, answers, strict=True))
        rig = shipped_rig()
        camera = Perspective(FOCAL * side, (0.5 * side, 0.5 * side))
        meshes = [mesh_of(rig, {name: values[i] for name, values in coefficients.items()}) for i in range(batch)]
        maps = [maps_of(mesh, camera, side) for mesh in meshes]
        return Prediction(
            normals=(np.stack([normals for normals, _ in maps]),),
            depths=(np.stack([depth for _, depth in maps]),),
            coefficients=coefficients,
            cameras=[camera] * batch,
            meshes=meshes,
        )


def mesh_of(rig: Rig, coefficients: Mapping[str, Float32]) -> Mesh:
    """The head as the camera at the origin sees it, mm."""
    vertices = rig.vertices(coefficients["identity"], coefficients["expression"]).astype(np.float64)
    posed = vertices @ head_rotation(coefficients["angles"]).T + coefficients["translation"]
    posed[:, 2] = np.minimum(posed[:, 2] - DISTANCE, -1.0)  # no head reaches the camera, whatever the network says
    return Mesh(posed, rig.faces.astype(np.int64), rig.uv[rig.faces].astype(np.float64))


def maps_of(mesh: Mesh, camera: Perspective, side: int) -> tuple[Float32, Float32]:
    """Normals S×S×3 and depth S×S, shares of the side, of what a crop sees; beyond the head they go on flatly."""
    points = np.concatenate([camera.project(mesh.vertices), mesh.vertices[:, 2:]], axis=1)
    seen = rasterize(points, mesh.triangles, side, side, -mesh.vertices[:, 2])
    values = seen.of(np.concatenate([welded_normals(mesh, _weld()), mesh.vertices[:, 2:]], axis=1), mesh.triangles)
    here = seen.triangle >= 0
    normals = np.where(here[..., None], normalize(values[..., :3]), (0.0, 0.0, 1.0))
    scale = camera.focal_length / DISTANCE  # pixels per millimetre at the middle of the head
    depth = (values[..., 3] + DISTANCE) * scale / side
    depth = np.where(here, depth, depth[here].min() if here.any() else 0.0)
    return normals.astype(np.float32), depth.astype(np.float32)


@lru_cache(maxsize=1)
def _weld() -> NDArray[np.int64]:
    return shipped_rig().weld()
