# SPDX-License-Identifier: Apache-2.0
"""Light meets the head: soft diffuse skin, shadows, cavities and gloss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import Y00
from lineament.render.cameras import CameraBatch
from lineament.render.shading import blinn_phong, cast_shadow, cavity_occlusion, spherical_harmonics_shading
from lineament.render.vectors import dot, unit
from lineament.synth.batch import MaskClass
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import gaussian_blur
from lineament.synth.fields import per_sample
from lineament.synth.light import LAMPS, Light, barred
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom
from lineament.synth.skin import Surface

_FRESNEL = 0.028  # reflectance of skin where light falls in straight
_BARRED = 0.05  # share of photos whose strongest lamp shines through blinds, twigs or a fence
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
    config: SynthConfig,
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
        config: Strengths of translucency and sheen.

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
    # Lids and lashes keep light from the eyes, most of it under the upper lid.
    socket = _socket(eyes, size) * per_sample(draws.uniform("lid shadow", 0.3, 0.9))
    crevice = torch.where(eyes, crevice * (1.0 - socket), crevice)

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
    bars = barred(draws, bank, size, _BARRED)
    for i in range(LAMPS):
        direction, colour = light.direction[:, i], light.colour[:, i][:, :, None, None]
        facing = dot(normals, direction[:, :, None, None])
        lit = ((facing + wrap) / (1.0 + wrap)).clamp_min(0.0)
        visible = torch.ones_like(oil)
        if i < _SHADOWED:
            visible = cast_shadow(depth[:, 0], solid[:, 0], direction, light.softness[:, i])
        if i == 0:
            visible = visible * bars
        diffuse = diffuse + colour * lit * visible * torch.where(eyes, 1.0 - 0.6 * socket, 1.0)
        # The cornea's glint is taken from the same lobe, sharpened, which saves a second one.
        highlight = blinn_phong(normals, direction, view, shininess)
        highlight = torch.where(eyes, 3.0 * (highlight / peak) ** glint, highlight)
        # Schlick's approximation of Fresnel's law, relative to light that falls in straight.
        along = ((1.0 + dot(view, direction[:, :, None, None])) * 0.5).clamp_min(0.0).sqrt()
        highlight = highlight * (1.0 + config.sheen * (1.0 / _FRESNEL - 1.0) * (1.0 - along) ** 5)
        gloss = gloss + colour * highlight * visible * (facing > 0)
    if config.translucency > 0.0:
        diffuse = _spread(diffuse, skin, config.translucency * scatter, camera)
    lit = albedo * diffuse + 0.12 * strength * gloss * crevice
    if config.sheen > 0.0:
        lit = lit + config.sheen * strength * _mirrored(normals, view, light) * crevice
    return lit


def _socket(eyes: Tensor, size: int) -> Tensor:
    """How deep under the lids the pixels of eyes lie, [B, 1, S, S] from 0 to 1; the upper lid reaches farther."""
    lids = 1.0 - eyes.to(torch.float32)
    near = F.avg_pool2d(lids, 3, 1, 1)
    reach = max(1, round(0.016 * size))
    above = torch.stack([lids.roll(step, 2) for step in range(1, reach + 1)]).mean(0)
    return (0.4 * near + 0.8 * above).clamp(0.0, 1.0)


def _spread(diffuse: Tensor, skin: Tensor, scatter: Tensor, camera: CameraBatch) -> Tensor:
    """Light that enters skin leaves it millimetres away, red light farthest: a blur of the irradiance per channel."""
    inside = skin.to(diffuse.dtype)
    sigma = (2.2 * camera.scale * scatter[:, 0, 0, 0]).clamp_max(4.0)  # px; red light travels some 2 mm
    blurred = gaussian_blur(torch.cat([diffuse * inside, inside], dim=1), sigma)
    smooth = blurred[:, :3] / blurred[:, 3:].clamp_min(1e-3)
    share = torch.tensor([0.9, 0.45, 0.25], device=diffuse.device).view(1, 3, 1, 1) * inside
    return torch.lerp(diffuse, smooth, share)


def _mirrored(normals: Tensor, view: Tensor, light: Light) -> Tensor:
    """The environment as rough skin mirrors it, [B, 3, S, S], with Fresnel's law."""
    facing = dot(normals, view).clamp(0.0, 1.0)
    mirrored = unit(2.0 * facing * normals - view)
    # From the irradiance's bands back towards the radiance's, as far as a rough surface shows them.
    bands = torch.tensor([1.0, *[1.3] * 3, *[2.2] * 5], device=normals.device).view(1, 9, 1)
    radiance = spherical_harmonics_shading(mirrored, light.environment * bands).clamp_min(0.0)
    return radiance * (_FRESNEL + (1.0 - _FRESNEL) * (1.0 - facing) ** 5 * 0.5)


def _view(camera: CameraBatch, size: int) -> Tensor:
    """Unit directions [B, 3, S, S] from the face towards the camera."""
    rows = torch.arange(size, device=camera.focal.device) + 0.5
    x = (rows[None, None, :] - camera.principal[:, 0, None, None]) / camera.focal[:, None, None]
    y = -(rows[None, :, None] - camera.principal[:, 1, None, None]) / camera.focal[:, None, None]
    x, y = x.expand(-1, size, -1), y.expand(-1, -1, size)
    return unit(torch.stack([-x, -y, torch.ones_like(x)], dim=1))
