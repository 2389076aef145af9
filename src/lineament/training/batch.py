# SPDX-License-Identifier: Apache-2.0
"""The one kind of batch that trainings learn from: pictures, and labels by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.render.colour import decode_srgb
from lineament.render.vectors import unit


@dataclass(frozen=True)
class Batch:
    """Pictures and what is known of them.

    ========== ==================== ====================================================================================
    label      shape                what it is
    ========== ==================== ====================================================================================
    face       [B, 1, S, S] bool    skin, brows, eyes and mouth, not covered by hair or clothes: where shape is learned
    normals    [B, 3, S, S]         unit vectors where known, camera frame; zero elsewhere
    depth      [B, 1, S, S]         shares of the side, larger is nearer, mean of the face zero; zero off the face
    albedo     [B, 3, S, S]         linear; zero where none is known
    parse      [B, 1, S, S] int64   `lineament.annotations.parsing.MaskClass`
    landmarks  [B, 68, 2]           shares of the side, x right and y down, iBUG order
    visible    [B, 68] bool         landmarks that nothing hides
    rotation   [B, 3, 3]            of the head in the picture's camera frame
    heat       [B, S/8, S/8]        1 at faces' centres, falling off around them
    counted    [B, S/8, S/8] bool   False where nothing is asked of a detector
    box        [B, 4, S/8, S/8]     as the detector gives it
    roll       [B, 2, S/8, S/8]     cosine and sine, zero where unknown
    weight     [B, S/8, S/8]        of box and roll
    noisy      [B, 3, S, S]         the pictures with noise on them
    plain      [P, 3, S, S]         photos without labels, as they are
    recoloured [P, 3, S, S]         the same in other colours
    ========== ==================== ====================================================================================

    Each training's batches have the labels that it reads. `lineament.training.augment` moves the first eight with
    their pictures.
    """

    image: Tensor  # [B, 3, S, S] sRGB in [0, 1]
    labels: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        """A label.

        Raises:
            KeyError: The batch does not have it.
        """
        return self.labels[name]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def known(self) -> Tensor:
        """[B, 1, 1, 1] bool: renders, whose albedo is known, and whose depth is the truth."""
        return self["albedo"].flatten(1).any(1)[:, None, None, None]

    @property
    def light(self) -> Tensor:
        """The pictures in linear light."""
        return decode_srgb(self.image)

    def with_labels(self, **labels: Tensor) -> Batch:
        """The same pictures with some labels added or exchanged."""
        return replace(self, labels={**self.labels, **labels})

    def only(self, *names: str) -> Batch:
        """The same pictures with these labels alone."""
        return replace(self, labels={name: self[name] for name in names})

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        return Batch(self.image.to(device), {name: value.to(device) for name, value in self.labels.items()})

    def in_layout(self, channels_last: bool) -> Batch:
        """The same with the pictures in a memory layout."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return replace(self, image=self.image.contiguous(memory_format=layout))

    def at_half_resolution(self) -> Batch:
        """Pictures, faces and normals at half the resolution; a pixel is face where all four of its were.

        Raises:
            KeyError: The batch has other labels than face and normals.
        """
        if strange := sorted(set(self.labels) - {"face", "normals"}):
            raise KeyError(f"{strange[0]} is not known at half the resolution")
        labels = dict(self.labels)
        labels["face"] = F.avg_pool2d(self["face"].to(self.image.dtype), 2) > 0.99
        if "normals" in labels:
            labels["normals"] = unit(F.avg_pool2d(self["normals"], 2)) * labels["face"]
        return Batch(F.avg_pool2d(self.image, 2), labels)


def concatenated(batches: Sequence[Batch]) -> Batch:
    """One batch of all samples of several with the same labels.

    Raises:
        KeyError: A label that not all of them have.
    """
    first = batches[0]
    if different := sorted({name for batch in batches for name in set(batch.labels) ^ set(first.labels)}):
        raise KeyError(f"not all of the batches have {different[0]}")
    labels = {name: torch.cat([batch[name] for batch in batches]) for name in first.labels}
    return Batch(torch.cat([batch.image for batch in batches]), labels)


def centred(depth: Tensor, face: Tensor) -> Tensor:
    """Depth [B, 1, S, S] with its mean over the face at zero; zero elsewhere."""
    weight = face.to(depth.dtype)
    mean = (depth * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1.0)
    return (depth - mean) * weight
