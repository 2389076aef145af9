# SPDX-License-Identifier: Apache-2.0
"""How well a head explains its photos: the parts of the loss that need no labels (HRN, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lineament.methods.hrn import map_losses
from lineament.methods.hrn.coarse_meshes import CoarseMeshes
from lineament.methods.hrn.model import DetailMaps
from lineament.training.batch import Batch


@dataclass(frozen=True)
class Explained:
    """B heads before their photos."""

    layers: map_losses.Layers
    """M_1 and M_2."""
    parts: dict[str, Tensor]
    """Parts of the loss by name."""
    weight: Tensor
    """[B, 1, T, T] how surely a texel's colour is the photo's."""
    drawn: dict[str, Tensor]
    """``mid`` and ``high``: M_1 and M_2 on the chart as they are rendered, [B, 3, T, T] sRGB."""
    photo: Tensor
    """[B, 3, T, T] the photo there."""


def explained(
    meshes: CoarseMeshes,
    coarse: Tensor,
    maps: DetailMaps,
    batch: Batch,
    albedo: Tensor,
    light: Tensor,
) -> Explained:
    """Render heads on the chart and compare them with their photos.

    Args:
        meshes: The rig.
        coarse: [B, V, 3] mm, M_0 as the assumed camera sees it.
        maps: Its detail.
        batch: Photos with the labels ``skin``, ``face``, ``landmarks``, ``visible``.
        albedo: [B, 3, T, T] linear.
        light: [B, 27].
    """
    layers = map_losses.layers_of(coarse, maps, meshes.chart, meshes.triangles)
    photo = map_losses.at_texels(batch.image, layers)
    weight = map_losses.seen_on(batch["skin"], layers, maps.seen)
    places = map_losses.vertex_places(layers.vertices)
    parts = {
        "landmark": map_losses.landmark_loss(places[:, meshes.face.landmarks], batch["landmarks"], batch["visible"]),
        "contour": map_losses.contour_loss(places, map_losses.edges_of(batch["face"]), meshes.chart.used),
        "smoothness": map_losses.total_variation(maps.deformation),
        "size": map_losses.size_loss(maps.displacement),
    }
    drawn = {}
    for name, normals in (("mid", layers.deformed), ("high", layers.detailed)):
        drawn[name] = map_losses.rendered(normals, albedo, light)
        parts[f"photometric_{name}"] = map_losses.photometric_loss(drawn[name], photo, weight)
    return Explained(layers, parts, weight, drawn, photo)
