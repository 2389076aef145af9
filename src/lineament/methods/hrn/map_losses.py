# SPDX-License-Identifier: Apache-2.0
"""HRN's losses of the detail maps (sections 3.2 and 3.3), at the texels of the face's chart, without a rasteriser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import polynomials
from lineament.methods.hrn.chart import FaceChart, detailed_normals
from lineament.methods.hrn.losses import sampled
from lineament.methods.hrn.model import CHART, UNIT, DetailMaps, placed_pixels
from lineament.networks.vgg import VGG19Features
from lineament.render.colour import srgb_curve
from lineament.render.raster import vertex_normals
from lineament.render.vectors import dot, unit

MARGIN = 0.01  # λ of equation 2, shares of the side
LOWER = 100.0 / 224.0  # δ of equation 1, share of the side from the top
_FACING = 0.15  # z of a normal below which its colour is not looked at
_KNOWN = 0.9  # length of a sampled normal from which on all of its neighbours are known
_PICTURE = 224.0  # pixels in which the landmark loss is said
_HEAVY = 20.0  # weight of the landmarks at the nose's ridge and the inner mouth (Deng et al. 2019)


@dataclass(frozen=True)
class Layers:
    """M_1 and M_2 of B faces, as the assumed camera sees them."""

    vertices: Tensor
    """[B, V, 3] mm of M_1, the camera 1000 mm before the origin."""
    places: Tensor
    """[B, T², 2] where the chart's texels of M_1 are seen, shares of the side."""
    deformed: Tensor
    """[B, 3, T, T] unit normals of M_1."""
    detailed: Tensor
    """[B, 3, T, T] unit normals of M_2."""


def layers_of(coarse: Tensor, maps: DetailMaps, chart: FaceChart, triangles: Tensor) -> Layers:
    """Deform coarse meshes and lay the displacement on them.

    Args:
        coarse: [B, V, 3] mm, vertices of M_0.
        maps: What the networks say.
        chart: At 256 texels.
        triangles: [F, 3] of the head, over its seams.
    """
    vertices = coarse + chart.at_vertices(maps.deformation)
    position = chart.of_vertices(vertices)
    deformed = unit(chart.of_vertices(vertex_normals(vertices, triangles)))
    places = (placed_pixels(position) / CHART).flatten(2).transpose(1, 2)
    return Layers(vertices, places, deformed, detailed_normals(deformed, maps.slope))


def at_texels(picture: Tensor, layers: Layers) -> Tensor:
    """A picture [B, C, S, S] where the texels of M_1 are seen, [B, C, T, T]; places take no gradient."""
    texels: Tensor = sampled(picture, layers.places).transpose(1, 2).unflatten(2, layers.deformed.shape[-2:])
    return texels


def seen_on(skin: Tensor, layers: Layers, seen: Tensor) -> Tensor:
    """[B, 1, T, T] how surely a texel's colour is its own: seen, on skin, and facing the camera.

    Args:
        skin: [B, 1, S, S] bool.
        layers: The meshes.
        seen: [B, 1, T, T].
    """
    whole = at_texels(skin.float(), layers) > 0.99
    facing = layers.deformed[:, 2:].detach() > _FACING
    return seen.detach() * whole * facing


def rendered(normals: Tensor, albedo: Tensor, light: Tensor) -> Tensor:
    """Texels lit by spherical harmonics, [B, 3, T, T] sRGB: normals, linear albedo, light [B, 27]."""
    basis = torch.stack(polynomials(*normals.unbind(1)), dim=1)  # [B, 9, T, T]
    shading = torch.einsum("bkhw,bkc->bchw", basis, light.unflatten(1, (9, 3)))
    return srgb_curve(albedo * shading)


def mean_over(values: Tensor, weight: Tensor) -> Tensor:
    """The mean of values [B, 1, T, T], weighted; 0 where nothing has weight."""
    total: Tensor = (values * weight).sum() / weight.sum().clamp_min(1.0)
    return total


def photometric_loss(shown: Tensor, photo: Tensor, weight: Tensor) -> Tensor:
    """Mean distance of colours [B, 3, T, T], sRGB, where they are seen (Deng et al. 2019, equation 1)."""
    return mean_over(dot(shown - photo, shown - photo).add(1e-8).sqrt(), weight)


def perceptual_loss(features: VGG19Features, shown: Tensor, photo: Tensor, weight: Tensor) -> Tensor:
    """1 - cosine between the features of what is rendered on the chart and of the photo there, at half its size.

    The deepest block alone, as the paper's: what is compared there is a face's look, not its pixels. What is not seen
    is the photo's in both.
    """
    both = [F.avg_pool2d(each, 2) for each in (torch.lerp(photo, shown, weight), photo)]
    own, other = (features(each)[-1] for each in both)
    away: Tensor = 1.0 - F.cosine_similarity(own, other.detach(), dim=1)
    return away.mean()


def landmark_loss(places: Tensor, landmarks: Tensor, visible: Tensor) -> Tensor:
    """Mean squared distance of 68 places [B, 68, 2] from landmarks, pixels of a picture of 224 (Deng et al. 2019).

    The nose's ridge and the inner mouth weigh 20. Landmarks that are hidden, [B, 68] not visible, do not count.
    """
    weight = torch.ones_like(places[..., 0])
    weight[:, 27:31] = weight[:, 60:] = _HEAVY
    weight = weight * visible
    away: Tensor = (_PICTURE * (places - landmarks)).square().sum(-1)
    return (away * weight).sum() / weight.sum().clamp_min(1.0)


def total_variation(maps: Tensor) -> Tensor:
    """Mean squared change between neighbouring texels of a map [B, C, H, W] mm, in units of 100 mm."""
    across, down = (maps.diff(dim=axis) / UNIT for axis in (3, 2))
    total: Tensor = across.square().mean() + down.square().mean()
    return total


def size_loss(displacement: Tensor) -> Tensor:
    """Mean absolute displacement [B, 1, T, T] mm, in units of 100 mm."""
    return displacement.abs().mean() / UNIT


def edges_of(face: Tensor) -> Tensor:
    """Left and right end of each row of masks [B, 1, S, S]: [B, S, 2] shares of the side; none where a row is empty.

    Rows without a face have their left end beyond the right one.
    """
    side = face.shape[-1]
    number = torch.arange(side, device=face.device)
    left = torch.where(face[:, 0], number, side).amin(-1)
    right = torch.where(face[:, 0], number + 1, 0).amax(-1)
    return torch.stack([left, right], dim=-1) / side


def contour_loss(places: Tensor, edges: Tensor, used: Tensor) -> Tensor:
    """The contour-aware loss (equations 1 and 2): vertices outside the face's mask are pulled to its edge.

    Args:
        places: [B, V, 2] of vertices, shares of the side.
        edges: [B, S, 2], `edges_of` the mask of the face.
        used: [V] bool, vertices of the face.
    """
    side = edges.shape[1]
    row = (places[..., 1].detach() * side).long().clamp(0, side - 1)
    ends = edges.gather(1, row[..., None].expand(-1, -1, 2))  # [B, V, 2]
    left, right = (ends - places[..., :1]).unbind(-1)
    farther = torch.maximum(left.abs(), right.abs()).clamp_min(1e-6)
    outside = left * right / farther  # negative inside
    cost = (F.relu(outside + MARGIN) - MARGIN).abs()
    counted = used & (places[..., 1].detach() > LOWER) & (ends[..., 0] < ends[..., 1])
    total: Tensor = (cost * counted).sum() / counted.sum().clamp_min(1)
    return total


def normal_loss(normals: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean of 1 - cos between normals [B, 3, T, T] where the truth, of unit length, is known."""
    known = dot(truth, truth) > _KNOWN**2
    return mean_over(1.0 - dot(normals, unit(truth)), weight * known)


def vertex_places(vertices: Tensor) -> Tensor:
    """Where the assumed camera sees vertices [B, V, 3], shares of the side, [B, V, 2]."""
    return placed_pixels(vertices.transpose(1, 2)[..., None])[..., 0].transpose(1, 2) / CHART


def weighted_parts(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """Those parts of a loss that have a weight."""
    return {name: part for name, part in parts.items() if weights.get(name, 0.0) > 0.0}
