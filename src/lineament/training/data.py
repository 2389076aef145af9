# SPDX-License-Identifier: Apache-2.0
"""Batches for the loop: made while training, or read from folders with a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from lineament.datasets.labelled_folder import labelled_samples
from lineament.errors import DataError
from lineament.files.reading import reading
from lineament.synth.stream import FaceStream
from lineament.training.batch import Batch, concatenated
from lineament.training.config import NORMALS_LABELS, FaceConfig
from lineament.training.labels import Decoder
from lineament.training.parallel import draw_number, processes, rank
from lineament.training.pool import pooled

_AT_ONCE = 256  # faces that a worker makes on an accelerator for a pool: 64 take it half as long


def batches(
    config: FaceConfig, split: str, first: int, device: torch.device, labels: Sequence[str] = NORMALS_LABELS
) -> Iterator[Batch]:
    """Endless batches from the ``first`` on; batch n is a pure function of the configuration and n.

    Args:
        config: The training.
        split: "train" or "validation".
        first: Number of the first batch.
        device: Where the training runs.
        labels: Which ones to give beside the face (`lineament.training.labels.LABELS`).

    Raises:
        DataError: A folder that holds no dataset of these labels.
    """
    decoder = Decoder(labels)
    if config.pool and split == "train":
        made = made_faces(config, decoder, first, device)
        seed = draw_number(first) * 1_000_003 + config.seed
        for faces in pooled(made, config.pool, config.batch_size, config.pool_views, seed, device):
            yield decoder.unpacked(faces)
        return
    if config.data:
        folder = DatasetFolder(config, split, first, decoder)
        workers = config.workers if split == "train" else 0
        loader = DataLoader(folder, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
        for batch in loader:
            yield batch.to(device)
        return
    for faces in made_faces(config, decoder, first, device, split):
        yield decoder.unpacked(faces).to(device)


def photo_batches(
    config: FaceConfig,
    photos: tuple[Path, ...],
    count: int,
    first: int,
    device: torch.device,
    labels: Sequence[str] = (),
) -> Iterator[Batch]:
    """Endless batches of photos that `lineament label` labelled, for a training on other data besides.

    Args:
        config: The training.
        photos: Folders written by `lineament label`.
        count: Photos of a batch.
        first: Number of the first batch.
        device: Where the training runs.
        labels: Which ones to give beside the face.
    """
    return batches(replace(config, data=photos, batch_size=count, pool=0, workers=0), "train", first, device, labels)


def unlabelled_batches(
    config: FaceConfig, photos: tuple[Path, ...], photo_share: float, first: int, device: torch.device
) -> Iterator[Batch]:
    """Endless batches for training of pictures and their faces alone: synthetic ones, and photos besides.

    Args:
        config: The training.
        photos: Folders written by `lineament label`; none for synthetic faces alone.
        photo_share: Share of a batch that comes from them.
        first: Number of the first batch.
        device: Where the training runs.
    """
    real = round(photo_share * config.batch_size) if photos else 0
    sources: list[Iterator[Batch]] = []
    if real < config.batch_size:
        made = replace(config, batch_size=config.batch_size - real)
        sources.append(batches(made, "train", first, device, labels=()))
    if real > 0:
        sources.append(photo_batches(config, photos, real, first, device))
    yield from map(concatenated, zip(*sources, strict=True))


def made_faces(
    config: FaceConfig, decoder: Decoder, first: int, device: torch.device, split: str = "train"
) -> Iterable[tuple[Tensor, ...]]:
    """Batches of faces that are made by the workers, or here if there are none, as `Decoder.packed` packs them.

    With workers beside a CUDA device the faces are made there, by processes of their own: making them is many small
    operations, which wait for their processor rather than for the device.

    Args:
        config: The training.
        decoder: Which labels they have.
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
    source = GeneratedFaces(FaceStream(synth, count, split, own, device=made_on, step=step), decoder)
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
    """The generator's batches, with only what the losses need, as `Decoder.packed` packs them."""

    def __init__(self, stream: FaceStream, decoder: Decoder) -> None:
        super().__init__()
        self.stream, self.decoder = stream, decoder

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        worker = get_worker_info()
        if worker:
            torch.set_num_threads(1)
        for sample in self.stream:
            faces = self.decoder.made(sample)
            yield tuple(tensor.cpu() for tensor in faces) if worker else faces


class DatasetFolder(IterableDataset[Batch]):
    """Shuffled batches of datasets on disk, split by identity; pictures of another size are resampled.

    Decoding is slow beside a training step on a CPU: samples stay in memory, in their files' precision, up to the
    configuration's ``cache``.
    """

    def __init__(self, config: FaceConfig, split: str, first: int, decoder: Decoder) -> None:
        """Read the lists of samples.

        Raises:
            DataError: A folder without a dataset, or without the pictures that are needed, or no sample of the split.
        """
        super().__init__()
        self.size, self.batch_size, self.first, self.seed = config.size, config.batch_size, first, config.seed
        self.decoder = decoder
        samples = labelled_samples(config.data, split, pictures=decoder.pictures)
        # Each of several processes keeps to its share, so that all of them together hold every sample once.
        samples = (samples[rank() :: processes()] or samples) if split == "train" else samples
        self.samples: list[dict[str, Path]] = [line["files"] for line in samples]
        bytes_each = decoder.bytes_per_pixel * config.size**2
        self._room = int(config.cache * 2**30 / bytes_each / max(1, config.workers))
        self._cached: dict[int, tuple[Tensor, ...]] = {}

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        number = self.first + start
        while True:
            first = number * self.batch_size
            samples = [self._sample(self._pick(first + i)) for i in range(self.batch_size)]
            yield self.decoder.unpacked([torch.stack(tensors) for tensors in zip(*samples, strict=True)])
            number += step

    def _pick(self, position: int) -> int:
        """The sample at a position of the endless sequence: one shuffled pass after another."""
        epoch, place = divmod(position, len(self.samples))
        return int(_order(self.seed, epoch, len(self.samples))[place])

    def _sample(self, number: int) -> tuple[Tensor, ...]:
        if number not in self._cached:
            files = self.samples[number]
            with reading(next(iter(files.values())), "one of a sample's pictures", DataError):
                sample = self.decoder.read(files, self.size)
            if len(self._cached) >= self._room:
                return sample
            self._cached[number] = sample
        return self._cached[number]


@lru_cache(maxsize=4)  # of two datasets, and each one's next pass
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The shuffled order of one pass."""
    return np.random.default_rng((seed, epoch)).permutation(count)
