# SPDX-License-Identifier: Apache-2.0
"""What people wear and hold before their faces: glasses as geometry, hands and things as shapes in the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.render.cameras import project
from lineament.render.raster import interpolate, rasterize, vertex_normals
from lineament.render.vectors import unit
from lineament.synth.fields import smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.person import PosedFace, RigTensors
from lineament.synth.random import SampleRandom

_RIM = 28  # points around one lens
_BRIDGE = 5
_TEMPLE = 5
_SUNGLASSES = 0.22  # share of the glasses
_FINGERS = 4


@dataclass(frozen=True)
class Glasses:
    """Glasses as the camera sees them, on the samples that wear some."""

    rows: Tensor  # [G] which samples of the batch
    frame: Tensor  # [G, 1, S, S] bool
    lens: Tensor  # [G, 1, S, S] bool
    dark: Tensor  # [G, 1, 1, 1] bool: sunglasses
    normals: Tensor  # [G, 3, S, S] unit, of the frame
    albedo: Tensor  # [G, 3, 1, 1] linear, of the frame
    z: Tensor  # [G, 1, S, S] mm towards the camera, of the frame, or of the lens where there is no frame


def wear_glasses(rig: RigTensors, face: PosedFace, share: float, own: SampleRandom, size: int) -> Glasses | None:
    """Put glasses on a share of the people.

    Args:
        rig: The face model.
        face: The posed heads.
        share: Share of people with glasses.
        own: The people's own draws.
        size: Side of the pictures, pixels.

    Returns:
        The glasses, or None when nobody of the batch wears any.
    """
    rows = own.bernoulli("glasses", share).nonzero()[:, 0]
    if len(rows) == 0:
        return None
    own = own.select(rows)
    marks = face.vertices[rows][:, rig.landmarks] @ face.camera.rotation[rows]  # [G, 68, 3], upright head frame
    frame, lens = _curves(marks, own)
    camera = face.camera.select(rows)
    turned = camera.rotation.transpose(1, 2)
    frame, lens = frame @ turned, lens @ turned
    faces = _tube_faces(rows.device)
    points, inverse = project(frame, camera)
    layer = rasterize(points, faces, size, size, inverse, cull_backfaces=False)
    attributes = torch.cat([vertex_normals(frame, faces), frame[..., 2:]], dim=-1)
    normals, z = interpolate(attributes, faces, layer).split((3, 1), dim=1)
    normals = unit(torch.where(normals[:, 2:] < 0, -normals, normals))
    fans = _fan_faces(rows.device)
    points, inverse = project(lens, camera)
    glass = rasterize(points, fans, size, size, inverse, cull_backfaces=False)
    glass_z = interpolate(lens[..., 2:], fans, glass)
    rim, inside = layer.triangle[:, None] >= 0, glass.triangle[:, None] >= 0
    tone = own.log_uniform("frame tone", 0.01, 0.5)[:, None]
    tint = 1.0 + 0.5 * own.uniform("frame tint", -1.0, 1.0, shape=(3,)) * own.bernoulli("tinted frame", 0.4)[:, None]
    return Glasses(
        rows=rows,
        frame=rim,
        lens=inside & ~rim,
        dark=own.bernoulli("sunglasses", _SUNGLASSES)[:, None, None, None],
        normals=normals,
        albedo=(tone * tint).clamp(0.005, 0.8)[:, :, None, None],
        z=torch.where(rim, z, glass_z),
    )


def _curves(marks: Tensor, own: SampleRandom) -> tuple[Tensor, Tensor]:
    """Vertices of the frame [G, T, 3] and of the lenses [G, 2 * (RIM + 1), 3], mm, upright head frame."""

    def amount(name: str, low: float, high: float) -> Tensor:
        return own.uniform(name, low, high)[:, None]

    right, left = marks[:, 36:42].mean(1), marks[:, 42:48].mean(1)  # the subject's
    middle = 0.5 * (right + left)
    difference = (left - right)[:, :1]  # [G, 1] mm, about 62
    wide, high = difference * amount("lens width", 0.36, 0.46), difference * amount("lens height", 0.2, 0.42)
    corner = amount("lens corners", 2.0, 4.5)
    front = torch.maximum(marks[:, 27, 2:], middle[:, 2:]) + amount("glasses forward", 4.0, 14.0)
    low = middle[:, 1:2] - amount("glasses down", 0.0, 8.0)
    wrap = amount("glasses wrap", 0.0, 0.003)
    thick = own.log_uniform("rim width", 0.5, 4.5)[:, None]
    angle = torch.arange(_RIM, device=marks.device) * (2.0 * math.pi / _RIM)

    def bent(x: Tensor, y: Tensor) -> Tensor:
        return torch.stack([x, y, front - wrap * (x - middle[:, :1]) ** 2], dim=-1)

    def superellipse(value: Tensor) -> Tensor:
        return torch.sign(value) * value.abs() ** (2.0 / corner)

    # Whole rims, rims above the lenses alone, or none at all.
    kind = own.choice("rim kind", (0.6, 0.28, 0.12))[:, None]
    lower = torch.where(kind == 0, thick, torch.zeros_like(thick))
    upper = torch.where(kind == 2, torch.zeros_like(thick), thick)
    around = torch.where(angle.sin()[None] < -0.15, lower, upper)  # [G, RIM] mm

    rims, tubes = [], []
    for eye, side in ((right, -1.0), (left, 1.0)):
        centre = eye[:, :1] + side * 0.03 * difference
        across, up = superellipse(angle.cos()[None] * side), superellipse(angle.sin()[None])
        rim = bent(centre + wide * across, low + high * up)
        outward = torch.stack([across / wide, up / high, torch.zeros_like(up)], dim=-1)
        rims.append(torch.cat([rim, rim.mean(1, keepdim=True)], dim=1))
        tubes.append(_tube(rim, outward / outward.norm(dim=-1, keepdim=True).clamp_min(1e-6), around))
    t = torch.linspace(0.0, 1.0, _BRIDGE, device=marks.device)[None]
    quarter = low + high * amount("bridge height", 0.1, 0.7)
    inner = right[:, :1] - 0.03 * difference + wide, left[:, :1] + 0.03 * difference - wide
    bridge = bent(torch.lerp(inner[0], inner[1], t), quarter + 3.0 * torch.sin(math.pi * t))
    upward = torch.tensor([0.0, 1.0, 0.0], device=marks.device)
    tubes.append(_tube(bridge, upward.expand_as(bridge), thick))
    t = torch.linspace(0.0, 1.0, _TEMPLE, device=marks.device)[None, :, None]
    for eye, side, jaw in ((right, -1.0, 0), (left, 1.0, 16)):
        hinge = bent(eye[:, :1] + side * (0.03 * difference + wide), quarter)  # [G, 1, 3]
        ear = torch.stack([marks[:, jaw, 0] + side * 6.0, quarter[:, 0] + 2.0, marks[:, jaw, 2] - 15.0], dim=-1)
        tubes.append(_tube(torch.lerp(hinge, ear[:, None], t), upward.expand(len(marks), _TEMPLE, 3), 1.2 * thick))
    return torch.cat(tubes, dim=1), torch.cat(rims, dim=1)


def _tube(points: Tensor, side: Tensor, width: Tensor) -> Tensor:
    """A square section along points [G, N, 3] of a width [G, N] or [G, 1]: its four corners at each, [G, 4 N, 3]."""
    half = 0.5 * width[..., None] * side
    deep = torch.zeros_like(half)
    deep[..., 2] = 0.5 * width
    corners = torch.stack([points + half + deep, points - half + deep, points - half - deep, points + half - deep], 2)
    return corners.flatten(1, 2)


def _tube_faces(device: torch.device) -> Tensor:
    faces, first = [], 0
    for count, closed in ((_RIM, True), (_RIM, True), (_BRIDGE, False), (_TEMPLE, False), (_TEMPLE, False)):
        for i in range(count if closed else count - 1):
            here, valid = first + 4 * i, first + 4 * ((i + 1) % count)
            for corner in range(4):
                after = (corner + 1) % 4
                faces.append((here + corner, valid + corner, valid + after))
                faces.append((here + corner, valid + after, here + after))
        first += 4 * count
    return torch.tensor(faces, device=device)


def _fan_faces(device: torch.device) -> Tensor:
    fans = [(first + i, first + (i + 1) % _RIM, first + _RIM) for first in (0, _RIM + 1) for i in range(_RIM)]
    return torch.tensor(fans, device=device)


def glaze(lit: Tensor, glasses: Glasses, lens: Tensor, draws: SampleRandom, bank: NoiseBank) -> Tensor:
    """Light through and off the lenses.

    Args:
        lit: [G, 3, S, S] linear light of the samples with glasses.
        glasses: Those glasses.
        lens: [G, 1, S, S] bool, where lenses are seen.
        draws: Those photos' random draws.
        bank: Noise fields.

    Returns:
        [G, 3, S, S] linear.
    """
    size = lit.shape[-1]
    grid = (torch.arange(size, device=lit.device) + 0.5) / size
    place = torch.stack(torch.broadcast_tensors(grid[None, :], grid[:, None]), dim=-1)
    sheen = bank.sample("smooth", place.expand(len(lit), -1, -1, -1) * 2.5, draws, "lens sheen")
    bright = lit.mean((1, 2, 3), keepdim=True)
    strength = draws.uniform("lens reflection")[:, None, None, None] ** 4
    reflected = smoothstep(0.3, 0.9, sheen) * strength * 6.0 * bright
    through = draws.uniform("lens tint", 0.75, 1.0, shape=(3,))[:, :, None, None]
    opaque = draws.log_uniform("sunglasses light", 0.02, 0.2)[:, None, None, None]
    return torch.where(lens, lit * torch.where(glasses.dark, opaque, through) + reflected, lit)


def cover(picture: Tensor, flesh: Tensor, share: float, draws: SampleRandom, bank: NoiseBank) -> tuple[Tensor, Tensor]:
    """Hold a hand or a thing before some of the faces.

    Args:
        picture: [B, 3, S, S] sRGB.
        flesh: [B, 3] sRGB colour of the person's lit skin.
        share: Share of photos with something before the face.
        draws: The photos' random draws.
        bank: Noise fields.

    Returns:
        The pictures, and [B, 1, S, S] bool: what is covered.
    """
    size = picture.shape[-1]
    covered = torch.zeros(len(picture), 1, size, size, dtype=torch.bool, device=picture.device)
    rows = draws.bernoulli("cover", share).nonzero()[:, 0]
    if len(rows) == 0:
        return picture, covered
    draws, flesh = draws.select(rows), flesh[rows]
    line = (torch.arange(size, device=picture.device) + 0.5) * (2.0 / size) - 1.0
    x, y = line[None, None, :], line[None, :, None]

    def amount(name: str, low: float, high: float) -> Tensor:
        return draws.uniform(name, low, high)[:, None, None]

    # The thing comes in from a border and ends somewhere on the face.
    turn = amount("cover side", 0.0, 2.0 * math.pi)
    reach = amount("cover reach", 0.05, 0.65)
    along = torch.cos(turn) * x + torch.sin(turn) * y - reach  # positive away from the face
    across = torch.cos(turn) * y - torch.sin(turn) * x - amount("cover offset", -0.35, 0.35)
    finger = amount("finger width", 0.05, 0.12)
    height = torch.full_like(along, -1.0)  # of a rounded body above the picture's plane, negative outside it
    for number in range(_FINGERS):
        lane = (number - 0.5 * (_FINGERS - 1)) * 1.9 * finger
        lane = lane + amount(f"finger {number} bend", -0.3, 0.3) * along.clamp_max(0.0)
        tip = -amount(f"finger {number} length", 0.05, 0.4)
        away = torch.sqrt((across - lane) ** 2 + (tip - along).clamp_min(0.0) ** 2)
        height = torch.maximum(height, 1.0 - (away / finger) ** 2)
    palm = 1.0 - (across / (4.2 * finger)) ** 4 - ((along - 0.25).clamp_max(0.0) / 0.3) ** 2
    hand = torch.maximum(height, palm)
    width = amount("thing width", 0.12, 0.6)
    thing = torch.minimum(1.0 - (across / width).abs() ** 6, (along + 0.1) * 20.0)
    is_hand = draws.bernoulli("hand", 0.6)
    body = torch.where(is_hand[:, None, None], hand, thing)[:, None]  # [G, 1, S, S]
    colour = draws.uniform("thing colour", 0.02, 0.95, shape=(3,))
    colour = torch.where(draws.bernoulli("plain thing", 0.5)[:, None], colour[:, :1], colour)
    # Hands are lit a little otherwise than the face.
    hue = flesh * draws.uniform("hand light", 0.7, 1.25)[:, None]
    colour = torch.where(is_hand[:, None], hue, colour)[:, :, None, None]
    place = torch.stack(torch.broadcast_tensors(along, across), dim=-1)
    relief = bank.sample("fractal", place * 1.3, draws, "cover relief")
    shading = 0.55 + 0.45 * body.clamp(0.0, 1.0).sqrt() + 0.06 * relief
    solid = (body * 12.0).clamp(0.0, 1.0)
    result = picture.clone()
    result[rows] = torch.lerp(picture[rows], (colour * shading).clamp(0.0, 1.0), solid)
    covered[rows] = solid > 0.5
    return result, covered
