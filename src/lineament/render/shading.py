# SPDX-License-Identifier: Apache-2.0
"""Shading of normal and depth maps in torch: Lambert, Blinn-Phong, spherical harmonics, shadows, cavities.

All maps are [B, C, H, W]; directions are unit vectors in the camera frame (x right, y up, z towards the viewer).
Shadows and cavities work in screen space, on the depth map alone: good enough to train with, and cheap.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import polynomials

_FAR = -1e4  # depth of what is not there, px


def lambert(normals: Tensor, direction: Tensor) -> Tensor:
    """Clamped cosine between normals [B, 3, H, W] and a direction [B, 3] towards the light: [B, 1, H, W]."""
    return torch.einsum("bchw,bc->bhw", normals, direction)[:, None].clamp_min(0.0)


def spherical_harmonics_shading(normals: Tensor, coefficients: Tensor) -> Tensor:
    """Shading in spherical harmonics (order of `lineament.geometry.spherical_harmonics`).

    Args:
        normals: [B, 3, H, W] unit.
        coefficients: [B, 9, C] shading coefficients.

    Returns:
        [B, C, H, W]; may be negative where the light is strongly one-sided.
    """
    return torch.einsum("bkhw,bkc->bchw", torch.stack(polynomials(*normals.unbind(1)), dim=1), coefficients)


def blinn_phong(normals: Tensor, direction: Tensor, view: Tensor, shininess: Tensor) -> Tensor:
    """Specular lobe around the half vector, normalised to keep its energy at any shininess (Blinn 1977).

    Args:
        normals: [B, 3, H, W] unit.
        direction: [B, 3] towards the light.
        view: [B, 3, H, W] unit, towards the camera.
        shininess: [B] exponent.

    Returns:
        [B, 1, H, W] (s + 8) / 8π · (n · h)^s.
    """
    half = direction[:, :, None, None] + view
    length = half[:, :1].square() + half[:, 1:2].square() + half[:, 2:].square()
    cosine = normals[:, :1] * half[:, :1] + normals[:, 1:2] * half[:, 1:2] + normals[:, 2:] * half[:, 2:]
    exponent = shininess[:, None, None, None]
    # x^s as exp(s log x): a power with a tensor exponent is several times slower on the CPU.
    lobe = torch.exp(exponent * torch.log((cosine * torch.rsqrt(length.clamp_min(1e-8))).clamp_min(1e-4)))
    return (exponent + 8.0) / (8.0 * math.pi) * lobe


def cast_shadow(
    depth: Tensor, mask: Tensor, direction: Tensor, softness: Tensor, steps: int = 24, reduction: int = 2
) -> Tensor:
    """How much of a light each pixel sees past the rest of the depth map.

    Rays march from each pixel towards the light over the depth map, in steps that grow with the distance. What rises
    above a ray shades it, the more gently the softer the light and the farther the blocker. Surfaces that merely turn
    away from the light are left to the cosine. The slack that keeps lit surfaces from shading themselves makes shadows
    a fifth to a third shorter than they are, more so those of blockers of a few pixels, which steps may miss.

    Args:
        depth: [B, H, W] in pixels under scaled orthography, larger is nearer.
        mask: [B, H, W] bool, where there is a surface.
        direction: [B, 3] unit, towards the light.
        softness: [B] apparent size of the light, 0 for a point to 1.
        steps: Samples along each ray.
        reduction: The march runs at 1 / reduction of the resolution.

    Returns:
        [B, 1, H, W] visibility in [0, 1].
    """
    height, width = depth.shape[1:]
    coarse = torch.where(mask, depth, torch.full_like(depth, _FAR))[:, None, ::reduction, ::reduction]
    rows, columns = coarse.shape[2:]
    ys = ((torch.arange(rows, device=depth.device) + 0.5) / rows * 2 - 1).to(depth.dtype)
    xs = ((torch.arange(columns, device=depth.device) + 0.5) / columns * 2 - 1).to(depth.dtype)
    across = direction[:, :2].norm(dim=1).clamp_min(1e-3)
    step = direction[:, :2] / across[:, None]  # [B, 2] px per px walked
    rise = (direction[:, 2] / across)[:, None, None, None]  # [B, 1, 1, 1]
    soft = softness[:, None, None, None]
    reach = 0.45 * max(height, width)
    shade = torch.zeros_like(coarse)
    for i in range(1, steps + 1):
        walked = 1.0 + reach * (i / steps) ** 1.7  # px
        x = xs[None, None, :] + 2.0 * walked / width * step[:, 0, None, None]
        y = ys[None, :, None] - 2.0 * walked / height * step[:, 1, None, None]
        grid = torch.stack([x.expand(-1, rows, -1), y.expand(-1, -1, columns)], dim=-1)
        valid = F.grid_sample(coarse, grid, mode="nearest", padding_mode="border", align_corners=False)
        # A ray starts a little above its surface, more so farther away: the map is too coarse to graze.
        over = valid - coarse - rise * walked - 1.0 - 0.06 * walked
        penumbra = 0.5 + 0.6 * (0.15 + soft) * walked
        # Only what is near the ray blocks it: a depth map has no back, its surfaces are no endless pillars.
        blocks = (over < 0.35 * height) & (valid > 0.5 * _FAR)
        shade = torch.maximum(shade, (over / penumbra + 0.5).clamp(0.0, 1.0) * blocks)
    visible = F.avg_pool2d(1.0 - shade, 3, 1, 1, count_include_pad=False)
    return F.interpolate(visible, size=(height, width), mode="bilinear", align_corners=False)


def cavity_occlusion(depth: Tensor, mask: Tensor, radius: float) -> Tensor:
    """Ambient light that reaches into cavities, from how far a surface lies below its neighbourhood.

    Args:
        depth: [B, H, W] in pixels, larger is nearer.
        mask: [B, H, W] bool, where there is a surface.
        radius: Size of the neighbourhood, pixels.

    Returns:
        [B, 1, H, W] from 0.15 (deep) to 1 (open).
    """
    height, width = depth.shape[1:]
    factor = 4 if min(height, width) >= 192 else 2
    valid = mask[:, None].to(depth.dtype)
    total = F.avg_pool2d(depth[:, None] * valid, factor)
    share = F.avg_pool2d(valid, factor)
    sunk = torch.zeros_like(valid)
    for size in (0.4 * radius, radius):
        window = 2 * max(1, round(size / factor)) + 1

        def blur(field: Tensor, window: int = window) -> Tensor:
            for _ in range(2):
                field = F.avg_pool2d(field, window, 1, window // 2)
            return field

        around = blur(total) / blur(share).clamp_min(1e-3)
        around = F.interpolate(around, size=(height, width), mode="bilinear", align_corners=False)
        sunk = sunk + ((around - depth[:, None]) / max(size, 1.0)).clamp(0.0, 1.5)
    return (1.0 - 0.6 * sunk).clamp(0.15, 1.0)
