# SPDX-License-Identifier: Apache-2.0
"""Crops for the parser, cut from synthetic faces as the runtime cuts them, with every label moved along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lineament.alignment.crop import SPAN, FaceCrop, crop_of_landmarks
from lineament.annotations.landmarks import mirrored_landmarks
from lineament.datasets.labelled_folder import labelled_samples, read_picture
from lineament.models.parser.config import ParserTrainConfig
from lineament.training.batch import Batch
from lineament.training.parallel import dealt
from lineament.training.picture_augment import recolour

_LOOSE = 0.5  # share of crops as a detector's box gives them; the rest are nearly canonical


class ParserCrops(IterableDataset[Batch]):
    """Endless batches; batch n is a pure function of (seed, n)."""

    def __init__(self, config: ParserTrainConfig, split: str, first: int) -> None:
        """Read the lists of samples.

        Raises:
            DataError: Folders that hold no samples of the split.
        """
        super().__init__()
        self.config, self.split, self.first = config, split, first
        self.samples = labelled_samples(config.data, split, config.NEEDS, config.PICTURES)

    def __iter__(self) -> Iterator[Batch]:
        for number in dealt(self.first, self.split):
            crops = [self._crop(number * self.config.batch_size + i) for i in range(self.config.batch_size)]
            image, landmarks, visible, rotation, mask = (np.stack(values) for values in zip(*crops, strict=True))
            labels = {
                "landmarks": torch.from_numpy(landmarks).float(),
                "visible": torch.from_numpy(visible),
                "rotation": torch.from_numpy(rotation).float(),
                "parse": torch.from_numpy(mask)[:, None].long(),
            }
            yield Batch(_as_tensor(image), labels)

    def _crop(self, number: int) -> tuple[NDArray[Any], ...]:
        validation = self.split == "validation"
        random = np.random.default_rng((self.config.seed, 1 if validation else 0, number))
        sample = self.samples[number % len(self.samples) if validation else int(random.integers(len(self.samples)))]
        image, mask = read_picture(sample["files"]["image"]), read_picture(sample["files"]["mask"])
        landmarks, rotation = np.array(sample["landmarks"]), np.array(sample["camera.rotation"])
        visible = np.array(sample["visible"])
        if self.config.augment and not validation and random.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
            landmarks, visible = mirrored_landmarks(landmarks, image.shape[1]), mirrored_landmarks(visible, None)
            rotation = rotation * np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
        crop = shaken(crop_of_landmarks(landmarks, self.config.size), random, loose=random.random() < _LOOSE)
        picture = crop.extract(np.ascontiguousarray(image))
        if self.config.augment and not validation:
            picture = recolour(picture, random)
        return picture, crop.to_crop(landmarks) / crop.size, visible, turned(rotation, crop), _labels(mask, crop)


class PhotoPairs(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Endless batches of photos' crops, plain and recoloured, [P, 3, S, S] each; batch n is a function of (seed, n)."""

    def __init__(self, config: ParserTrainConfig, first: int) -> None:
        """Read the lists of photos.

        Raises:
            DataError: Folders that hold no photos with landmarks.
        """
        super().__init__()
        self.config, self.first = config, first
        self.count = max(1, round(config.photo_share * config.batch_size))
        self.samples = labelled_samples(config.photos, "train", ("landmarks",), ("image",))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for number in dealt(self.first, "train"):
            pairs = [self._pair(number * self.count + i) for i in range(self.count)]
            plain, recoloured = (np.stack(pictures) for pictures in zip(*pairs, strict=True))
            yield _as_tensor(plain), _as_tensor(recoloured)

    def _pair(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        random = np.random.default_rng((self.config.seed, 2, number))
        sample = self.samples[int(random.integers(len(self.samples)))]
        image, landmarks = read_picture(sample["files"]["image"]), np.array(sample["landmarks"])
        if random.random() < 0.5:
            image, landmarks = image[:, ::-1], mirrored_landmarks(landmarks, image.shape[1])
        crop = shaken(crop_of_landmarks(landmarks, self.config.size), random, loose=random.random() < _LOOSE)
        plain = crop.extract(np.ascontiguousarray(image))
        return plain, recolour(plain, random)


def _as_tensor(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures [B, S, S, 3] as networks take them, [B, 3, S, S] in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def shaken(crop: FaceCrop, random: np.random.Generator, loose: bool) -> FaceCrop:
    """A canonical crop shifted, resized and turned: as loose as a detector's, or as little as landmarks err."""
    shift, zoom, lean = (0.08, 0.16, 18.0) if loose else (0.015, 0.04, 3.0)
    side = crop.side * float(np.exp(random.normal(0.03 if loose else 0.0, zoom)))
    x, y = (c + float(random.normal(0.0, shift)) * crop.side * SPAN for c in crop.centre)
    roll = crop.roll + float(random.normal(0.0, lean))
    if loose and random.random() < 0.5:
        roll = float(random.normal(0.0, 20.0)) + 0.3 * crop.roll  # its lean is not corrected at all
    return FaceCrop(x - 0.5 * side, y - 0.5 * side, side, crop.size, roll)


def turned(rotation: NDArray[np.float64], crop: FaceCrop) -> NDArray[np.float64]:
    """A head's rotation [3, 3] in the photo as the rotation in a crop."""
    (cosine, _), (sine, _) = crop.turn
    upright = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])  # y up: the other way round
    return np.asarray(upright @ rotation)


def _labels(mask: NDArray[np.uint8], crop: FaceCrop) -> NDArray[np.uint8]:
    """The mask as the crop shows it; nothing is known outside the picture, which is called other."""
    import cv2

    linear = crop.turn / crop.scale
    start = crop.to_photo(np.array([0.5, 0.5])) - 0.5
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    side = (crop.size, crop.size)
    # The picture repeats its border outwards, and so do the labels.
    moved = cv2.warpAffine(
        np.ascontiguousarray(mask), np.column_stack([linear, start]), side, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, dtype=np.uint8)


def parser_batches(config: ParserTrainConfig, split: str, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches of a split from the ``first`` on, with the photos of self-training as the labels plain and
    recoloured, where there are any."""
    workers = config.workers if split == "train" else 0
    source = ParserCrops(config, split, first)
    loaded = DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    if split != "train" or not config.photos:
        for batch in loaded:
            yield batch.to(device)
        return
    pairs = DataLoader(PhotoPairs(config, first), batch_size=None)
    for batch, (plain, recoloured) in zip(loaded, pairs, strict=True):
        yield batch.with_labels(plain=plain, recoloured=recoloured).to(device)
