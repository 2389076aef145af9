# SPDX-License-Identifier: Apache-2.0
"""Batches with depth and albedo: read from folders that `lineament synth` wrote, or made while training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lineament.render.colour import decode_srgb
from lineament.synth.config import SynthConfig
from lineament.synth.stream import FaceStream
from lineament.synth.write import DEPTH_STEPS, DEPTH_ZERO
from lineament.training.augment import Draws, draw_placement, recoloured
from lineament.training.config import DEPTH_PICTURES, FaceConfig
from lineament.training.data import DatasetFolder, face_of, read_scaled, resampled, resampled_face
from lineament.training.parallel import processes, rank

_DEPTH_UNIT = 16384.0  # of the kept int16 depth


@dataclass(frozen=True)
class DepthBatch:
    """What the losses see."""

    image: Tensor  # [B, 3, S, S] sRGB in [0, 1]
    depth: Tensor  # [B, 1, S, S] shares of the side, larger is nearer, mean of the face zero; zero elsewhere
    albedo: Tensor  # [B, 3, S, S] linear; zero where none is known
    face: Tensor  # [B, 1, S, S] bool

    def to(self, device: torch.device) -> DepthBatch:
        """Move to a device."""
        return DepthBatch(*(value.to(device) for value in vars(self).values()))

    @property
    def known(self) -> Tensor:
        """[B, 1, 1, 1] bool: renders, whose depth is the truth and whose albedo is known."""
        return self.albedo.flatten(1).any(1)[:, None, None, None]

    @property
    def light(self) -> Tensor:
        """The picture in linear light."""
        return decode_srgb(self.image)


def varied(batch: DepthBatch, config: FaceConfig, step: int) -> tuple[DepthBatch, Tensor]:
    """A batch moved as real crops are, and its pictures in other colours, which is what the network sees.

    The moved batch keeps its colours: a shading that is to be explained must be the one that was lit.
    """
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    if not config.augment:
        return batch, batch.image.contiguous(memory_format=layout)
    draw = draws_of(batch, config, step)
    placed, inside = moved(batch, draw)
    return placed, recoloured(placed.image, inside, draw).contiguous(memory_format=layout)


def draws_of(batch: DepthBatch, config: FaceConfig, step: int) -> Draws:
    """The chance of a step of this process."""
    return Draws(config.seed, step * processes() + rank(), len(batch.image), batch.image.device)


def moved(batch: DepthBatch, draw: Draws) -> tuple[DepthBatch, Tensor]:
    """A batch moved as real crops are, in its own colours; and [B, 1, S, S] bool, what is not padding."""
    placement = draw_placement(draw, batch.image.shape[-1])
    face = placement.face(batch.face)
    image, albedo = placement.picture(batch.image), placement.picture(batch.albedo)
    return DepthBatch(image, centred(placement.depth(batch.depth), face), albedo, face), placement.inside


def centred(depth: Tensor, face: Tensor) -> Tensor:
    """Depth [B, 1, S, S] with its mean over the face at zero; zero elsewhere."""
    weight = face.to(depth.dtype)
    mean = (depth * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1.0)
    return (depth - mean) * weight


class DepthDecoder:
    """Photos, depth, albedo and faces of datasets on disk."""

    pictures: tuple[str, ...] = DEPTH_PICTURES
    bytes_per_pixel = 12  # three uint8, one int16, three int16 and one bool

    def read(self, files: Mapping[str, Path], size: int) -> tuple[Tensor, ...]:
        """Photo (uint8), depth (int16), albedo (int16) and face of one sample."""
        steps = read_scaled(files["depth"], scale=False)
        depth = (steps - DEPTH_ZERO) / DEPTH_STEPS / steps.shape[-1] * (steps > 0)
        image, albedo = (resampled(read_scaled(files[name]), size) for name in ("image", "albedo"))
        face = resampled_face(face_of(read_scaled(files["mask"], scale=False)), size)
        depth = centred(resampled(depth, size)[None], face[None])[0]
        return (
            (image * 255.0).round().byte(),
            (depth * _DEPTH_UNIT).round().clamp(-32767, 32767).short(),
            (albedo * 32767.0).round().short(),
            face,
        )

    def batch(self, samples: Sequence[tuple[Tensor, ...]]) -> DepthBatch:
        """The same as floating point."""
        image, depth, albedo, face = (torch.stack(tensors) for tensors in zip(*samples, strict=True))
        return DepthBatch(image.float() / 255.0, depth.float() / _DEPTH_UNIT, albedo.float() / 32767.0, face)


def rendered(config: FaceConfig, split: str, first: int, device: torch.device) -> Iterator[DepthBatch]:
    """Endless batches of synthetic faces from the ``first`` on, from folders or made on the spot.

    Raises:
        DataError: A folder that holds no dataset with depth and albedo.
    """
    if config.data:
        folder = DatasetFolder(config, split, first, DepthDecoder())
        workers = config.workers if split == "train" else 0
        for batch in DataLoader(folder, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None):
            yield batch.to(device)
        return
    own, step = (first * processes() + rank(), processes()) if split == "train" else (first, 1)
    synth = SynthConfig(size=config.size, seed=config.seed)
    for sample in FaceStream(synth, config.batch_size, split, own, device=device, step=step):
        face = face_of(sample.mask)
        depth = centred(sample.depth / config.size, face)
        yield DepthBatch(sample.image, depth, sample.albedo, face)
