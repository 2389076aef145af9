# SPDX-License-Identifier: Apache-2.0
"""Hair as a second layer of geometry: a shell over the scalp that may fall over forehead, cheeks and neck."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.rig import Part
from lineament.synth.fields import per_sample, smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.person import PosedFace, RigTensors
from lineament.synth.random import SampleRandom
from lineament.synth.skin import Surface

_REACH = 60.0  # mm below the natural hairline that a fringe can fall


@dataclass(frozen=True)
class HairMesh:
    """The part of the rig that hair can cover."""

    vertices: Tensor  # [N] indices into the rig's vertices
    faces: Tensor  # [M, 3] indices into ``vertices``
    rest: Tensor  # [N, 3] mm on the mean face
    hairline: Tensor  # [N] mm, positive on the scalp

    @classmethod
    def of(cls, rig: RigTensors) -> HairMesh:
        """Cut the shell out of a rig."""
        hairline = rig.regions["hairline"]
        covered = (hairline > -_REACH) & (rig.part <= int(Part.NECK))
        kept = covered[rig.faces].all(1)
        faces = rig.faces[kept]
        vertices = faces.unique()
        index = torch.full((len(hairline),), -1, dtype=torch.int64, device=faces.device)
        index[vertices] = torch.arange(len(vertices), device=faces.device)
        return cls(vertices, index[faces], rig.mean[vertices], hairline[vertices])


@dataclass(frozen=True)
class HairShell:
    """The hair of a batch of heads."""

    vertices: Tensor  # [B, N, 3] mm, camera frame
    level: Tensor  # [B, N] mm: hair grows where positive
    hat: Tensor  # [B, N] mm: cloth covers it where positive


def grow_hair(
    mesh: HairMesh, rig: RigTensors, face: PosedFace, share: float, hats: float, person: SampleRandom
) -> HairShell:
    """Draw a haircut, and perhaps a hat, for every sample and hang it on the posed head.

    Args:
        mesh: What hair can cover.
        rig: The face model.
        face: The posed heads.
        share: Share of heads with hair on them.
        hats: Share of heads with a cap, a hood or a scarf.
        person: The person's own draws.

    Returns:
        Shell vertices; where ``level`` is negative they lie under the skin and cannot be seen.
    """
    cut = person.choice("haircut", (0.34, 0.36, 0.30))  # short, medium, long
    device = cut.device
    low = torch.tensor([2.0, 8.0, 12.0], device=device)[cut]
    high = torch.tensor([10.0, 26.0, 34.0], device=device)[cut]
    thickness = (low + (high - low) * person.uniform("hair thickness"))[:, None]  # [B, 1]
    bald = ~person.bernoulli("has hair", share)[:, None]

    x, y, z = mesh.rest.unbind(-1)  # [N] each
    wave = _waves(mesh.rest, person, "hair outline", 0.06)  # [B, N], about unit variance
    top = marks_height(rig, 27)
    # A fringe, parted at a random place, falls over the forehead; receding lines go the other way.
    parted = person.uniform("parting", -40.0, 40.0)[:, None]
    fringe = person.bernoulli("fringe", 0.35)[:, None] * person.uniform("fringe length", 8.0, 48.0)[:, None]
    width = person.uniform("fringe width", 18.0, 70.0)[:, None]
    front = smoothstep(top - 5.0, top + 12.0, y) * smoothstep(-10.0, 30.0, z)
    fringe = fringe * torch.exp(-(((x - parted) / width) ** 2)) * front
    receding = person.bernoulli("receding", 0.2)[:, None] * person.uniform("recession", 5.0, 40.0)[:, None]
    level = mesh.hairline - 5.0 * person.normal("hairline")[:, None].clamp(-2, 2) + 4.0 * wave + fringe
    level = level - receding * front
    # Hair that is lost on top stays above the ears.
    crown = smoothstep(60.0, 44.0, x.abs()) * smoothstep(top, top + 15.0, y) * smoothstep(-70.0, -20.0, z)
    level = level - person.bernoulli("bald crown", 0.12)[:, None] * 120.0 * crown
    # Long hair spreads from behind the ears over cheeks and neck.
    long = (cut == 2).to(x.dtype)[:, None]
    spread = person.uniform("hair spread", 0.0, 45.0)[:, None] * long
    auxiliary = smoothstep(30.0, 60.0, x.abs()) * smoothstep(top + 30.0, top - 20.0, y)
    level = level + spread * auxiliary
    level = torch.where(bald, torch.full_like(level, -_REACH), level)

    hat = _hat(mesh, top, hats, person)
    level = torch.maximum(level, hat)

    growth = smoothstep(0.0, 28.0, level)
    volume = (1.0 + 0.25 * _waves(mesh.rest, person, "hair volume", 0.045)).clamp_min(0.3)
    offset = thickness * growth * volume + 1.2 * smoothstep(-14.0, -6.0, level)
    offset = torch.where(level > -14.0, offset, torch.full_like(offset, -4.0))
    # Cloth lies over the hair, and its hem stands off the skin.
    offset = torch.where(hat > 0.0, offset.clamp_min(2.5) + 2.5 * smoothstep(12.0, 0.0, hat), offset)

    own = face.vertices[:, mesh.vertices]  # [B, N, 3]
    shell = own + offset[..., None] * face.normals[:, mesh.vertices]
    fall = long * growth * smoothstep(top, top - 90.0, y) * person.uniform("hair fall", 20.0, 170.0)[:, None]
    swing = 0.18 * fall * torch.sign(x)
    hang = torch.stack([swing, -fall, 0.1 * fall], dim=-1) @ face.camera.rotation.transpose(1, 2)
    return HairShell(shell + hang, level, hat)


def _hat(mesh: HairMesh, top: Tensor, share: float, person: SampleRandom) -> Tensor:
    """Where a cap, a hood or a scarf covers the head, [B, N] mm above its hem; deep below zero without one."""
    y, z = mesh.rest[:, 1], mesh.rest[:, 2]
    kind = person.choice("hat kind", (0.5, 0.25, 0.25))[:, None]  # cap, hood, scarf
    hem = top + person.uniform("hem height", 6.0, 50.0)[:, None]
    tilt = person.uniform("hem tilt", -0.15, 0.35)[:, None]
    cap = y - hem + tilt * (z - 40.0).clamp_max(0.0) + 2.0 * _waves(mesh.rest, person, "hem", 0.05)
    spread = person.uniform("hood spread", 0.0, 38.0)[:, None]
    hood = mesh.hairline + spread * smoothstep(top + 60.0, top, y) - 6.0
    level = torch.where(kind == 0, cap, torch.where(kind == 1, hood, torch.minimum(hood, y - top + 60.0)))
    return torch.where(person.bernoulli("hat", share)[:, None], level, torch.full_like(level, -_REACH))


def hair_texture(strand: Surface, own: SampleRandom, bank: NoiseBank) -> tuple[Tensor, Tensor, Tensor]:
    """Strands, straight or curled.

    Args:
        strand: The hair's pixels.
        own: The people's own draws.
        bank: Noise fields.

    Returns:
        [B, 1, H, W] each: relief of about unit variance, factor of the colour, and the share of white hairs.
    """
    up_and_down = torch.tensor([1.0, 0.35], device=strand.rest.device)
    straight = bank.sample("streaks", strand.tiles(55.0) * up_and_down, own, "hair strands")
    curls = bank.sample("pores", strand.tiles(80.0), own, "curls")
    curled = per_sample(own.bernoulli("curly", 0.3).to(straight.dtype) * own.uniform("curl", 0.4, 1.0))
    relief = torch.lerp(straight, curls, curled)
    fine = bank.sample("streaks", strand.tiles(24.0) * up_and_down, own, "single hairs")
    locks = bank.sample("fractal", strand.tiles(70.0), own, "locks")
    depth = per_sample(own.uniform("strand contrast", 0.15, 0.5))
    tone = (1.0 + depth * relief + 0.2 * fine + 0.15 * locks).clamp(0.25, 2.0)
    salted = per_sample(own.bernoulli("salted", 0.2).to(straight.dtype) * own.uniform("salt", 0.2, 0.9))
    return relief, tone, salted * smoothstep(-0.6, 0.9, fine + locks)


def marks_height(rig: RigTensors, landmark: int) -> Tensor:
    """Height of a landmark on the mean face, mm."""
    return rig.mean[rig.landmarks[landmark], 1]


def _waves(points: Tensor, random: SampleRandom, name: str, frequency: float, count: int = 6) -> Tensor:
    """Smooth random field [B, N] over points [N, 3] mm, about unit variance."""
    direction = random.normal(f"{name} direction", shape=(count, 3)) * frequency  # [B, count, 3]
    phase = random.uniform(f"{name} phase", 0.0, 6.2832, shape=(count,))
    angle = direction @ points.T + phase[..., None]  # [B, count, N]
    field: Tensor = angle.sin().sum(1) * (2.0 / count) ** 0.5
    return field
