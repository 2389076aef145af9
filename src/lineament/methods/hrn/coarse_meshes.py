# SPDX-License-Identifier: Apache-2.0
"""The coarse meshes M_0 of batches, of coefficients that are known already, on the face's chart."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lineament.methods.hrn.chart import FaceChart
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.model import CHART
from lineament.render.morphable import MorphableFace, assumed_camera, head_rotation, posed
from lineament.rig import load_rig


class CoarseMeshes:
    """The shipped rig as trainings of the maps need it."""

    def __init__(self) -> None:
        rig = load_rig()
        self.face = MorphableFace.of(rig)
        self.chart = FaceChart(rig, CHART)
        self.triangles = torch.from_numpy(rig.weld()[rig.faces])

    def on(self, device: torch.device) -> CoarseMeshes:
        """Move to a device, and give itself."""
        if self.face.mean.device != device:
            self.face, self.triangles = self.face.to(device), self.triangles.to(device)
            self.chart = self.chart.to(device)
        return self

    def vertices(self, coefficients: Tensor) -> Tensor:
        """Vertices [B, V, 3] of coefficients [B, K], mm, as the assumed camera sees them 1000 mm before it."""
        return self.posed(named(coefficients))

    def posed(self, found: Mapping[str, Tensor]) -> Tensor:
        """The same of coefficients by their names."""
        camera = assumed_camera(head_rotation(found["angles"]), found["translation"], 1)
        return posed(self.face.shape(found["identity"], found["expression"]), camera)


def named(coefficients: Tensor) -> dict[str, Tensor]:
    """Coefficients [B, K] by their names."""
    return dict(zip(SIZES, coefficients.split(tuple(SIZES.values()), dim=1), strict=True))
