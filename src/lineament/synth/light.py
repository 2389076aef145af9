# SPDX-License-Identifier: Apache-2.0
"""Light on the face: an environment in spherical harmonics and up to three lamps, as photos have them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.geometry.spherical_harmonics import LAMBERTIAN_CONVOLUTION, Y00, Y1M, polynomials
from lineament.synth.fields import smoothstep
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom

LAMPS = 3

# Per scene: ambient low, high; how uneven the environment is; lamps' low, high (three pairs); lamp size low, high.
_SCENES = {
    #            ambient      uneven   lamp 1      lamp 2      lamp 3      softness
    "flash": ((0.01, 0.10), 0.30, (0.9, 1.1), (0.0, 0.0), (0.0, 0.0), (0.02, 0.10)),
    "room": ((0.12, 0.50), 0.70, (0.4, 1.2), (0.0, 0.6), (0.0, 0.4), (0.05, 0.50)),
    "window": ((0.15, 0.45), 0.90, (0.5, 1.0), (0.0, 0.15), (0.0, 0.0), (0.30, 0.80)),
    "sun": ((0.15, 0.45), 0.50, (0.8, 1.5), (0.0, 0.1), (0.0, 0.0), (0.01, 0.06)),
    "overcast": ((0.60, 1.00), 0.80, (0.0, 0.3), (0.0, 0.0), (0.0, 0.0), (0.60, 1.00)),
    "studio": ((0.05, 0.30), 0.40, (0.5, 1.0), (0.2, 0.7), (0.0, 0.7), (0.15, 0.60)),
}
_SHARES = (0.34, 0.22, 0.12, 0.10, 0.06, 0.16)


@dataclass(frozen=True)
class Light:
    """The light of a batch."""

    direction: Tensor  # [B, LAMPS, 3] unit, towards the lamp, camera frame
    colour: Tensor  # [B, LAMPS, 3] linear irradiance at normal incidence, zero when off
    softness: Tensor  # [B, LAMPS] apparent size of the lamp, 0 (a point) to 1
    environment: Tensor  # [B, 9, 3] spherical harmonics of the environment's shading

    def shading_coefficients(self) -> Tensor:
        """Spherical harmonics [B, 9, 3] of lamps and environment together, without shadows."""
        terms = polynomials(*self.direction.unbind(-1))  # nine [B, LAMPS]
        kernel = torch.tensor(LAMBERTIAN_CONVOLUTION, device=self.colour.device, dtype=self.colour.dtype)
        lamps = torch.stack(terms, dim=1) * kernel[:, None]  # [B, 9, LAMPS]
        return self.environment + lamps @ self.colour


_PANELS = 4  # windows, walls and bright skies of an environment
# What a Gaussian lobe of a panel's size keeps of each band of a point light (about 50 degrees wide).
_PANEL_BANDS = (1.0, 0.83, 0.83, 0.83, 0.57, 0.57, 0.57, 0.57, 0.57)


def sample_light(random: SampleRandom, panels: float = 1.0) -> Light:
    """Draw the light of every sample of a batch.

    Args:
        random: The photos' random numbers.
        panels: Strength of the windows, walls and skies in the environment.
    """
    scene = random.choice("scene", _SHARES)
    device = scene.device
    table = torch.tensor([[*a, u, *l1, *l2, *l3, *s] for a, u, l1, l2, l3, s in _SCENES.values()], device=device)[
        scene
    ]  # [B, 11]

    def between(name: str, low: int) -> Tensor:
        return table[:, low] + (table[:, low + 1] - table[:, low]) * random.uniform(name)

    strength = torch.stack([between(f"lamp {i}", 3 + 2 * i) for i in range(LAMPS)], dim=1)  # [B, LAMPS]
    colour = strength[..., None] * _tint(random, "lamp tint", LAMPS)
    softness = torch.stack([between(f"lamp softness {i}", 9) for i in range(LAMPS)], dim=1)

    is_sun = (scene == 3)[:, None]
    side = random.normal("azimuth", shape=(LAMPS,)) * 35.0
    # A third of the key lamps come from anywhere in front or from the rim: hard side light is common.
    anywhere = random.uniform("azimuth anywhere", -110.0, 110.0, shape=(LAMPS,))
    wide = random.bernoulli("lamp anywhere", 0.33)[:, None]
    azimuth = torch.where(wide, anywhere, side) * (math.pi / 180.0)
    height = torch.where(
        is_sun,
        random.uniform("sun elevation", 15.0, 75.0, shape=(LAMPS,)),
        12.0 + 24.0 * random.normal("elevation", shape=(LAMPS,)),
    ).clamp(-50.0, 80.0) * (math.pi / 180.0)
    direction = torch.stack([azimuth.sin() * height.cos(), height.sin(), azimuth.cos() * height.cos()], dim=-1)

    ambient = between("ambient", 0)[:, None] * _tint(random, "ambient tint", 1)[:, 0]  # [B, 3]
    uneven = table[:, 2] * random.uniform("uneven", 0.2, 1.0)
    gradient = random.normal("gradient", shape=(3,))
    gradient = gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    # Light comes from above and from the front more often than from below and behind.
    gradient = gradient + torch.tensor([0.0, 0.5, 0.35], device=device)
    gradient = 0.8 * gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    axes = gradient[:, [1, 2, 0]] * uneven[:, None] / Y1M  # order (1,-1) (1,0) (1,1) is y, z, x
    curved = 0.08 * random.normal("environment curvature", shape=(5,)) * uneven[:, None]
    constant = torch.full_like(uneven, 1.0 / Y00)[:, None]
    shape = torch.cat([constant, axes, curved], dim=1)  # [B, 9]
    tint = 1.0 + 0.06 * random.normal("environment tint", shape=(9, 3)) * uneven[:, None, None]
    environment = shape[..., None] * ambient[:, None] * tint + panels * _panels(random, table[:, 2], ambient)
    return Light(direction, colour, softness, environment)


def _panels(random: SampleRandom, uneven: Tensor, ambient: Tensor) -> Tensor:
    """Spherical harmonics [B, 9, 3] of an environment's panels: anywhere, bright or dim, each of its own colour."""
    towards = random.normal("panel place", shape=(_PANELS, 3))
    towards = towards / towards.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    strength = random.uniform("panel strength", shape=(_PANELS,)) ** 3 * uneven[:, None]
    colour = strength[..., None] * _tint(random, "panel tint", _PANELS) * ambient[:, None]
    pairs = zip(_PANEL_BANDS, LAMBERTIAN_CONVOLUTION, strict=True)
    bands = torch.tensor([kept * band for kept, band in pairs], device=colour.device, dtype=colour.dtype)
    terms = torch.stack(polynomials(*towards.unbind(-1)), dim=1) * bands[:, None]
    return terms @ colour


def _tint(random: SampleRandom, name: str, count: int) -> Tensor:
    """Colours [B, count, 3] along the black body's line from candle to shade, mean one."""
    warmth = 0.13 * random.normal(name, shape=(count,)).clamp(-2.0, 2.0)
    colour = torch.stack([(0.9 * warmth).exp(), torch.ones_like(warmth), (-1.1 * warmth).exp()], dim=-1)
    return colour / colour.mean(-1, keepdim=True)


def barred(draws: SampleRandom, bank: NoiseBank, size: int, share: float) -> Tensor:
    """What thin things before a lamp, such as blinds, twigs and fences, leave of its light: [B, 1, S, S], 0 to 1.

    Args:
        draws: The photos' random draws.
        bank: Noise fields.
        size: Side of the pictures, pixels.
        share: Share of photos with such shadows.
    """
    line = (torch.arange(size, device=draws.device) + 0.5) / size
    place = torch.stack(torch.broadcast_tensors(line[None, :], line[:, None]), dim=-1)  # [S, S, 2]
    angle = draws.uniform("bars turn", 0.0, 3.14159)[:, None, None]
    across = place[..., 0] * angle.cos() + place[..., 1] * angle.sin()  # [B, S, S]
    bend = bank.sample("smooth", place.expand(len(draws), -1, -1, -1) * 0.7, draws, "bars bend")[:, 0]
    count = draws.log_uniform("bars count", 3.0, 14.0)[:, None, None]
    wave = torch.sin(6.2832 * (count * across + draws.uniform("bars bent", 0.0, 0.8)[:, None, None] * bend))
    thin = draws.uniform("bars width", -0.2, 0.85)[:, None, None]
    dark = draws.uniform("bars dark", 0.4, 1.0)[:, None, None] * draws.bernoulli("bars", share)[:, None, None]
    return (1.0 - dark * smoothstep(thin, thin + 0.25, wave))[:, None]
