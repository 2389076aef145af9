# SPDX-License-Identifier: Apache-2.0
"""HRN's losses (section 3.2, after Deng et al. 2019), for faces whose shape is known."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import polynomials
from lineament.render.cameras import project
from lineament.render.colour import srgb_curve
from lineament.render.morphable import MorphableFace, assumed_camera, head_rotation, posed
from lineament.rig.model import LANDMARK_COUNT
from lineament.training.batch import Batch

_PER_CENT = 100.0
_EXPRESSION, _LIGHT = 0.8, 1.0  # of the regularisation, beside the identity's 1
_FACING = 0.15  # z of a vertex's normal below which its colour is not looked at
_HIDDEN = 0.2  # weight of a landmark of a photo that is only guessed
_KNOWN = 0.9  # length of a sampled normal from which on all of its neighbours are known
_LANDMARKS = 4.0  # weight of the landmarks beside other vertices


def placed(found: Mapping[str, Tensor], model: MorphableFace, side: int) -> tuple[Tensor, Tensor]:
    """Where coefficients put a model's vertices.

    Args:
        found: Coefficients by name, [B, ·] each.
        model: The vertices' model.
        side: Of the crop, pixels.

    Returns:
        [B, M, 3] mm in the camera frame, and [B, M, 2] shares of the side.
    """
    camera = assumed_camera(head_rotation(found["angles"]), found["translation"], side)
    vertices = posed(model.shape(found["identity"], found["expression"]), camera)
    points, _ = project(vertices, camera)
    return vertices, points[..., :2] / side


def vertex_loss(vertices: Tensor, truth: Tensor) -> Tensor:
    """Mean distance in mm between shapes [B, M, 3] that both stand as the picture shows them, about their means."""
    own, other = (v - v.mean(1, keepdim=True) for v in (vertices, truth))
    away: Tensor = (own - other).norm(dim=-1)
    return away.mean()


def aligned_vertex_loss(vertices: Tensor, truth: Tensor) -> Tensor:
    """Mean distance in mm between shapes [B, M, 3] after the rotation and shift that bring them closest (Kabsch 1976).

    It sees the shape alone, however the head is turned. The rotation, a minimum's, takes no gradient.
    """
    own, other = (v - v.mean(1, keepdim=True) for v in (vertices, truth))
    with torch.no_grad():
        left, _, right = torch.linalg.svd((own.transpose(1, 2) @ other).double())
        sign = torch.ones_like(left[:, 0])
        sign[:, 2] = torch.det(left @ right).sign()
        rotation = ((left * sign[:, None]) @ right).to(own.dtype)
    away: Tensor = (own @ rotation - other).norm(dim=-1)
    return away.mean()


def place_loss(places: Tensor, truth: Tensor) -> Tensor:
    """Mean distance of places [B, M, 2] in per cent of the crop's side; landmarks, which come first, count more."""
    away: Tensor = _PER_CENT * (places - truth).norm(dim=-1)
    weight = torch.ones_like(away[:1])
    weight[:, :LANDMARK_COUNT] = _LANDMARKS
    return (away * weight).sum() / weight.expand_as(away).sum()


def regularisation_loss(found: Mapping[str, Tensor]) -> Tensor:
    """Mean square of the coefficients: the mean face is the likeliest; light is nearly white."""
    light = found["light"].unflatten(1, (9, 3))
    parts = (
        found["identity"].square().mean(),
        found["albedo"].square().mean(),
        _EXPRESSION * found["expression"].square().mean(),
        _LIGHT * (light - light.mean(2, keepdim=True)).square().mean(),
    )
    return torch.stack(parts).sum()


def albedo_loss(albedo: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of linear reflectance [B, M, 3], encoded as sRGB: dark skin counts as light skin."""
    return (srgb_curve(albedo) - srgb_curve(truth)).abs().mean()


def photometric_loss(
    found: Mapping[str, Tensor], albedo: Tensor, batch: Batch, places: Tensor, normals: Tensor
) -> Tensor:
    """How far shaded albedo is from the picture, at the vertices that are seen on skin.

    Args:
        found: Coefficients by name.
        albedo: [B, M, 3] linear.
        batch: Picture and skin.
        places: [B, M, 2] where the vertices are, shares of the side.
        normals: [B, M, 3] their normals.

    Returns:
        Mean absolute difference of colours encoded as sRGB.
    """
    seen, skin = sampled(batch.image, places), sampled(batch["skin"].float(), places)[..., 0]
    basis = torch.stack(polynomials(*normals.unbind(-1)), dim=-1)  # [B, M, 9]
    shading = basis @ found["light"].unflatten(1, (9, 3))
    away: Tensor = (srgb_curve(albedo * shading) - seen).abs().mean(-1)
    weight = (skin > 0.99) & (normals[..., 2] > _FACING)
    return (away * weight).sum() / weight.sum().clamp_min(1)


def landmark_loss(places: Tensor, landmarks: Tensor, visible: Tensor) -> Tensor:
    """Mean distance of 68 places [B, 68, 2] from landmarks, in per cent of the side; hidden ones count little."""
    away: Tensor = _PER_CENT * (places - landmarks).norm(dim=-1)
    weight = torch.where(visible, 1.0, _HIDDEN)
    total: Tensor = (away * weight).sum() / weight.sum()
    return total


def normal_loss(normals: Tensor, places: Tensor, known: Tensor) -> Tensor:
    """Mean of 1 - cos between vertices' normals [B, M, 3] and those of a map [B, 3, S, S], where it has some."""
    there = sampled(known, places)
    weight = (there.norm(dim=-1) > _KNOWN) & (normals[..., 2] > _FACING)
    away: Tensor = 1.0 - F.cosine_similarity(normals, there, dim=-1)
    total: Tensor = (away * weight).sum() / weight.sum().clamp_min(1)
    return total


def sampled(picture: Tensor, places: Tensor) -> Tensor:
    """A picture [B, C, S, S] at places [B, M, 2], shares of its side: [B, M, C]. Places take no gradient."""
    grid = 2.0 * places.detach()[:, None] - 1.0
    found: Tensor = F.grid_sample(picture, grid, mode="bilinear", align_corners=False)[:, :, 0]
    return found.transpose(1, 2)
