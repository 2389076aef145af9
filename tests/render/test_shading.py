# SPDX-License-Identifier: Apache-2.0
"""Shading against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import Y00
from lineament.render.preview import LIGHTS, shade_normals, shading_strip
from lineament.render.shading import blinn_phong, cast_shadow, cavity_occlusion, lambert, spherical_harmonics_shading


def sphere(size: int = 64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Normals [1, 3, S, S], depth [1, S, S] and mask of a sphere that fills most of the picture."""
    radius = 0.45 * size
    line = torch.arange(size) + 0.5 - size / 2
    x, y = line[None, :] / radius, -line[:, None] / radius
    inside = x**2 + y**2 < 0.999
    z = (1 - x**2 - y**2).clamp_min(0).sqrt()
    normals = torch.stack([x.expand(size, -1), y.expand(-1, size), z]) * inside
    return normals[None], (z * radius * inside)[None], inside[None]


def test_lambert_is_the_clamped_cosine() -> None:
    normals, _, _ = sphere()
    light = F.normalize(torch.tensor([[0.5, 0.2, 0.8]]), dim=1)
    expected = (normals[0] * light[0, :, None, None]).sum(0).clamp_min(0)
    assert torch.allclose(lambert(normals, light)[0, 0], expected, atol=1e-6)


def test_constant_light_shades_evenly() -> None:
    normals, _, mask = sphere()
    coefficients = torch.zeros(1, 9, 3)
    coefficients[:, 0] = 0.7 / Y00
    shading = spherical_harmonics_shading(normals, coefficients)
    assert torch.allclose(shading[:, :, mask[0]], torch.tensor(0.7), atol=1e-5)


def test_the_highlight_sits_at_the_half_vector_and_narrows() -> None:
    normals, _, _ = sphere()
    light = F.normalize(torch.tensor([[0.6, 0.0, 0.8]]), dim=1)
    view = torch.zeros_like(normals)
    view[:, 2] = 1
    half = F.normalize(light + torch.tensor([[0.0, 0.0, 1.0]]), dim=1)
    broad, narrow = (blinn_phong(normals, light, view, torch.tensor([s]))[0, 0] for s in (10.0, 80.0))
    peak = int(narrow.argmax())
    assert (normals[0].flatten(1)[:, peak] * half[0]).sum() > 0.998
    assert narrow.max() > broad.max()
    assert narrow.max() == pytest.approx(88 / (8 * math.pi), rel=0.05)
    assert (narrow > 0.5 * narrow.max()).sum() < (broad > 0.5 * broad.max()).sum()


def test_a_wall_casts_a_shadow_of_its_height() -> None:
    depth = torch.zeros(1, 128, 128)
    depth[:, :, 80:84] = 20.0  # a wall 20 px high
    mask = torch.ones(1, 128, 128, dtype=torch.bool)
    light = F.normalize(torch.tensor([[1.0, 0.0, 1.0]]), dim=1)  # from the right, 45°: the shadow is 20 px long
    visible = cast_shadow(depth, mask, light, torch.tensor([0.0]))[0, 0, 64]
    assert visible[68:76].max() < 0.4
    assert visible[:50].min() > 0.95
    assert visible[90:].min() > 0.95


@pytest.mark.parametrize(("x", "y"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize("slope", [0.5, 1.0])
def test_the_shadow_falls_away_from_the_light_and_is_longer_when_it_is_lower(x: int, y: int, slope: float) -> None:
    size, tall = 192, 16.0
    line = torch.arange(size) + 0.5 - size / 2
    towards = x * line[None, :] - y * line[:, None]  # px from the wall's middle towards the light; y points up
    depth = torch.where(towards.abs() < 3, tall, 0.0)[None]
    light = F.normalize(torch.tensor([[float(x), float(y), slope]]), dim=1)
    mask = torch.ones_like(depth, dtype=torch.bool)
    visible = cast_shadow(depth, mask, light, torch.tensor([0.0]))[0, 0]
    length = tall / slope
    from_wall = -towards - 3
    assert visible[(from_wall > 3) & (from_wall < 0.5 * length)].max() < 0.35
    assert visible[(from_wall > 1.5 * length) & (from_wall < 2.5 * length)].min() > 0.9
    assert visible[towards > 6].min() > 0.95
    # Rays start above their surface, so that the shadow's edge comes a little early, never late.
    edge = from_wall[(visible < 0.5) & (from_wall > 0)].max()
    assert 0.65 * length < edge < 1.02 * length


def test_a_softer_light_makes_a_wider_penumbra() -> None:
    depth = torch.zeros(1, 128, 128)
    depth[:, :, 80:84] = 20.0
    mask = torch.ones(1, 128, 128, dtype=torch.bool)
    light = F.normalize(torch.tensor([[1.0, 0.0, 1.0]]), dim=1)
    hard, soft = (cast_shadow(depth, mask, light, torch.tensor([s]))[0, 0, 64] for s in (0.0, 1.0))
    assert ((soft > 0.1) & (soft < 0.9)).sum() > ((hard > 0.1) & (hard < 0.9)).sum()


def test_a_lit_sphere_does_not_shade_itself() -> None:
    normals, depth, mask = sphere(128)
    light = F.normalize(torch.tensor([[0.5, 0.3, 0.8]]), dim=1)
    visible = cast_shadow(depth, mask, light, torch.tensor([0.1]))
    lit = (lambert(normals, light) > 0.5) & (normals[:, 2:] > 0.3)
    assert visible[lit].min() > 0.85


def test_cavities_are_darker_than_bumps() -> None:
    line = torch.arange(96.0) - 48
    bowl = torch.exp(-(line[None] ** 2 + line[:, None] ** 2) / 60)
    mask = torch.ones(1, 96, 96, dtype=torch.bool)
    deep = cavity_occlusion(-12 * bowl[None], mask, 10.0)[0, 0]
    high = cavity_occlusion(12 * bowl[None], mask, 10.0)[0, 0]
    assert deep[48, 48] < 0.8
    assert high[48, 48] == pytest.approx(1.0, abs=0.02)
    assert deep[5, 48] == pytest.approx(1.0, abs=0.05)


def test_previews_light_the_side_that_faces_the_lamp() -> None:
    normals = sphere()[0][0].permute(1, 2, 0).numpy().astype(np.float32)
    left = shade_normals(normals, LIGHTS[1])
    assert left[32, 10] > left[32, 54]
    assert left[0, 0] == 0
    strip = shading_strip(normals)
    assert strip.shape == (64, 64 * len(LIGHTS), 3)
