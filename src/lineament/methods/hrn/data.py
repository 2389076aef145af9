# SPDX-License-Identifier: Apache-2.0
"""Crops of synthetic faces with the exact shape of the head in each, cut as the runtime cuts them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from lineament.alignment.crop import FaceCrop, crop_of_landmarks
from lineament.annotations.landmarks import mirrored_landmarks
from lineament.annotations.parsing import MaskClass
from lineament.datasets.labelled_folder import decoded_normals, labelled_samples, read_picture
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.models.parser.data import shaken, turned
from lineament.render.cameras import project
from lineament.rig import Part, Rig, load_rig
from lineament.synth.person import RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.synth.skin_statistics import VertexSkin
from lineament.synth.write import config_of
from lineament.training.batch import Batch
from lineament.training.parallel import dealt
from lineament.training.picture_augment import recolour

FACE_COUNT = 1000
"""Vertices of the face that are compared, beside the landmarks."""
_REST = 400  # on the rest of the skin
_LOOSE = 0.25  # share of crops as a detector's box gives them; the rest are nearly canonical


def compared_vertices(rig: Rig) -> Tensor:
    """Vertices [M] of the rig that trainings compare: the landmarks, then others of the skin, most of the face's."""
    random = np.random.default_rng(0)
    rest = np.isin(rig.part, (Part.SCALP, Part.EAR, Part.NECK))
    drawn = [
        random.permutation(np.setdiff1d(np.flatnonzero(where), rig.landmarks))[:count]
        for where, count in ((rig.part == Part.FACE, FACE_COUNT), (rest, _REST))
    ]
    return torch.from_numpy(np.concatenate([rig.landmarks, *drawn]).astype(np.int64))


class ShapedCrops(IterableDataset[Batch]):
    """Endless batches; batch n is a pure function of (seed, n).

    Labels, M being `compared_vertices`: ``vertices`` [B, M, 3] and ``vertex_normals`` [B, M, 3], mm and unit, in the
    crop's camera frame from any zero; ``places`` [B, M, 2] in the crop, shares of its side; ``reflectance`` [B, M, 3],
    linear; ``skin`` [B, 1, S, S].
    """

    def __init__(self, config: HRNTrainConfig, split: str, first: int) -> None:
        """Read the lists of samples.

        Raises:
            DataError: Folders that hold no samples of the split, or not of `lineament synth`.
        """
        super().__init__()
        self.config, self.split, self.first = config, split, first
        folders = [(folder,) for folder in config.data]
        self.samples = [
            (number, sample)
            for number, folder in enumerate(folders)
            for sample in labelled_samples(folder, split, config.NEEDS, config.PICTURES)
        ]
        self.made_by = [config_of(folder) for folder in config.data]
        rig = load_rig()
        self.rig = RigTensors.of(rig, torch.device("cpu"))
        self.skin = VertexSkin(rig)
        self.compared = compared_vertices(rig)
        self._shapes: dict[int, NDArray[np.float32]] = {}

    def __iter__(self) -> Iterator[Batch]:
        size = self.config.batch_size
        for number in dealt(self.first, self.split):
            drawn = [self._drawn(number * size + i) for i in range(size)]
            self._pose([place for place, _ in drawn])
            crops = [self._crop(place, random) for place, random in drawn]
            image, vertices, normals, places, reflectance, skin = (
                np.stack(values) for values in zip(*crops, strict=True)
            )
            labels = {
                "vertices": torch.from_numpy(vertices).float(),
                "vertex_normals": torch.from_numpy(normals).float(),
                "places": torch.from_numpy(places).float(),
                "reflectance": torch.from_numpy(reflectance).float(),
                "skin": torch.from_numpy(skin)[:, None],
            }
            yield Batch(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255, labels)

    def _drawn(self, number: int) -> tuple[int, np.random.Generator]:
        """Which sample is the crop of a number, and its random numbers."""
        validation = self.split == "validation"
        random = np.random.default_rng((self.config.seed, 1 if validation else 0, number))
        return number % len(self.samples) if validation else int(random.integers(len(self.samples))), random

    def _pose(self, wanted: Sequence[int]) -> None:
        """Make the shapes of samples that were not made before: [M, 11], place in mm, normal, pixel, reflectance."""
        for folder, config in enumerate(self.made_by):
            missing = sorted({p for p in wanted if p not in self._shapes and self.samples[p][0] == folder})
            if not missing:
                continue
            lines = [self.samples[place][1] for place in missing]
            draws = SampleRandom(config.seed, [line["index"] for line in lines])
            own = SampleRandom(config.seed + 0x5EED, [line["person"] for line in lines])
            face = pose_faces(self.rig, config, draws, own)
            pixels, _ = project(face.vertices[:, self.compared], face.camera)
            skin = self.skin.of(own)[:, self.compared]
            parts = (face.vertices[:, self.compared], face.normals[:, self.compared], pixels[..., :2], skin)
            shapes = torch.cat(parts, -1)
            self._shapes.update(zip(missing, shapes.numpy(), strict=True))

    def _crop(self, place: int, random: np.random.Generator) -> tuple[NDArray[Any], ...]:
        sample = self.samples[place][1]
        image, mask = read_picture(sample["files"]["image"]), read_picture(sample["files"]["mask"])
        vertices, normals, pixels, own = np.split(self._shapes[place].astype(np.float64), [3, 6, 8], axis=1)
        crop = crop_of_landmarks(np.array(sample["landmarks"]), self.config.size)
        if self.split == "train":
            crop = shaken(crop, random, loose=random.random() < _LOOSE)
        picture = crop.extract(np.ascontiguousarray(image))
        if self.config.augment and self.split == "train":
            picture = recolour(picture, random)
        upright = turned(np.eye(3), crop)
        places = crop.to_crop(pixels) / crop.size
        return (
            picture,
            vertices @ upright.T,
            normals @ upright.T,
            places,
            own,
            shown_alone(mask, (MaskClass.SKIN,), crop),
        )


class PhotoCrops(IterableDataset[Batch]):
    """Endless batches of real photos; batch n is a pure function of (seed, n).

    Labels: ``landmarks`` [B, 68, 2] in the crop, shares of its side; ``visible`` [B, 68]; ``normals`` [B, 3, S, S] that
    a method gave, in the crop's frame, zero where it gave none; ``skin`` [B, 1, S, S].
    """

    def __init__(self, config: HRNTrainConfig, count: int, first: int) -> None:
        """Read the lists of photos, of which ``count`` make a batch.

        Raises:
            DataError: Folders that hold none, or not of `lineament label`.
        """
        super().__init__()
        self.config, self.count, self.first = config, count, first
        needs, pictures = ("landmarks", "visible"), ("image", "normals", "mask")
        self.samples = labelled_samples(config.photos, "train", needs, pictures)

    def __iter__(self) -> Iterator[Batch]:
        for number in dealt(self.first, "train"):
            crops = [self._crop(number * self.count + i) for i in range(self.count)]
            image, landmarks, visible, normals, skin = (np.stack(values) for values in zip(*crops, strict=True))
            labels = {
                "landmarks": torch.from_numpy(landmarks).float(),
                "visible": torch.from_numpy(visible),
                "normals": torch.from_numpy(normals).permute(0, 3, 1, 2).float(),
                "skin": torch.from_numpy(skin)[:, None],
            }
            yield Batch(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255, labels)

    def _crop(self, number: int) -> tuple[NDArray[Any], ...]:
        random = np.random.default_rng((self.config.seed, 2, number))
        sample = self.samples[int(random.integers(len(self.samples)))]
        image, mask, normals = (read_picture(sample["files"][name]) for name in ("image", "mask", "normals"))
        landmarks, visible = np.array(sample["landmarks"]), np.array(sample["visible"])
        known = decoded_normals(normals)
        if random.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
            known = known[:, ::-1] * np.array([-1.0, 1.0, 1.0])
            landmarks, visible = mirrored_landmarks(landmarks, image.shape[1]), mirrored_landmarks(visible, None)
        crop = shaken(crop_of_landmarks(landmarks, self.config.size), random, loose=False)
        picture = crop.extract(np.ascontiguousarray(image))
        if self.config.augment:
            picture = recolour(picture, random)
        seen = crop.normals_from_photo(np.ascontiguousarray(known, np.float32))
        return picture, crop.to_crop(landmarks) / crop.size, visible, seen, shown_alone(mask, (MaskClass.SKIN,), crop)


def shown_alone(mask: NDArray[np.uint8], classes: tuple[MaskClass, ...], crop: FaceCrop) -> NDArray[np.bool_]:
    """[S, S] where a crop shows some classes alone."""
    white = np.where(np.isin(mask, classes), np.uint8(255), np.uint8(0))
    return np.asarray(crop.extract(white[..., None].repeat(3, -1))[..., 0] > 250)


def photo_crops(config: HRNTrainConfig, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches of photos from the ``first`` on."""
    count = max(1, round(config.photo_share * config.batch_size))
    for batch in DataLoader(PhotoCrops(config, count, first), batch_size=None):
        yield batch.to(device)


def shaped_batches(config: HRNTrainConfig, split: str, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches of a split from the ``first`` on."""
    workers = config.workers if split == "train" else 0
    source = ShapedCrops(config, split, first)
    for batch in DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None):
        yield batch.to(device)
