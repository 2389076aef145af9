# SPDX-License-Identifier: Apache-2.0
"""HRN on ONNX Runtime and NumPy (no torch): coefficients, the head that they stand for, its detail maps, what the crop
sees of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.mesh import Mesh
from lineament.geometry.relief import surface_gradient
from lineament.images.resize import resized_square
from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor, channels_last
from lineament.methods.hrn.coefficients import FEATURES, SIZES, features_shape
from lineament.methods.hrn.head import assumed_camera, at_pixels, drawn, maps_of, mesh_of
from lineament.methods.hrn.method import METHOD
from lineament.methods.hrn.texture import SIDE, charted, shipped_grid
from lineament.rig import shipped_rig
from lineament.rig.face_chart import deformed_by
from lineament.rig.posing import DISTANCE

Float32 = NDArray[np.float32]
Analyse = Callable[[Float32], Mapping[str, Float32]]
"""Crops [B, 3, s, s] in [0, 1] to coefficients by name, [B, K] each, and to ``features`` for the next, if it takes
any."""
Details = Callable[[Float32, Float32, Float32, Float32 | None], tuple[Float32, Float32]]
"""Position [B, 3, T, T], texture [B, 3, T, T], what is seen of it [B, 1, T, T], and features to deformation
[B, 3, 64, 64] and displacement [B, 1, T, T] (`lineament.methods.hrn.model.HRN.details`)."""

_DEFORMATION = 64  # texels along a side of the deformation map


class HRNPredictor(Predictor):
    """Stage 0 is M_0, the morphable model's head; stage 1 M_1, deformed; stage 2 M_2, with displacement."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "analyser": ("analyser.", "squeezes."),
        "details": ("deformation.", "displacement.", "alpha", "beta"),
    }

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; no exemplars. Crops may have any size: the analyser sees them at its own."""
        stages = self.MOST_STAGES if stages is None else stages
        self.check(crops, stages, exemplars)
        return estimated(crops, self.config["analyser_size"], self._analyse, self._details, stages)

    def _analyse(self, image: Float32) -> dict[str, Float32]:
        shapes: dict[str, tuple[int, ...]] = {name: (len(image), count) for name, count in SIZES.items()}
        if channels := self.config["feature_channels"]:
            shapes[FEATURES] = (len(image), *features_shape(channels, self.config["analyser_size"]))
        return dict(zip(shapes, self._graphs["analyser"].run({"image": image}, list(shapes.values())), strict=True))

    def _details(
        self, position: Float32, texture: Float32, seen: Float32, features: Float32 | None
    ) -> tuple[Float32, Float32]:
        shapes = [(len(position), 3, _DEFORMATION, _DEFORMATION), (len(position), 1, SIDE, SIDE)]
        given = {"position": position, "texture": texture, "seen": seen}
        if features is not None:
            given[FEATURES] = features
        deformation, displacement = self._graphs["details"].run(given, shapes)
        return deformation, displacement


def estimated(
    crops: NDArray[np.uint8], size: int, analyse: Analyse, details: Details | None, stages: int
) -> Prediction:
    """What the method says of crops.

    Args:
        crops: B×S×S×3 RGB.
        size: Side of the crops that the analyser sees.
        analyse: The face analyser.
        details: The maps' networks; not needed for stage 0.
        stages: The last stage, 0 to 2.
    """
    side = crops.shape[1]
    small = crops if side == size else np.stack([resized_square(crop, size) for crop in crops])
    said = analyse(as_input(small))
    coefficients = {name: said[name] for name in SIZES}
    deformation = displacement = None
    if stages and details is not None:
        rig, camera = shipped_rig(), assumed_camera(side)
        meshes = [mesh_of(rig, one) for one in _each(coefficients)]
        photos = [charted(crop, mesh, camera) for crop, mesh in zip(crops, meshes, strict=True)]
        position = np.stack([photo.position for photo in photos]) + np.array([0.0, 0.0, DISTANCE], np.float32)
        texture, seen = as_input(np.stack([p.texture for p in photos])), np.stack([p.seen for p in photos])[:, None]
        channels_first = np.ascontiguousarray(position.transpose(0, 3, 1, 2))
        deformed, height = details(channels_first, texture, seen, said.get(FEATURES))
        deformation, displacement = channels_last(deformed), height[:, 0] if stages > 1 else None
    return predicted(side, coefficients, deformation, displacement)


def predicted(
    side: int,
    coefficients: Mapping[str, Float32],
    deformation: Float32 | None = None,
    displacement: Float32 | None = None,
) -> Prediction:
    """What crops of S×S pixels see of heads.

    Args:
        side: S.
        coefficients: [B, K] by name.
        deformation: [B, 64, 64, 3] mm; M_0 without it.
        displacement: [B, T, T] mm, along the normals of M_1; M_1 without it.
    """
    rig, camera, grid = shipped_rig(), assumed_camera(side), shipped_grid()
    meshes: list[Mesh] = []
    found: list[list[tuple[Float32, Float32]]] = []
    for number, one in enumerate(_each(coefficients)):
        mesh = mesh_of(rig, one)
        found.append([maps_of(mesh, drawn(mesh, camera, side), camera)])
        if deformation is not None:
            mesh = _deformed(mesh, deformation[number])
            drawing = drawn(mesh, camera, side)
            found[-1].append(maps_of(mesh, drawing, camera))
            if displacement is not None:
                slope = surface_gradient(grid.of_vertices(mesh.vertices), displacement[number])
                relief = np.concatenate([slope, displacement[number, ..., None]], axis=-1).astype(np.float32)
                found[-1].append(maps_of(mesh, drawing, camera, at_pixels(rig, drawing, relief)))
        meshes.append(mesh)
    stages = range(len(found[0]))
    return Prediction(
        normals=tuple(np.stack([maps[stage][0] for maps in found]) for stage in stages),
        depths=tuple(np.stack([maps[stage][1] for maps in found]) for stage in stages),
        position_map=np.stack([grid.of_vertices(mesh.vertices) for mesh in meshes]),
        deformation_map=deformation,
        displacement_map=displacement,
        coefficients=coefficients,
        cameras=[camera] * len(meshes),
        meshes=meshes,
    )


def _each(coefficients: Mapping[str, Float32]) -> list[dict[str, Float32]]:
    """The coefficients of one head after another."""
    count = len(next(iter(coefficients.values())))
    return [{name: values[number] for name, values in coefficients.items()} for number in range(count)]


def _deformed(mesh: Mesh, deformation: Float32) -> Mesh:
    """M_1: a head's vertices moved by a deformation map [64, 64, 3], mm in the mesh's frame."""
    vertices = mesh.vertices + deformed_by(shipped_rig(), deformation)
    vertices[:, 2] = np.minimum(vertices[:, 2], -1.0)  # no head reaches the camera
    return Mesh(vertices, mesh.triangles, mesh.corner_uv)
