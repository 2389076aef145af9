# SPDX-License-Identifier: Apache-2.0
"""What is not skin: eyes, the inside of the mouth, and clothes below the neck."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineament.render.cameras import project
from lineament.rig import Part
from lineament.synth.fields import per_sample, smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.person import PosedFace, RigTensors
from lineament.synth.random import SampleRandom
from lineament.synth.skin import Surface

_IRIS_COLOURS = (
    (0.035, 0.017, 0.008),  # dark brown
    (0.110, 0.050, 0.020),  # brown
    (0.140, 0.090, 0.030),  # hazel
    (0.100, 0.120, 0.060),  # green
    (0.110, 0.170, 0.240),  # blue
    (0.180, 0.200, 0.210),  # grey
)
_LIMBUS = math.radians(29.0)  # angle of the iris' rim from the optical axis, seen from the eye's centre
_CORNEA = 0.65  # radius of the cornea's curvature, in radii of the eyeball


def eye_albedo(
    surface: Surface, part: Tensor, rig: RigTensors, own: SampleRandom, draws: SampleRandom, bank: NoiseBank
) -> Tensor:
    """Linear reflectance [B, 3, H, W] of eyeballs: pupil, iris with fibres and dark rim, veined sclera."""
    away = _from_eye_centre(surface, part, rig)
    axial = away[:, 2:] / away.norm(dim=1, keepdim=True).clamp_min(1e-3)
    angle = torch.acos(axial.clamp(-1.0, 1.0))  # [B, 1, H, W] from the optical axis
    around = torch.atan2(away[:, 1:2], away[:, :1])

    tiles = torch.cat([around / 6.2832 * 2.0, angle * 0.6], dim=1).movedim(1, -1)
    fibres = bank.sample("streaks", tiles, own, "iris fibres")
    colour = torch.tensor(_IRIS_COLOURS, device=angle.device)
    colour = colour[own.choice("iris", (0.42, 0.2, 0.1, 0.08, 0.13, 0.07))][:, :, None, None]
    iris = colour * (1.0 + 0.35 * fibres).clamp(0.3, 2.0)
    iris = iris * (1.0 - 0.7 * smoothstep(0.8 * _LIMBUS, _LIMBUS, angle))
    veins = smoothstep(0.8, 2.2, bank.sample("wrinkle", surface.rest[:, :2].movedim(1, -1) / 14.0, own, "veins"))
    redness = own.uniform("eye redness", 0.0, 0.5)[:, None, None, None]
    white = torch.tensor([0.36, 0.33, 0.31], device=angle.device).view(1, 3, 1, 1)
    blood = torch.tensor([0.1, 0.55, 0.5], device=angle.device).view(1, 3, 1, 1)
    sclera = white * torch.exp(-blood * redness * (veins + smoothstep(0.6, 1.1, angle)))
    albedo = torch.lerp(iris, sclera, smoothstep(0.97 * _LIMBUS, 1.06 * _LIMBUS, angle))
    pupil = draws.uniform("pupil", 0.22, 0.55)[:, None, None, None] * _LIMBUS
    return albedo * smoothstep(0.9 * pupil, 1.05 * pupil, angle).clamp_min(0.02)


def cornea_height(surface: Surface, part: Tensor, rig: RigTensors) -> Tensor:
    """How far the cornea rises above the eyeball's sphere, [B, 1, H, W] mm: a sphere of 0.65 of the eyeball's radius.

    Both spheres meet at the limbus. Of the human eye's 12 mm that makes 7.8 mm, and 1.1 mm at the apex.
    """
    away = _from_eye_centre(surface, part, rig)
    radius = away.norm(dim=1, keepdim=True)
    cosine = away[:, 2:] / radius.clamp_min(1e-3)
    ratio = _CORNEA**2
    centre = math.cos(_LIMBUS) - math.sqrt(ratio - math.sin(_LIMBUS) ** 2)  # in radii of the eyeball
    above: Tensor = centre * cosine + (ratio - centre**2 * (1.0 - cosine**2)).clamp_min(0.0).sqrt() - 1.0
    height: Tensor = radius * above.clamp_min(0.0) * (cosine > 0.0)
    return height


def _from_eye_centre(surface: Surface, part: Tensor, rig: RigTensors) -> Tensor:
    """From the centre of the eyeball that a pixel belongs to, [B, 3, H, W] mm, the optical axis along z."""
    left = part == int(Part.EYE_LEFT)
    return surface.rest - torch.where(left, rig.eye_centre[0].view(1, 3, 1, 1), rig.eye_centre[1].view(1, 3, 1, 1))


def mouth_albedo(surface: Surface, part: Tensor, own: SampleRandom, bank: NoiseBank) -> Tensor:
    """Linear reflectance [B, 3, H, W] of gums, tongue and teeth, darker further inside."""
    depth = surface.rest[:, 2:]
    front = depth.amax((2, 3), keepdim=True)
    inside = smoothstep(30.0, 4.0, front - depth)
    wet = 1.0 + 0.15 * bank.sample("smooth", surface.rest[:, :2].movedim(1, -1) / 30.0, own, "tongue")
    flesh = torch.tensor([0.36, 0.11, 0.10], device=depth.device).view(1, 3, 1, 1) * wet
    shade = own.uniform("tooth shade", 0.0, 1.0)[:, None, None, None]
    tooth = torch.lerp(
        torch.tensor([0.72, 0.68, 0.58], device=depth.device).view(1, 3, 1, 1),
        torch.tensor([0.52, 0.43, 0.27], device=depth.device).view(1, 3, 1, 1),
        shade,
    )
    return torch.where(part == int(Part.TEETH), tooth, flesh) * (0.08 + 0.92 * inside)


def cloth(draws: SampleRandom, bank: NoiseBank, size: int) -> Tensor:
    """Colour of the clothes over the whole picture, [B, 3, S, S] in sRGB."""
    rows = (torch.arange(size, device=draws.device) + 0.5) / size
    grid = torch.stack(torch.broadcast_tensors(rows[None, :], rows[:, None]), dim=-1)
    colour = draws.uniform("cloth", 0.0, 0.9, shape=(3,))
    weave = bank.sample("fractal", grid.expand(len(colour), -1, -1, -1) * 1.5, draws, "cloth folds")
    grey = draws.bernoulli("plain cloth", 0.5)[:, None]
    colour = torch.where(grey, colour[:, :1], colour)[:, :, None, None]
    return (colour * (0.8 + 0.15 * weave)).clamp(0.0, 1.0)


def collar(surface: Surface, rig: RigTensors, draws: SampleRandom) -> Tensor:
    """Where clothes cover the neck, [B, 1, H, W] bool; some collars reach the chin, some are off the picture."""
    x, y = surface.rest[:, :1], surface.rest[:, 1:2]
    chin = rig.mean[rig.landmarks[8], 1]
    height = chin - per_sample(draws.uniform("collar height", 12.0, 100.0))
    opening = per_sample(draws.uniform("collar opening", -0.2, 0.9))  # round or V-shaped
    return surface.skin & (y < height - opening * (55.0 - x.abs()).clamp_min(0.0))


def shoulders(scene: Tensor, clothes: Tensor, face: PosedFace, rig: RigTensors, draws: SampleRandom) -> Tensor:
    """Paint clothed shoulders into a scene [B, 3, S, S], beside and below the neck."""
    size = scene.shape[-1]
    points, _ = project(face.vertices[:, (rig.part == int(Part.NECK)).nonzero()[:, 0]], face.camera)
    scale = face.camera.scale
    low = points[..., 1].amax(1) - scale * draws.uniform("shoulder height", 15.0, 60.0)  # [B] px
    middle = points[..., 0].mean(1)
    rows = torch.arange(size, device=scene.device) + 0.5
    across = (rows[None, :] - middle[:, None]) / scale[:, None]  # [B, S] mm
    slope = draws.uniform("shoulder slope", 0.15, 0.5)[:, None]
    edge = low[:, None] + scale[:, None] * slope * (across.abs() - 60.0).clamp_min(0.0)  # [B, S]
    edge = edge + (across.abs() > 235.0) * 4.0 * size
    inside = ((rows[None, :, None] - edge[:, None, :]) / 1.5).clamp(0.0, 1.0)[:, None]  # [B, 1, S, S]
    return torch.lerp(scene, clothes, inside)
