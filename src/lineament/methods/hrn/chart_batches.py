# SPDX-License-Identifier: Apache-2.0
"""Batches of charted faces and photos for the training of HRN's maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lineament.datasets.labelled_folder import is_validation, labelled_samples
from lineament.errors import DataError
from lineament.methods.hrn.analyser_recipe import load_analyser
from lineament.methods.hrn.blemishes import Blemishes
from lineament.methods.hrn.chart_samples import Arrays, ChartSamples
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.scan_fit import SCAN
from lineament.methods.hrn.texture import SIDE
from lineament.rig import load_rig
from lineament.synth.write import config_of
from lineament.training.batch import Batch
from lineament.training.parallel import dealt

_PICTURES = ("texture", "seen", "face", "skin", "deformation", "height", "marks", "normal_map")
"""Arrays that are maps: [H, W] or [H, W, C] becomes [C, H, W]."""
Wanted = Literal["faces", "photos", "blemishes"]
"""Synthetic faces alone, with photos beside them, or with blemishes that their textures do not have."""
_BYTES = ("texture", "seen")


class ChartBatches(IterableDataset[Batch]):
    """Endless batches; batch n is a pure function of (seed, n).

    Labels are the arrays of `ChartSamples` as [B, ·], maps [B, C, ·, ·], uint8 as [0, 1]; photos have ``photo_`` before
    their names, their picture ``photo_image`` among them; ``marks`` [B, 3, T, T] are `Blemishes`.
    """

    def __init__(self, config: HRNTrainConfig, analyser: Path, split: str, first: int, wanted: Wanted) -> None:
        """Read the lists of samples.

        Raises:
            DataError: Folders that hold no samples of the split, or not of `lineament synth`.
        """
        super().__init__()
        self.config, self.split, self.first = config, split, first
        self.scans = list(enumerate(scans_of(config.scans, split))) if wanted != "blemishes" else []
        self.faces = [
            (f"face-{number}-{sample['index']:08d}", sample, config_of(folder))
            for number, folder in enumerate(config.data)
            for sample in labelled_samples((folder,), split, config.NEEDS, config.PICTURES)
        ]
        needs, pictures = ("landmarks", "visible"), ("image", "normals", "mask")
        self.photos = [
            (f"photo-{number}-{sample['index']:08d}", sample)
            for number, folder in enumerate(config.photos if wanted == "photos" else ())
            for sample in labelled_samples((folder,), "train", needs, pictures)
        ]
        augment = config.augment and split == "train"
        folder = (config.charts or config.output / "charts") / split
        self.blemishes = Blemishes(load_rig(), SIDE) if wanted == "blemishes" else None
        self.samples = ChartSamples(folder, load_analyser(analyser), config.size, config.seed, augment)

    def __iter__(self) -> Iterator[Batch]:
        size = self.config.batch_size
        real = max(1, round(self.config.photo_share * size)) if self.photos else 0
        for number in dealt(self.first, self.split):
            faces = [self._face(number * size + i) for i in range(size)]
            batch = _stacked(faces)
            if real:
                photos = _stacked([self._photo(number * real + i) for i in range(real)])
                named = {f"photo_{name}": value for name, value in photos.labels.items()}
                batch = batch.with_labels(photo_image=photos.image, **named)
            yield batch

    def _marked(self, face: Arrays, number: int) -> Arrays:
        if self.blemishes is None:
            return face
        random = np.random.default_rng((self.config.seed, 5, self.split == "validation", number))
        return {**face, "marks": self.blemishes.draw(random)}

    def _face(self, number: int) -> Arrays:
        validation = self.split == "validation"
        random = np.random.default_rng((self.config.seed, 3, number))
        count = len(self.faces) + len(self.scans)
        place = number % count if validation else int(random.integers(count))
        if place >= len(self.faces):
            scan, folder = self.scans[place - len(self.faces)]
            return self.samples.scan(f"scan-{scan:08d}", folder)
        return self._marked(self.samples.synthetic(*self.faces[place]), number)

    def _photo(self, number: int) -> Arrays:
        random = np.random.default_rng((self.config.seed, 4, number))
        return self.samples.photo(*self.photos[int(random.integers(len(self.photos)))])


def scans_of(folders: Sequence[Path], split: str) -> list[Path]:
    """The folders of `lineament scan-fit` in some folders that belong to a split; each counts as a person.

    Raises:
        DataError: A folder that holds none.
    """
    found: list[Path] = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.rglob(SCAN))
        if not inside:
            raise DataError(f"{folder} holds no scan that `lineament scan-fit` fitted: there is no {SCAN} in it")
        found += [path for number, path in enumerate(inside, 1) if is_validation(number) == (split == "validation")]
    return found


def _stacked(samples: list[Arrays]) -> Batch:
    def tensor(name: str, arrays: list[NDArray[Any]]) -> torch.Tensor:
        values = torch.from_numpy(np.stack(arrays))
        if name in _PICTURES or name == "image":
            values = values[..., None] if values.ndim == 3 else values
            values = values.permute(0, 3, 1, 2)
        if name in _BYTES or name == "image":
            return values.float() / 255
        return values if values.dtype == torch.bool else values.float()

    labels = {name: tensor(name, [sample[name] for sample in samples]) for name in samples[0]}
    return Batch(labels.pop("image"), labels)


def chart_batches(
    config: HRNTrainConfig,
    analyser: Path,
    split: str,
    first: int,
    device: torch.device,
    wanted: Wanted,
) -> Iterator[Batch]:
    """Endless batches of a split from the ``first`` on."""
    workers = config.workers if split == "train" else 0
    source = ChartBatches(config, analyser, split, first, wanted)
    for batch in DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None):
        yield batch.to(device)
