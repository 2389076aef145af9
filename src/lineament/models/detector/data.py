# SPDX-License-Identifier: Apache-2.0
"""Scenes for the detector: synthetic heads, and real photos with known boxes, set before backgrounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset

from lineament.alignment.crop import roll_of
from lineament.annotations.parsing import MaskClass
from lineament.datasets.labelled_folder import labelled_samples, read_picture
from lineament.errors import DataError
from lineament.files.reading import parse_json, read_bounded
from lineament.models.detector.clutter import draw_shapes, rough_texture
from lineament.models.detector.config import DetectorTrainConfig
from lineament.models.detector.model import REFERENCE, STRIDE
from lineament.training.batch import Batch
from lineament.training.parallel import dealt
from lineament.training.picture_augment import recolour

Image = NDArray[np.uint8]

_STORED = 128  # px, the side at which faces are kept in memory
_BACKGROUNDS = 1200
_LEARNED = (17.0, 78.0)  # px, longer sides of the boxes that are to be found at one level of the pyramid
_UNCERTAIN = (11.0, 118.0)  # px, sizes at which an answer is neither right nor wrong
TARGETS = ("heat", "counted", "box", "roll", "weight")
"""Labels of a scene, at every eighth pixel."""

_SPREAD = 0.11  # of the heat around a face's centre, in box sides


@dataclass(frozen=True)
class StoredFace:
    """A picture with one face, ready to be pasted."""

    image: Image  # H×W×3
    head: Image | None  # H×W, 255 on the head; None for a real photo
    points: NDArray[np.float64]  # [N, 2] px, whose bounding box is the face's
    roll: float | None  # degrees clockwise as seen, None where unknown


@dataclass(frozen=True)
class Placed:
    """A face in a scene."""

    box: tuple[float, float, float, float]  # centre x, centre y, width, height, px
    roll: float | None

    @property
    def side(self) -> float:
        """The longer side of the box, px."""
        return max(self.box[2:])


class DetectorScenes(IterableDataset[Batch]):
    """Endless batches; batch n is a pure function of (seed, n)."""

    def __init__(self, config: DetectorTrainConfig, split: str, first: int) -> None:
        """Read all faces into memory.

        Raises:
            DataError: Folders that hold no samples of the split, or a list of photos that cannot be read.
        """
        super().__init__()
        self.config, self.split, self.first = config, split, first
        samples = labelled_samples(config.data, split, config.NEEDS, config.PICTURES)
        if split == "validation":
            samples = samples[: config.validation_batches * config.batch_size]
        self.faces = [_stored(sample) for sample in samples]
        self.photos = _photos(config.photos) if config.photos is not None and split == "train" else []
        self.backgrounds = _backgrounds(config.seed + (split == "validation"), _BACKGROUNDS, 192)

    def __iter__(self) -> Iterator[Batch]:
        for number in dealt(self.first, self.split):
            count = self.config.batch_size
            scenes = [self.scene(number * count + i) for i in range(count)]
            image = torch.from_numpy(np.stack([scene for scene, _ in scenes])).permute(0, 3, 1, 2).float() / 255
            targets = [targets_of(faces, self.config.size) for _, faces in scenes]
            stacked = (np.stack(t) for t in zip(*targets, strict=True))
            yield Batch(image, dict(zip(TARGETS, map(torch.from_numpy, stacked), strict=True)))

    def scene(self, number: int) -> tuple[Image, list[Placed]]:
        """One scene and its faces."""
        random = np.random.default_rng((self.config.seed, self.split == "validation", number))
        canvas = self._behind(random)
        placed: list[Placed] = []
        kind = random.random()
        if kind < 0.1:  # a face so large that this level must not find it, nor its eyes and mouth as smaller ones
            self._put(canvas, placed, random, float(np.exp(random.uniform(np.log(90.0), np.log(500.0)))))
        elif kind > 0.25:
            for _ in range(int(random.choice([1, 2, 3, 5, 8], p=[0.35, 0.25, 0.2, 0.12, 0.08]))):
                wide = random.random() < 0.25
                low, high = (10.0, 115.0) if wide else _LEARNED
                self._put(canvas, placed, random, float(np.exp(random.uniform(np.log(low), np.log(high)))))
        if random.random() < 0.15:
            draw_shapes(canvas, random, 5)
        return recolour(canvas, random), placed

    def _behind(self, random: np.random.Generator) -> Image:
        """What is behind the faces: a painted scene, a part of a real photo that is no face, or rough texture."""
        size = self.config.size
        canvas = self._scene_or_photo(random) if random.random() > 0.12 else rough_texture(size, random)
        if random.random() < 0.25:
            draw_shapes(canvas, random, 40)
        return canvas

    def _scene_or_photo(self, random: np.random.Generator) -> Image:
        import cv2

        size = self.config.size
        if self.photos and random.random() < 0.35:
            photo = self.photos[int(random.integers(len(self.photos)))]
            part = _beside_face(photo, random)
            if part is not None:
                return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        source = self.backgrounds[int(random.integers(len(self.backgrounds)))]
        if random.random() < 0.3:  # two scenes side by side
            other = self.backgrounds[int(random.integers(len(self.backgrounds)))]
            cut = int(random.integers(20, source.shape[1] - 20))
            source = np.concatenate([source[:, :cut], other[:, cut:]], axis=1)
        if random.random() < 0.5:
            source = source[:, ::-1]
        side = int(random.integers(60, source.shape[0] + 1))
        x, y = (int(random.integers(0, source.shape[0] - side + 1)) for _ in range(2))
        part = np.ascontiguousarray(source[y : y + side, x : x + side])
        return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def _put(self, canvas: Image, placed: list[Placed], random: np.random.Generator, side: float) -> None:
        """Paste a face whose box has this longer side, where it hides no other face's middle."""
        size = self.config.size
        real = bool(self.photos) and random.random() < self.config.real
        pool = self.photos if real else self.faces
        face = pool[int(random.integers(len(pool)))]
        reach = 0.3 * min(side, size) if side > _LEARNED[1] else 0.0
        for _ in range(6):
            centre = random.uniform(-reach, size + reach, 2)
            difference = [np.hypot(*(centre - np.array(p.box[:2]))) > 0.75 * (side + p.side) for p in placed]
            if all(difference):
                break
        else:
            return
        mirror = random.random() < 0.5
        points = face.points
        if mirror:
            points = np.array([face.image.shape[1], 0.0]) + points * np.array([-1.0, 1.0])
        lean = float(random.normal(0.0, 10.0)) if face.roll is None else float(random.normal(0.0, 14.0))
        angle = np.radians(lean)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        # Boxes of real photos are known upright only; a small lean changes them little.
        moved = points @ turn.T if face.roll is not None else points
        extent = moved.max(0) - moved.min(0)
        scale = side / float(extent.max())
        middle = points @ turn.T
        middle = 0.5 * (middle.max(0) + middle.min(0)) * scale
        linear = turn * scale @ np.diag([-1.0 if mirror else 1.0, 1.0])
        # A mirrored picture starts at its right border.
        offset = centre - middle + (turn * scale @ np.array([face.image.shape[1], 0.0]) if mirror else 0.0)
        self._paste(canvas, face, np.column_stack([linear, offset]), centre, extent * scale, random)
        roll = None if face.roll is None else (-face.roll if mirror else face.roll) + lean
        width, height = extent * scale
        placed.append(Placed((float(centre[0]), float(centre[1]), float(width), float(height)), roll))

    def _paste(
        self,
        canvas: Image,
        face: StoredFace,
        matrix: NDArray[np.float64],
        centre: NDArray[np.float64],
        extent: NDArray[np.float64],
        random: np.random.Generator,
    ) -> None:
        """Warp the face's picture by a matrix [2, 3] of corner-based positions, cut out and lay it on the canvas."""
        import cv2

        size = canvas.shape[0]
        # Pixel centres lie half a pixel from the corners that positions count from.
        shifted = matrix.copy()
        shifted[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
        zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
        source: Any = face.image
        head: Any = face.head
        while zoom < 0.6 and min(source.shape[:2]) > 16:  # halve first, so that nothing aliases
            half = (source.shape[1] // 2, source.shape[0] // 2)
            ratio = np.array([source.shape[1] / half[0], source.shape[0] / half[1]])
            source = cv2.resize(source, half, interpolation=cv2.INTER_AREA)
            head = None if head is None else cv2.resize(head, half, interpolation=cv2.INTER_AREA)
            matrix = matrix * np.array([*ratio, 1.0])
            shifted = matrix.copy()
            shifted[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5
            zoom *= float(ratio[0])
        warped = cv2.warpAffine(source, shifted, (size, size), borderMode=cv2.BORDER_REPLICATE)
        if head is not None and random.random() < 0.55:
            alpha = cv2.warpAffine(head, shifted, (size, size)).astype(np.float32) / 255.0
        else:  # a rectangle of the picture around the face
            row, column = np.ogrid[:size, :size]
            widest = 1.6 if head is not None else 3.5
            low = centre - extent * random.uniform(0.62, widest, 2)
            high = centre + extent * random.uniform(0.62, widest, 2)
            inside = (column >= low[0]) & (column < high[0]) & (row >= low[1]) & (row < high[1])
            within = cv2.warpAffine(np.full(source.shape[:2], 255, np.uint8), shifted, (size, size)) > 127
            alpha = (inside & within).astype(np.float32)
        blend = canvas + (warped.astype(np.float32) - canvas) * alpha[..., None]
        np.copyto(canvas, blend.round().clip(0, 255).astype(np.uint8))


def targets_of(faces: list[Placed], size: int) -> tuple[NDArray[Any], ...]:
    """The `TARGETS` of one scene, as `lineament.training.batch.Batch` has them."""
    cells = size // STRIDE
    heat, weight = np.zeros((cells, cells), np.float32), np.zeros((cells, cells), np.float32)
    counted = np.ones((cells, cells), bool)
    box, roll = np.zeros((4, cells, cells), np.float32), np.zeros((2, cells, cells), np.float32)
    y, x = np.mgrid[:cells, :cells] + 0.5
    for face in faces:
        cx, cy, width, height = face.box[0] / STRIDE, face.box[1] / STRIDE, *face.box[2:]
        side = face.side / STRIDE
        squared = (x - cx) ** 2 + (y - cy) ** 2
        if not _LEARNED[0] <= face.side <= _LEARNED[1]:
            if face.side < _UNCERTAIN[1]:  # larger ones are background at this level
                counted &= squared > (0.6 * max(side, 1.5)) ** 2
            continue
        around = np.exp(-squared / (2.0 * (_SPREAD * side + 0.25) ** 2)).astype(np.float32)
        row, column = int(cy), int(cx)
        inside = 0 <= row < cells and 0 <= column < cells
        if not inside:
            counted &= squared > (0.6 * side) ** 2
            continue
        around[row, column] = 1.0
        own = (around > 0.3) & (around > weight)
        heat = np.maximum(heat, around)
        weight = np.where(own, around, weight)
        for plane, value in enumerate((cx - x, cy - y, np.log(width / REFERENCE), np.log(height / REFERENCE))):
            box[plane] = np.where(own, value, box[plane])
        known = face.roll is not None
        angle = np.radians(face.roll or 0.0)
        roll[0] = np.where(own, known * np.cos(angle), roll[0])
        roll[1] = np.where(own, known * np.sin(angle), roll[1])
    return heat, counted, box, roll, weight


def _stored(sample: dict[str, Any]) -> StoredFace:
    import cv2

    image, mask = read_picture(sample["files"]["image"]), read_picture(sample["files"]["mask"])
    factor = _STORED / image.shape[0]
    side = (_STORED, _STORED)
    head = ((mask != int(MaskClass.OTHER)) * 255).astype(np.uint8)
    points = np.array(sample["landmarks"])
    small, cut = (np.asarray(cv2.resize(p, side, interpolation=cv2.INTER_AREA), np.uint8) for p in (image, head))
    return StoredFace(small, cut, points * factor, roll_of(points))


def _photos(path: Path) -> list[StoredFace]:
    """Photos that a list says hold exactly one face, at most 256 pixels large."""
    from lineament.errors import InputError
    from lineament.images.read import read_image
    from lineament.images.resize import at_most

    photos = []
    try:
        listed = parse_json(read_bounded(path))
        for name, faces in listed.items():
            if len(faces) != 1:
                continue
            photo = read_image(Path(name))
            small = at_most(photo, 256)
            x, y, width, height = np.array(faces[0]["box"]) * (small.shape[0] / photo.shape[0])
            photos.append(StoredFace(small, None, np.array([[x, y], [x + width, y + height]]), None))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise DataError(f"cannot use {path} as a list of faces: {error}") from error
    if not photos:
        raise DataError(f"{path} lists no photo with exactly one face")
    return photos


def _beside_face(photo: StoredFace, random: np.random.Generator) -> Image | None:
    """A square part of a photo that shows less than a face's half, or None."""
    (x0, y0), (x1, y1) = photo.points
    height, width = photo.image.shape[:2]
    for _ in range(8):
        side = int(random.uniform(0.15, 0.8) * min(height, width))
        x, y = int(random.integers(0, width - side + 1)), int(random.integers(0, height - side + 1))
        across = max(0.0, min(x + side, x1) - max(x, x0))
        down = max(0.0, min(y + side, y1) - max(y, y0))
        if across * down < 0.15 * (x1 - x0) * (y1 - y0):
            return photo.image[y : y + side, x : x + side]
    return None


def _backgrounds(seed: int, count: int, size: int) -> list[Image]:
    """Painted scenes without people."""
    from lineament.synth.background import background
    from lineament.synth.noise import NoiseBank
    from lineament.synth.random import SampleRandom

    bank = NoiseBank(seed=0, device=torch.device("cpu"))
    scenes: list[Image] = []
    for first in range(0, count, 16):
        random = SampleRandom(seed + 0xBAC, range(first, min(count, first + 16)))
        painted = background(random, bank, size)
        scenes += list((255 * painted).round().byte().permute(0, 2, 3, 1).numpy())
    return scenes


def detector_batches(config: DetectorTrainConfig, split: str, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches of a split from the ``first`` on."""
    workers = config.workers if split == "train" else 0
    source = DetectorScenes(config, split, first)
    for batch in DataLoader(source, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None):
        yield batch.to(device)
