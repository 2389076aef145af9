# SPDX-License-Identifier: Apache-2.0
"""What the generator gives: images with every label, as one batch of tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from lineament.annotations.parsing import MaskClass
from lineament.render.cameras import CameraBatch

__all__ = ["MaskClass", "SampleBatch"]


@dataclass(frozen=True)
class SampleBatch:
    """A batch of labelled faces; B samples at S×S pixels."""

    index: Tensor  # [B] int64
    person: Tensor  # [B] int64, the identity's number
    image: Tensor  # [B, 3, S, S] sRGB in [0, 1]
    normals: Tensor  # [B, 3, S, S] unit, camera frame, with wrinkles and pores; zero off the head
    smooth_normals: Tensor  # [B, 3, S, S] unit, of the mesh alone; zero off the head
    depth: Tensor  # [B, 1, S, S] crop pixels, larger is nearer, zero at the face's centre and off the head
    mask: Tensor  # [B, 1, S, S] uint8, MaskClass
    albedo: Tensor  # [B, 3, S, S] linear, zero off the head
    landmarks: Tensor  # [B, 68, 2] px, pixel centres at integer + 0.5
    visible: Tensor  # [B, 68] bool: landmarks in the picture that neither the head itself nor anything else hides
    light: Tensor  # [B, 9, 3] spherical harmonics of the shading on a convex face, linear
    identity: Tensor  # [B, K] rig coefficients, unit standard deviation
    asymmetry: Tensor  # [B, K] coefficients by which the halves of the face differ
    stretch: Tensor  # [B, 3] factors of the rig's x, y, z that the coefficients gave
    profile: Tensor  # [B] shear of the stretched face: depth lost per height
    curvature: Tensor  # [B] of the stretched face: depth lost per square of the distance from the midline, 1/mm
    deformation: Tensor  # [B, 2, 3, M] weights of the random deformation (`deform.Deformation`)
    expression: Tensor  # [B, E] rig coefficients in [0, 1]
    camera: CameraBatch

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; the camera's are named ``camera.rotation`` and so on."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "camera"}
        named.update({f"camera.{f.name}": getattr(self.camera, f.name) for f in fields(self.camera)})
        return named
