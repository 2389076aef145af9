# SPDX-License-Identifier: Apache-2.0
"""How each label is read from a dataset's folder, taken from the generator, and kept in memory in few bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.annotations.parsing import UNDER_GLASSES
from lineament.datasets.labelled_folder import DEPTH_STEPS, DEPTH_ZERO, read_picture
from lineament.render.vectors import unit
from lineament.synth.batch import SampleBatch
from lineament.training.batch import Batch, centred

_UNIT = 32767.0  # of normals and albedo as int16
_DEPTH_UNIT = 16384.0  # of depth as int16


@dataclass(frozen=True)
class Label:
    """One of the labels that a face dataset holds; all of them come with the face."""

    picture: str
    """The picture of the dataset that it is read from."""
    channels: int
    unit: float
    """What 1 is as int16."""
    read: Callable[[Tensor, Tensor, Tensor, int], Tensor]
    """From the picture [C, H, W] in the file's own numbers, the face [1, H, W] there, the face [1, S, S] at the size of
    the training, and that size: [C, S, S]."""
    made: Callable[[SampleBatch, Tensor], Tensor]
    """From a batch of the generator and its faces [B, 1, S, S]: [B, C, S, S]."""

    def packed(self, value: Tensor) -> Tensor:
        """As int16."""
        return (value * self.unit).round().clamp(-32767, 32767).short()


def _read_normals(picture: Tensor, face_there: Tensor, face: Tensor, size: int) -> Tensor:
    normals = resampled((2.0 * (picture / 65535.0) - 1.0) * face_there, size)
    return unit(normals[None])[0] * face


def _read_depth(picture: Tensor, face_there: Tensor, face: Tensor, size: int) -> Tensor:
    depth = (picture - DEPTH_ZERO) / DEPTH_STEPS / picture.shape[-1] * (picture > 0)
    return centred(resampled(depth, size)[None], face[None])[0]


LABELS: Mapping[str, Label] = {
    "normals": Label("normals", 3, _UNIT, _read_normals, lambda made, face: made.normals),
    "depth": Label("depth", 1, _DEPTH_UNIT, _read_depth, lambda made, face: centred(made.depth / face.shape[-1], face)),
    "albedo": Label(
        "albedo",
        3,
        _UNIT,
        lambda picture, face_there, face, size: resampled(picture / 65535.0, size),
        lambda made, face: made.albedo,
    ),
}


class Decoder:
    """What a training reads of each sample: its picture, its face, and the labels that are named."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Name the labels beside the face: some of `LABELS`."""
        self.names = tuple(labels)
        self.pictures = ("image", *(label.picture for label in self._labels), "mask")
        """Which pictures a dataset must hold."""
        self.bytes_per_pixel = 4 + 2 * sum(label.channels for label in self._labels)
        """What a sample takes in memory: three uint8, one bool, and int16."""

    @property
    def _labels(self) -> list[Label]:
        """In the order of their names; not kept, so that a decoder can be sent to a worker."""
        return [LABELS[name] for name in self.names]

    def read(self, files: Mapping[str, Path], size: int) -> tuple[Tensor, ...]:
        """A sample's tensors at the size of the training, as `packed` packs them."""
        valid = face_of(_numbers(files["mask"]))
        face = _resampled_face(valid, size)
        values = [label.read(_numbers(files[label.picture]), valid, face, size) for label in self._labels]
        image = read_image(files["image"], size)
        return self.packed(Batch(image, {"face": face, **dict(zip(self.names, values, strict=True))}))

    def made(self, sample: SampleBatch) -> tuple[Tensor, ...]:
        """The tensors of a batch of the generator, as `packed` packs them."""
        face = face_of(sample.mask)
        values = {name: label.made(sample, face) for name, label in zip(self.names, self._labels, strict=True)}
        return self.packed(Batch(sample.image, {"face": face, **values}))

    def packed(self, batch: Batch) -> tuple[Tensor, ...]:
        """Picture (uint8), face (bool) and labels (int16), in the precision of datasets on disk."""
        labels = (label.packed(batch[name]) for name, label in zip(self.names, self._labels, strict=True))
        return (batch.image * 255.0).round().byte(), batch["face"], *labels

    def unpacked(self, packed: Sequence[Tensor]) -> Batch:
        """The batch that `packed` packed."""
        image, face, *values = packed
        labels = {
            name: value.float() / label.unit
            for name, label, value in zip(self.names, self._labels, values, strict=True)
        }
        return Batch(image.float() / 255.0, {"face": face, **labels})


def face_of(mask: Tensor) -> Tensor:
    """Where shape is learned, from a mask of `MaskClass`: the face, under glasses too."""
    classes = torch.tensor([int(c) for c in UNDER_GLASSES], device=mask.device)
    return torch.isin(mask.to(torch.int64), classes)


def resampled(picture: Tensor, size: int) -> Tensor:
    """A picture [C, H, W] at size×size."""
    if picture.shape[-2:] == (size, size):
        return picture
    return F.interpolate(picture[None], (size, size), mode="bilinear", antialias=True)[0]


def read_image(path: Path, size: int) -> Tensor:
    """A photo of a dataset, [3, S, S] in [0, 1]."""
    return resampled(_numbers(path) / 255.0, size)


def _resampled_face(face: Tensor, size: int) -> Tensor:
    """A mask [1, H, W] bool at size×size."""
    if face.shape[-2:] == (size, size):
        return face
    return F.interpolate(face[None].float(), (size, size), mode="nearest")[0] > 0.5


def _numbers(path: Path) -> Tensor:
    """A picture as [C, H, W] float, in the file's own numbers."""
    picture = read_picture(path)
    picture = picture[..., None] if picture.ndim == 2 else picture
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32))
