# SPDX-License-Identifier: Apache-2.0
"""DF²Net's losses (equations 1, 2 and 5)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from lineament.methods.df2net.parts import pixels
from lineament.render.light_fit import fit_light, normals_of_depth
from lineament.render.shading import spherical_harmonics_shading
from lineament.render.vectors import masked_mean

WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "dense": {"rec": 10.0},
    "fine": {"rec": 10.0, "sh": 0.1},
    "finer": {"rec": 1.0},
}
"""Weights of each network's losses (sections 3.3 to 3.5); those of D-Net's normals, 0.1, and of Fr-Net's
shading, 100, are options."""


_FLAT = 1e-10  # added under the root, whose slope at zero is not finite


def interior(face: Tensor) -> Tensor:
    """The face [B, 1, H, W] bool without its outline, whose normals would lean on depth that is not there."""
    return F.max_pool2d((~face).float(), 3, 1, 1) == 0


def depth_loss(depth: Tensor, truth: Tensor, face: Tensor) -> Tensor:
    """Mean absolute difference of depths [B, 1, H, W] over the face [B, 1, H, W] bool (equation 1)."""
    return masked_mean((depth - truth).abs(), face)


def normal_loss(depth: Tensor, truth: Tensor, face: Tensor) -> Tensor:
    """Mean absolute difference of the depths' normals over the face (equation 2)."""
    difference = normals_of_depth(pixels(depth)) - normals_of_depth(pixels(truth))
    return masked_mean(difference.abs(), interior(face))


def shading_loss(depth: Tensor, guide: Tensor, image: Tensor, albedo: Tensor, face: Tensor) -> Tensor:
    """Norm of the difference of a picture and what light, albedo and the depth's normals make of it (equations 3 to 5).

    The root of the mean square over a face's pixels, so that its weight does not depend on how many there are; the mean
    over the faces.

    Args:
        depth: [B, 1, H, W] the estimate.
        guide: [B, 1, H, W] the depth from whose normals the light is solved: ground truth, or the depth before.
        image: [B, 3, H, W] linear light.
        albedo: [B, 3, H, W] linear.
        face: [B, 1, H, W] bool.

    Returns:
        A scalar. Gradients reach the estimate; the light is a constant.
    """
    face = interior(face)
    light = fit_light(image, albedo, normals_of_depth(pixels(guide)), face).detach()
    shown = albedo * spherical_harmonics_shading(normals_of_depth(pixels(depth)), light)
    weight = face.to(shown.dtype)
    squares = ((shown - image).square() * weight).sum((1, 2, 3)) / (3.0 * weight.sum((1, 2, 3))).clamp_min(1.0)
    norm: Tensor = (squares + _FLAT).sqrt().mean() - _FLAT**0.5
    return norm
