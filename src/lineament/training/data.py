# SPDX-License-Identifier: Apache-2.0
"""Batches for the loop: made while training, or read from a folder that `lineament synth` wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from lineament.annotations.parsing import FACE_CLASSES
from lineament.errors import DataError
from lineament.files.reading import reading
from lineament.render.vectors import unit
from lineament.synth.stream import FaceStream
from lineament.training.config import NORMALS_PICTURES, FaceConfig
from lineament.training.parallel import draw_number, processes, rank
from lineament.training.pool import pooled
from lineament.training.synth_folder import labelled_samples, read_picture

Kind = TypeVar("Kind")
Made = TypeVar("Made", covariant=True)

_UNIT = 32767.0  # of packed normals
_AT_ONCE = 256  # faces that a worker makes on an accelerator for a pool: 64 take it half as long


@dataclass(frozen=True)
class Batch:
    """What the losses see."""

    image: Tensor  # [B, 3, S, S] in [0, 1]
    normals: Tensor  # [B, 3, S, S] unit where ``face``
    face: Tensor  # [B, 1, S, S] bool: skin, eyes and mouth, not covered by hair or clothes

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        return Batch(self.image.to(device), self.normals.to(device), self.face.to(device))

    def packed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Image (uint8), normals (int16) and face (bool): ten bytes a pixel, the precision of datasets on disk."""
        return (self.image * 255.0).round().byte(), (self.normals * _UNIT).round().short(), self.face

    @classmethod
    def unpacked(cls, packed: Sequence[Tensor]) -> Batch:
        """The batch that `packed` packed."""
        image, normals, face = packed
        return cls(image.float() / 255.0, normals.float() / _UNIT, face)

    def at_half_resolution(self) -> Batch:
        """The same at half the resolution; a pixel is face where all four of its were."""
        face = F.avg_pool2d(self.face.to(self.normals.dtype), 2) > 0.99
        normals = unit(F.avg_pool2d(self.normals, 2)) * face
        return Batch(F.avg_pool2d(self.image, 2), normals, face)


def face_of(mask: Tensor) -> Tensor:
    """Where normals are learned, from a mask of `MaskClass`."""
    classes = torch.tensor([int(c) for c in FACE_CLASSES], device=mask.device)
    return torch.isin(mask.to(torch.int64), classes)


def batches(config: FaceConfig, split: str, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches from the ``first`` on; batch n is a pure function of the configuration and n.

    Raises:
        DataError: A folder that holds no dataset of this size.
    """
    if config.pool and split == "train":
        made = made_faces(config, first, device)
        seed = draw_number(first) * 1_000_003 + config.seed
        for faces in pooled(made, config.pool, config.batch_size, config.pool_views, seed, device):
            yield Batch.unpacked(faces)
        return
    if config.data:
        folder = DatasetFolder(config, split, first, NormalsDecoder())
        workers = config.workers if split == "train" else 0
        loader = DataLoader(folder, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
        for batch in loader:
            yield batch.to(device)
        return
    for faces in made_faces(config, first, device, split):
        yield Batch.unpacked(faces).to(device)


def made_faces(
    config: FaceConfig, first: int, device: torch.device, split: str = "train"
) -> Iterable[tuple[Tensor, ...]]:
    """Batches of faces that are made by the workers, or here if there are none, as `Batch.packed` packs them.

    With workers beside a CUDA device the faces are made there, by processes of their own: making them is many small
    operations, which wait for their processor rather than for the device.

    Args:
        config: The training.
        first: Number of the first batch.
        device: Where the training runs.
        split: "train" or "validation".
    """
    workers = config.workers if split == "train" else 0
    own, step = (first * processes() + rank(), processes()) if split == "train" else (first, 1)
    synth = replace(config.synth, size=config.size, seed=config.seed)
    made_on = device if workers == 0 or device.type == "cuda" else torch.device("cpu")
    many = config.pool and workers and made_on.type == "cuda"
    count = max(config.batch_size, _AT_ONCE) if many else config.batch_size
    source = GeneratedFaces(FaceStream(synth, count, split, own, device=made_on, step=step))
    if workers == 0:
        return source
    return DataLoader(
        source,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=2,
        pin_memory=device.type == "cuda",
        # A process that has CUDA open cannot be forked.
        multiprocessing_context="spawn" if device.type == "cuda" else None,
    )


class GeneratedFaces(IterableDataset[tuple[Tensor, ...]]):
    """The generator's batches, with only what the losses need, as `Batch.packed` packs them."""

    def __init__(self, stream: FaceStream) -> None:
        super().__init__()
        self.stream = stream

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        if worker:
            torch.set_num_threads(1)
        for sample in self.stream:
            faces = Batch(sample.image, sample.normals, face_of(sample.mask)).packed()
            yield tuple(tensor.cpu() for tensor in faces) if worker else faces


class Decoder(Protocol[Made]):
    """What of a sample's files a training needs, and how its batches are put together."""

    pictures: tuple[str, ...]
    """Which pictures a dataset must hold."""
    bytes_per_pixel: int
    """What a sample takes in memory."""

    def read(self, files: Mapping[str, Path], size: int) -> tuple[Tensor, ...]:
        """A sample's tensors at the size of the training, small enough to be kept."""

    def batch(self, samples: Sequence[tuple[Tensor, ...]]) -> Made:
        """The batch of some samples."""


class NormalsDecoder:
    """Photos, normals and faces: `Batch`."""

    pictures: tuple[str, ...] = NORMALS_PICTURES
    bytes_per_pixel = 10  # three uint8, three int16 and one bool

    def read(self, files: Mapping[str, Path], size: int) -> tuple[Tensor, ...]:
        """Photo (uint8), unit normals (int16) and face of one sample."""
        image, mask = read_scaled(files["image"]), read_scaled(files["mask"], scale=False)
        face = face_of(mask)
        normals = (2.0 * read_scaled(files["normals"]) - 1.0) * face
        image, normals = resampled(image, size), resampled(normals, size)
        face = resampled_face(face, size)
        return Batch(image, unit(normals[None])[0] * face, face).packed()

    def batch(self, samples: Sequence[tuple[Tensor, ...]]) -> Batch:
        """Photos, normals and faces as floating point."""
        return Batch.unpacked([torch.stack(tensors) for tensors in zip(*samples, strict=True)])


class DatasetFolder(IterableDataset[Kind]):
    """Shuffled batches of datasets on disk, split by identity; pictures of another size are resampled.

    Decoding is slow beside a training step on a CPU: samples stay in memory, in their files' precision, up to the
    configuration's ``cache``.
    """

    def __init__(self, config: FaceConfig, split: str, first: int, decoder: Decoder[Kind]) -> None:
        """Read the lists of samples.

        Raises:
            DataError: A folder without a dataset, or without the pictures that are needed, or no sample of the split.
        """
        super().__init__()
        self.size, self.batch_size, self.first, self.seed = config.size, config.batch_size, first, config.seed
        self.decoder = decoder
        samples = labelled_samples(config.data, split, pictures=decoder.pictures)
        # Each of several processes keeps to its share, so that all of them together hold every sample once.
        samples = samples[rank() :: processes()] if split == "train" else samples
        self.samples: list[dict[str, Path]] = [line["files"] for line in samples]
        bytes_each = decoder.bytes_per_pixel * config.size**2
        self._room = int(config.cache * 2**30 / bytes_each / max(1, config.workers))
        self._kept: dict[int, tuple[Tensor, ...]] = {}

    def __iter__(self) -> Iterator[Kind]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        number = self.first + start
        while True:
            first = number * self.batch_size
            yield self.decoder.batch([self._sample(self._pick(first + i)) for i in range(self.batch_size)])
            number += step

    def _pick(self, position: int) -> int:
        """The sample at a position of the endless sequence: one shuffled pass after another."""
        epoch, place = divmod(position, len(self.samples))
        return int(_order(self.seed, epoch, len(self.samples))[place])

    def _sample(self, number: int) -> tuple[Tensor, ...]:
        if number not in self._kept:
            files = self.samples[number]
            with reading(next(iter(files.values())), "one of a sample's pictures", DataError):
                sample = self.decoder.read(files, self.size)
            if len(self._kept) >= self._room:
                return sample
            self._kept[number] = sample
        return self._kept[number]


def resampled(picture: Tensor, size: int) -> Tensor:
    """A picture [C, H, W] at size×size."""
    if picture.shape[-2:] == (size, size):
        return picture
    return F.interpolate(picture[None], (size, size), mode="bilinear", antialias=True)[0]


def resampled_face(face: Tensor, size: int) -> Tensor:
    """A mask [1, H, W] bool at size×size."""
    if face.shape[-2:] == (size, size):
        return face
    return F.interpolate(face[None].float(), (size, size), mode="nearest")[0] > 0.5


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The shuffled order of one pass."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def read_scaled(path: Path, scale: bool = True) -> Tensor:
    """A picture as [C, H, W] float; in [0, 1] when scaled."""
    picture = read_picture(path)
    picture = picture[..., None] if picture.ndim == 2 else picture
    values = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32))
    return values / float((1 << 8 * picture.dtype.itemsize) - 1) if scale else values
