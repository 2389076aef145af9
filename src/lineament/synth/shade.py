# SPDX-License-Identifier: Apache-2.0
"""Light meets the head: soft diffuse skin, shadows, cavities and gloss."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.geometry.spherical_harmonics import Y00
from lineament.render.shading import blinn_phong, cast_shadow, cavity_occlusion, spherical_harmonics_shading
from lineament.synth.batch import CameraBatch, MaskClass
from lineament.synth.fields import dot, per_sample, unit
from lineament.synth.light import LAMPS, Light
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom
from lineament.synth.skin import Surface

_SHADOWED = 2  # the weakest lamp only fills, its shadow is not seen


def shade(
    normals: Tensor,
    albedo: Tensor,
    depth: Tensor,
    solid: Tensor,
    mask: Tensor,
    surface: Surface,
    light: Light,
    camera: CameraBatch,
    draws: SampleRandom,
    bank: NoiseBank,
) -> Tensor:
    """Outgoing linear light of every pixel.

    Args:
        normals: [B, 3, S, S] unit, camera frame.
        albedo: [B, 3, S, S] linear.
        depth: [B, 1, S, S] px, larger is nearer.
        solid: [B, 1, S, S] bool, where the head is.
        mask: [B, 1, S, S] MaskClass.
        surface: Canonical coordinates, for gloss that varies over the face.
        light: The light.
        camera: The cameras, for the viewing direction.
        draws: The photo's random draws.
        bank: Noise fields.

    Returns:
        [B, 3, S, S] linear, not yet exposed.
    """
    size = normals.shape[-1]
    skin, eyes, hair = (mask == int(c) for c in (MaskClass.SKIN, MaskClass.EYES, MaskClass.HAIR))
    # About 10 mm on a face of the usual span; the same for all faces of a batch, none of which may know the others.
    occlusion = cavity_occlusion(depth[:, 0], solid[:, 0], max(2.0, 0.042 * size))
    crevice = occlusion.clamp(0.0, 1.0)
    # Light that bounces in a cavity of skin comes back redder (interreflection).
    tinted = crevice ** torch.tensor([0.8, 1.0, 1.1], device=crevice.device).view(1, 3, 1, 1)
    ambient = spherical_harmonics_shading(normals, light.environment)
    floor = 0.06 * Y00 * light.environment[:, 0][:, :, None, None]
    diffuse = torch.maximum(ambient, floor) * tinted

    scatter = draws.uniform("scatter", 0.0, 1.0)[:, None, None, None]
    wrap = scatter * torch.tensor([0.22, 0.09, 0.05], device=crevice.device).view(1, 3, 1, 1) * skin
    view = _view(camera, size)
    oil = draws.uniform("gloss", 0.02, 0.55)[:, None, None, None]
    patchy = (1.0 + 0.4 * bank.sample("fractal", surface.tiles(90.0), draws, "gloss map")).clamp(0.1, 2.0)
    strength = torch.where(eyes, torch.full_like(oil, 0.5), torch.where(hair, 0.3 * oil, oil * patchy))
    shininess = draws.log_uniform("shininess", 8.0, 70.0)
    peak = per_sample((shininess + 8.0) / 25.0)  # of the normalised lobe
    glint = 200.0 / per_sample(shininess)
    gloss = torch.zeros_like(diffuse)
    for i in range(LAMPS):
        direction, colour = light.direction[:, i], light.colour[:, i][:, :, None, None]
        facing = dot(normals, direction[:, :, None, None])
        lit = ((facing + wrap) / (1.0 + wrap)).clamp_min(0.0)
        visible = torch.ones_like(oil)
        if i < _SHADOWED:
            visible = cast_shadow(depth[:, 0], solid[:, 0], direction, light.softness[:, i])
        diffuse = diffuse + colour * lit * visible
        # The cornea's glint is taken from the same lobe, sharpened, which saves a second one.
        highlight = blinn_phong(normals, direction, view, shininess)
        highlight = torch.where(eyes, 3.0 * (highlight / peak) ** glint, highlight)
        gloss = gloss + colour * highlight * visible * (facing > 0)
    return albedo * diffuse + 0.12 * strength * gloss * crevice


def _view(camera: CameraBatch, size: int) -> Tensor:
    """Unit directions [B, 3, S, S] from the face towards the camera."""
    rows = torch.arange(size, device=camera.focal.device) + 0.5
    x = (rows[None, None, :] - camera.principal[:, 0, None, None]) / camera.focal[:, None, None]
    y = -(rows[None, :, None] - camera.principal[:, 1, None, None]) / camera.focal[:, None, None]
    x, y = x.expand(-1, size, -1), y.expand(-1, -1, size)
    return unit(torch.stack([-x, -y, torch.ones_like(x)], dim=1))
