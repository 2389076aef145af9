# SPDX-License-Identifier: Apache-2.0
"""Cheap variation of batches: mirrored, turned, zoomed, cut and padded as real crops are, recoloured.

Everything is drawn from (seed, step) alone, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.images.tone import CAMERA, COLUMNS, ROWS, TENTHS, USUAL
from lineament.render.colour import grey
from lineament.synth.fields import per_sample
from lineament.training.config import LoopConfig
from lineament.training.data import Batch
from lineament.training.parallel import draw_number

_CURVE = 0.2  # spread of the logarithm of the tone curve's exponent: beyond that of cameras, shading tells too little
_LINEAR = 0.4  # share of pictures whose camera's curve is taken away, wholly or in part, as in measured pictures


def prepared(batch: Batch, config: LoopConfig, step: int) -> Batch:
    """A batch as a step learns from it: varied, if the configuration says so, and in its memory layout."""
    if config.augment:
        batch = augment(batch, config.seed, draw_number(step))
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    return Batch(batch.image.contiguous(memory_format=layout), batch.normals, batch.face)


def augment(batch: Batch, seed: int, step: int) -> Batch:
    """Vary every sample of a batch; normals turn and mirror with their picture."""
    draw = Draws(seed, step, len(batch.image), batch.image.device)
    placement = draw_placement(draw, batch.image.shape[-1])
    face = placement.face(batch.face)
    normals = placement.normals(batch.normals)
    return Batch(recoloured(placement.picture(batch.image), placement.inside, draw), normals, face)


class Draws:
    """Random numbers of a batch, drawn one after the other from (seed, step)."""

    def __init__(self, seed: int, step: int, count: int, device: torch.device) -> None:
        """Start the sequence."""
        self.generator = torch.Generator(device).manual_seed((seed * 1_000_003 + step) % (1 << 62))
        self.count, self.device = count, device

    def uniform(self, low: float, high: float) -> Tensor:
        """[B] from [low, high)."""
        return torch.rand(self.count, generator=self.generator, device=self.device).mul_(high - low).add_(low)

    def normal(self, sigma: float) -> Tensor:
        """[B] around zero."""
        return torch.randn(self.count, generator=self.generator, device=self.device).mul_(sigma)

    def noise(self, like: Tensor) -> Tensor:
        """Standard normal numbers of another tensor's shape."""
        return torch.randn(like.shape, generator=self.generator, device=self.device)


@dataclass(frozen=True)
class Placement:
    """Where each pixel of the moved pictures comes from."""

    source: Tensor  # [B, S, S, 2] places in [-1, 1], as `grid_sample` takes them
    inside: Tensor  # [B, 1, S, S] bool: what is not padding
    mirror: Tensor  # [B] -1 where left and right are mirrored, else 1
    turn: Tensor  # [B] radians, counter-clockwise as seen
    zoom: Tensor  # [B] above 1 enlarges

    @classmethod
    def of(cls, size: int, mirror: Tensor, turn: Tensor, zoom: Tensor, shift: Tensor, window: Tensor) -> Placement:
        """Mirror, turn, zoom and shift pictures, and cut them to a padded window.

        Args:
            size: Side of the pictures, pixels.
            mirror: [B] -1 to mirror left and right, 1 to leave.
            turn: [B] radians, counter-clockwise as seen.
            zoom: [B] above 1 enlarges.
            shift: [B, 2] of the sampling position, in half sides.
            window: [B, 2] half width and half height, in half sides, of what is kept; its border is repeated outwards.
        """
        line = (torch.arange(size, device=turn.device) + 0.5) / size * 2 - 1
        plain = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # [S, S, 2]
        limit = window[:, None, None, :]
        inside = (plain.abs() <= limit + 1e-6).all(-1)  # [B, S, S]
        place = torch.maximum(torch.minimum(plain.expand(len(turn), -1, -1, -1), limit), -limit)
        cosine, sine = turn.cos(), turn.sin()
        # From a place in the result to the place in the source: mirror, turn, zoom out, shift (y runs down).
        matrix = torch.stack([mirror * cosine, -sine, mirror * sine, cosine], dim=1).view(-1, 2, 2)
        source = place.reshape(len(turn), -1, 2) @ (matrix / zoom[:, None, None]).transpose(1, 2)
        source = source.view(len(turn), size, size, 2) + shift[:, None, None]
        return cls(source, (inside & (source.abs() <= 1).all(-1))[:, None], mirror, turn, zoom)

    def picture(self, picture: Tensor) -> Tensor:
        """A picture [B, C, S, S], its border repeated outwards."""
        return F.grid_sample(picture, self.source, padding_mode="border", align_corners=False)

    def face(self, face: Tensor) -> Tensor:
        """A mask [B, 1, S, S] bool; there is no face in the padding."""
        moved = F.grid_sample(face.float(), self.source, mode="nearest", padding_mode="zeros", align_corners=False)
        return (moved > 0.5) & self.inside

    def normals(self, normals: Tensor) -> Tensor:
        """Normals [B, 3, S, S], turned and mirrored with their picture."""
        moved = F.grid_sample(normals, self.source, mode="nearest", padding_mode="zeros", align_corners=False)
        x, y, z = moved.unbind(1)
        cosine, sine, mirror = (v[:, None, None] for v in (self.turn.cos(), self.turn.sin(), self.mirror))
        # Directions take the inverse way; with y up the signs of the sines change.
        return torch.stack([mirror * (cosine * x - sine * y), sine * x + cosine * y, z], dim=1)

    def depth(self, depth: Tensor) -> Tensor:
        """Depth [B, 1, S, S] in units of the picture's side: what is enlarged is also deeper."""
        return self.picture(depth) * self.zoom[:, None, None, None]


def draw_placement(draw: Draws, size: int) -> Placement:
    """Placements as varied as real crops are."""
    mirror = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    # Most pictures are cut tightly and padded back to a square, as cropped datasets are.
    cut = draw.uniform(0, 1) < 0.6
    sides = [torch.where(cut, draw.uniform(0.45, 1.0), 1.0), torch.where(cut, draw.uniform(0.5, 1.0), 1.0)]
    shift = torch.stack([draw.normal(0.04), draw.normal(0.04)], dim=1)
    turn, zoom = draw.normal(0.12), torch.exp(draw.normal(0.13)).clamp(0.7, 1.4)
    return Placement.of(size, mirror, turn, zoom, shift, torch.stack(sides, dim=1))


def recoloured(image: Tensor, inside: Tensor, draw: Draws) -> Tensor:
    """Pictures [B, 3, S, S] in [0, 1] in other colours, brightness, sharpness and grain, some with black padding, and
    all with the contrast that the estimator lets a network see."""

    black = per_sample(draw.uniform(0, 1) < 0.45)  # padding is black or repeats the border
    image = torch.where(black & ~inside, torch.zeros_like(image), image)
    image = torch.where(per_sample(draw.uniform(0, 1) < 0.45), grey(image), image)
    exponent = torch.exp(draw.normal(_CURVE)) * torch.where(draw.uniform(0, 1) < _LINEAR, draw.uniform(1.4, 2.3), 1.0)
    image = image.clamp_min(1e-4) ** per_sample(exponent)
    image = image * per_sample(torch.exp(draw.normal(0.25)))
    grain = per_sample(draw.uniform(0.0, 0.03) * (draw.uniform(0, 1) < 0.5))
    image = image + grain * draw.noise(image)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    image = torch.lerp(image, soft, per_sample(draw.uniform(0, 1) * (draw.uniform(0, 1) < 0.4)))
    image = image.clamp(0.0, 1.0)
    gamma = (face_contrast(image) / USUAL).clamp(1.0, CAMERA)
    return image.clamp_min(1e-4) ** per_sample(gamma.reciprocal())


def face_contrast(image: Tensor) -> Tensor:
    """`lineament.images.tone.face_contrast` of every picture of a batch [B, 3, S, S] in [0, 1]: [B]."""
    side = image.shape[-1]
    rows, columns = (slice(int(low * side), max(1, int(high * side))) for low, high in (ROWS, COLUMNS))
    tones = grey(image[:, :, rows, columns])[:, 0].flatten(1).float()
    dark, light = (tones.quantile(tenth, dim=1).clamp_min(1.0 / 255.0) for tenth in TENTHS)
    return torch.log(light / dark)
