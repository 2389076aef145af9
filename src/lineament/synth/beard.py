# SPDX-License-Identifier: Apache-2.0
"""What grows on the lower face: stubble all over, and beards of several cuts in a colour of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.synth.fields import per_sample, smoothstep
from lineament.synth.random import SampleRandom

_CUTS = (0.45, 0.2, 0.2, 0.15)  # shares of full beards, moustaches, goatees, beards without a moustache
_EDGE = 5.0  # mm over which a cut fades out
_GREYING = 0.5  # how much more of the beard than of the hair may be grey


@dataclass(frozen=True)
class Beard:
    """The beards of the people of a batch."""

    stubble: Tensor  # [B] 0 to 1, density of shaven beard
    density: Tensor  # [B] 0 to 1, of grown beard
    cut: Tensor  # [B] number in `_CUTS`
    colour: Tensor  # [B, 3] linear


def sample_beard(person: SampleRandom, age: Tensor, hair_colour: Tensor) -> Beard:
    """Draw the beard of each person; it turns grey sooner than the hair [B, 3]."""
    kind = person.uniform("beard kind")
    stubble = (kind < 0.45).to(age.dtype) * person.uniform("stubble", 0.0, 1.0)
    density = (kind < 0.20).to(age.dtype) * person.uniform("beard", 0.4, 1.0)
    grey = (person.uniform("beard grey", -0.6, 0.6) + _GREYING * age).clamp(0.0, 1.0)[:, None]
    white = torch.tensor([[0.45, 0.44, 0.42]], device=age.device)
    return Beard(stubble, density, person.choice("beard cut", _CUTS), torch.lerp(hair_colour, white, grey))


def grown(x: Tensor, y: Tensor, region: Tensor, beard: Beard, marks: Tensor, edge: Tensor) -> Tensor:
    """How densely a beard covers the skin, [B, 1, H, W] from 0 to 1.

    Args:
        x: [B, 1, H, W] mm on the mean face.
        y: The same, upwards.
        region: [B, 1, H, W] where a beard can grow, 0 to 1.
        beard: Whose.
        marks: [68, 3] landmarks of the mean face, mm.
        edge: [B, 1, H, W] noise that makes the outline uneven.
    """
    corner, mouth = marks[54, 0].abs(), marks[62, 1]
    across, up = x.abs() + 2.0 * edge, y + 2.0 * edge
    over_lip = smoothstep(mouth - _EDGE, mouth, up) * smoothstep(corner + 8.0 + _EDGE, corner + 8.0, across)
    round_mouth = smoothstep(corner + 6.0 + _EDGE, corner + 6.0, across)
    under_lip = smoothstep(mouth, mouth - _EDGE, up)
    windows = torch.stack([torch.ones_like(x), over_lip, round_mouth, under_lip])  # [4, B, 1, H, W]
    window = windows[beard.cut, torch.arange(len(x), device=x.device)]
    return smoothstep(0.35, 0.75, region + 0.18 * edge) * window * per_sample(beard.density)


def bearded(albedo: Tensor, covered: Tensor, shaven: Tensor, beard: Beard, strands: Tensor, dots: Tensor) -> Tensor:
    """Skin's albedo [B, 3, H, W] with stubble and beard.

    Args:
        albedo: Linear, of the skin.
        covered: [B, 1, H, W], as `grown` gives it.
        shaven: [B, 1, H, W] where stubble can grow, 0 to 1.
        beard: Whose.
        strands: [B, 1, H, W] noise along the hairs.
        dots: [B, 1, H, W] noise of single hairs.
    """
    colour = beard.colour[:, :, None, None]
    shadow = shaven * per_sample(beard.stubble) * (0.15 + 0.45 * smoothstep(-0.2, 1.4, dots))
    albedo = torch.lerp(albedo, 0.6 * colour.clamp_max(0.1) + 0.02, shadow)
    curls = (1.0 + 0.45 * strands).clamp(0.3, 1.9)
    return torch.lerp(albedo, colour * curls, covered)
