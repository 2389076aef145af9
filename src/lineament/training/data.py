# SPDX-License-Identifier: Apache-2.0
"""Batches for the loop: made while training, or read from a folder that `lineament synth` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from lineament.errors import DataError
from lineament.synth.batch import MaskClass, SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.stream import FaceStream, is_validation
from lineament.training.config import TrainConfig


@dataclass(frozen=True)
class Batch:
    """What the losses see."""

    image: Tensor  # [B, 3, S, S] in [0, 1]
    normals: Tensor  # [B, 3, S, S] unit where ``face``
    face: Tensor  # [B, 1, S, S] bool: skin, eyes and mouth, not covered by hair or clothes

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        return Batch(self.image.to(device), self.normals.to(device), self.face.to(device))


def face_of(mask: Tensor) -> Tensor:
    """Where normals are learned, from a mask of `MaskClass`."""
    return (mask == int(MaskClass.SKIN)) | (mask == int(MaskClass.EYES)) | (mask == int(MaskClass.MOUTH))


def batches(config: TrainConfig, split: str, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches from the ``first`` on; batch n is a pure function of the configuration and n.

    Raises:
        DataError: A folder that holds no dataset of this size.
    """
    source: IterableDataset[Batch]
    if config.data is not None:
        source = DatasetFolder(config.data, config.size, config.batch_size, split, first, config.seed)
    else:
        made_on = device if config.workers == 0 else torch.device("cpu")
        source = GeneratedBatches(
            FaceStream(SynthConfig(size=config.size, seed=config.seed), config.batch_size, split, first, device=made_on)
        )
    workers = config.workers if split == "train" else 0
    loader = DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    for batch in loader:
        yield batch.to(device)


class GeneratedBatches(IterableDataset[Batch]):
    """The generator's batches, with only what the losses need."""

    def __init__(self, stream: FaceStream) -> None:
        super().__init__()
        self.stream = stream

    def __iter__(self) -> Iterator[Batch]:
        if get_worker_info():
            torch.set_num_threads(1)
        for sample in self.stream:
            yield _of_sample(sample)


def _of_sample(sample: SampleBatch) -> Batch:
    return Batch(sample.image, sample.normals, face_of(sample.mask))


class DatasetFolder(IterableDataset[Batch]):
    """Shuffled batches of a dataset on disk, split by identity; sizes that differ are resampled."""

    def __init__(self, folder: Path, size: int, batch_size: int, split: str, first: int, seed: int) -> None:
        """Read the list of samples.

        Raises:
            DataError: No dataset, or no sample of the split, in the folder.
        """
        super().__init__()
        self.folder, self.size, self.batch_size, self.first, self.seed = folder, size, batch_size, first, seed
        try:
            lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no dataset written by `lineament synth`: {error}") from error
        self.samples = [line["files"] for line in lines if is_validation(line["person"]) == (split == "validation")]
        if not self.samples:
            raise DataError(f"{folder} holds no {split} samples ({len(lines)} in all); write more of them")

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        start, step = (worker.id, worker.num_workers) if worker else (0, 1)
        number = self.first + start
        while True:
            first = number * self.batch_size
            yield self._load([self._pick(first + i) for i in range(self.batch_size)])
            number += step

    def _pick(self, position: int) -> dict[str, str]:
        """The sample at a position of the endless sequence: one shuffled pass after another."""
        epoch, place = divmod(position, len(self.samples))
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
        chosen: dict[str, str] = self.samples[order[place]]
        return chosen

    def _load(self, picked: list[dict[str, str]]) -> Batch:
        image = torch.stack([self._sized(self._read(files["image"]), smooth=True) for files in picked])
        normals = torch.stack([self._sized(self._read(files["normals"])) for files in picked]) * 2.0 - 1.0
        mask = torch.stack([self._sized(self._read(files["mask"], scale=False)) for files in picked])
        face = face_of(mask)
        return Batch(image, F.normalize(normals, dim=1) * face, face)

    def _sized(self, picture: Tensor, smooth: bool = False) -> Tensor:
        """A picture [C, H, W] at the size of the training."""
        if picture.shape[-1] == self.size:
            return picture
        if smooth:
            return F.interpolate(picture[None], (self.size, self.size), mode="bilinear", antialias=True)[0]
        return F.interpolate(picture[None], (self.size, self.size), mode="nearest")[0]

    def _read(self, name: str, scale: bool = True) -> Tensor:
        """A picture as [C, H, W] float; in [0, 1] when scaled."""
        import cv2

        picture = cv2.imread(str(self.folder / name), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise DataError(f"cannot read {self.folder / name}")
        picture = picture[..., None] if picture.ndim == 2 else picture[..., ::-1]
        values = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32))
        return values / float((1 << 8 * picture.dtype.itemsize) - 1) if scale else values
