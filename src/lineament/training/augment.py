# SPDX-License-Identifier: Apache-2.0
"""Cheap variation of batches: mirrored, turned, zoomed, cut and padded as real crops are, recoloured.

Everything is drawn from (seed, step) alone, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.training.config import LoopConfig
from lineament.training.data import Batch
from lineament.training.parallel import processes, rank

_LUMA = (0.299, 0.587, 0.114)


def prepared(batch: Batch, config: LoopConfig, step: int) -> Batch:
    """A batch as a step learns from it: varied, if the configuration says so, and in its memory layout."""
    if config.augment:
        batch = augment(batch, config.seed, step * processes() + rank())
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    return Batch(batch.image.contiguous(memory_format=layout), batch.normals, batch.face)


def augment(batch: Batch, seed: int, step: int) -> Batch:
    """Vary every sample of a batch; normals turn and mirror with their picture."""
    draw = torch.Generator().manual_seed((seed * 1_000_003 + step) % (1 << 62))
    device, count = batch.image.device, len(batch.image)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=draw).mul_(high - low).add_(low).to(device)

    def normal(sigma: float) -> Tensor:
        return torch.randn(count, generator=draw).mul_(sigma).to(device)

    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    # Most pictures are cut tightly and padded back to a square, as cropped datasets are.
    cut = uniform(0, 1) < 0.6
    window = torch.stack([torch.where(cut, uniform(0.45, 1.0), 1.0), torch.where(cut, uniform(0.5, 1.0), 1.0)], dim=1)
    shift = torch.stack([normal(0.04), normal(0.04)], dim=1)
    moved, inside = move(batch, mirror, normal(0.12), torch.exp(normal(0.13)).clamp(0.7, 1.4), shift, window)

    image = moved.image
    black = (uniform(0, 1) < 0.45)[:, None, None, None]  # padding is black or repeats the border
    image = torch.where(black & ~inside, torch.zeros_like(image), image)
    luma = torch.tensor(_LUMA, device=device).view(1, 3, 1, 1)
    grey = (image * luma).sum(1, keepdim=True).expand_as(image)
    image = torch.where((uniform(0, 1) < 0.45)[:, None, None, None], grey, image)
    image = image.clamp_min(1e-4) ** torch.exp(normal(0.35))[:, None, None, None]
    image = image * torch.exp(normal(0.25))[:, None, None, None]
    grain = (uniform(0.0, 0.03) * (uniform(0, 1) < 0.5))[:, None, None, None]
    image = image + grain * torch.randn(image.shape, generator=draw).to(device)
    soft = F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="replicate"), 3, 1)
    image = torch.lerp(image, soft, (uniform(0, 1) * (uniform(0, 1) < 0.4))[:, None, None, None])
    return Batch(image.clamp(0.0, 1.0), moved.normals, moved.face)


def move(
    batch: Batch, mirror: Tensor, turn: Tensor, zoom: Tensor, shift: Tensor, window: Tensor
) -> tuple[Batch, Tensor]:
    """Mirror, turn, zoom and shift pictures with their labels, and cut them to a padded window.

    Args:
        batch: B samples.
        mirror: [B] -1 to mirror left and right, 1 to leave.
        turn: [B] radians, counter-clockwise as seen.
        zoom: [B] above 1 enlarges.
        shift: [B, 2] of the sampling position, in half sides.
        window: [B, 2] half width and half height, in half sides, of what is kept; its border is repeated outwards.

    Returns:
        The moved batch, and [B, 1, S, S] bool: what is not padding.
    """
    size, device = batch.image.shape[-1], batch.image.device
    line = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    plain = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)  # [S, S, 2]
    limit = window[:, None, None, :]
    inside = (plain.abs() <= limit + 1e-6).all(-1)  # [B, S, S]
    place = torch.maximum(torch.minimum(plain.expand(len(turn), -1, -1, -1), limit), -limit)
    cosine, sine = turn.cos(), turn.sin()
    # From a place in the result to the place in the source: mirror, turn, zoom out, shift (y runs down).
    matrix = torch.stack([mirror * cosine, -sine, mirror * sine, cosine], dim=1).view(-1, 2, 2)
    source = place.reshape(len(turn), -1, 2) @ (matrix / zoom[:, None, None]).transpose(1, 2)
    source = source.view(len(turn), size, size, 2) + shift[:, None, None]
    inside = (inside & (source.abs() <= 1).all(-1))[:, None]

    image = F.grid_sample(batch.image, source, padding_mode="border", align_corners=False)
    labels = torch.cat([batch.normals, batch.face.to(batch.normals.dtype)], dim=1)
    labels = F.grid_sample(labels, source, mode="nearest", padding_mode="zeros", align_corners=False)
    face = (labels[:, 3:] > 0.5) & inside
    x, y, z = labels[:, 0], labels[:, 1], labels[:, 2]
    cosine, sine, mirror = (v[:, None, None] for v in (cosine, sine, mirror))
    # Directions take the inverse way; with y up the signs of the sines change.
    normals = torch.stack([mirror * (cosine * x - sine * y), sine * x + cosine * y, z], dim=1)
    return Batch(image, normals * face, face), inside
