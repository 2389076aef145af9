# SPDX-License-Identifier: Apache-2.0
"""HFFNE's losses (section 3.4, equations 8 to 10) and those of its coarse network (Isola et al. 2017)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lineament.networks.vgg import VGG19Features, perceptual_distance
from lineament.render.colour import grey
from lineament.render.vectors import masked_mean


def absolute_loss(normals: Tensor, truth: Tensor, face: Tensor) -> Tensor:
    """Mean absolute error over the face.

    Args:
        normals: [B, 3, H, W].
        truth: [B, 3, H, W].
        face: [B, 1, H, W] bool.
    """
    return masked_mean((normals - truth).abs(), face)


def reconstruction_loss(normals: Tensor, exemplar: Tensor, face: Tensor) -> Tensor:
    """Smooth-L1 between fine and coarse normals, averaged over the face (equation 8); shapes as `absolute_loss`."""
    return masked_mean(F.smooth_l1_loss(normals, exemplar, reduction="none"), face)


def perceptual_loss(features: VGG19Features, image: Tensor, normals: Tensor, face: Tensor) -> Tensor:
    """L1 norm between relu1_2 of the grey photo and of N/2 + 0.5, where the face is (equation 9).

    Args:
        features: VGG-19, frozen.
        image: [B, 3, H, W] in [0, 1].
        normals: [B, 3, H, W] unit.
        face: [B, 1, H, W] bool; elsewhere both pictures are black.
    """
    shown = grey(image).expand_as(image) * face
    return perceptual_distance(features, shown, (0.5 * normals + 0.5) * face)
