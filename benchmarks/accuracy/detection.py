# SPDX-License-Identifier: Apache-2.0
"""What the detector finds, and how fast: ``python benchmarks/accuracy/detection.py [--portraits FOLDER] [--list]``.

- portraits: photos with one face each; how many give exactly one, whose box overlaps the middle of the photo. The
  detector was trained on every other one of the folder's photos (in the order of their names), so both halves are told.
- pictures without faces: those of scikit-image that need no download and show no person, painted backgrounds of the
  generator, rough textures and shapes.
- the portraits changed: how often the same face is found when it is small, leaning, dark or fills the frame.
- synthetic people of another seed, by how far they are turned to the side, before other backgrounds.
- time to find and to read in a photo of 1024 pixels.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage import data

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.face import detect_boxes, detect_faces, parse_face
from lineament.face.detect import SMALLEST_SCORE
from lineament.face.parse import box_of, overlap
from lineament.images.read import find_images, read_image
from lineament.images.resize import to_uint8
from lineament.models.detector.clutter import draw_shapes, rough_texture
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.background import background
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom
from lineament.weights import FOLDER

NO_PEOPLE = (
    *("binary_blobs", "brick", "cat", "cell", "checkerboard", "clock", "coffee", "colorwheel", "grass", "gravel"),
    *("horse", "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina"),
    *("rocket", "shepp_logan_phantom", "text"),
)
"""Pictures of scikit-image without people; its coins are left out, since many show heads in relief."""

SCORES = (0.7, 0.8, 0.9, 0.95, 0.97)

Image = NDArray[np.uint8]


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--list", action="store_true", help="name the portraits that fail")
    parser.add_argument("--min-score", type=float, default=SMALLEST_SCORE)
    arguments = parser.parse_args()
    tables: list[Table] = []
    if arguments.portraits is not None:
        tables += portraits(arguments.portraits, arguments.min_score, arguments.list)
        tables.append(changed_portraits(arguments.portraits, arguments.min_score))
    tables += [turned_people(arguments.min_score), without_faces(arguments.min_score), speed()]
    report(tables, arguments.output, ["face-detector", "face-parser"])


def portraits(folder: Path, min_score: float, listed: bool) -> list[Table]:
    """Photos with one face each."""
    photos = find_images([str(folder)])
    found = [candidates(to_uint8(read_image(photo))) for photo in photos]
    seen, unseen = (len(photos) + 1) // 2, len(photos) // 2
    rows: list[tuple[Cell, ...]] = []
    for score in sorted({*SCORES, min_score}):
        right = [one_in_middle(faces, score) for faces in found]
        numbers = [count(faces, score) for faces in found]
        none, several = numbers.count(0), sum(number > 1 for number in numbers)
        shares = (
            f"{sum(right)} of {len(photos)} ({100 * sum(right) / len(photos):.1f} %)",
            f"{sum(right[::2])} of {seen}",
            f"{sum(right[1::2])} of {unseen}",
        )
        rows.append((f"{score:.2f}", *shares, str(none), str(several)))
    columns = ("score", "exactly one face", "of those trained on", "of the others", "none", "several")
    notes: tuple[str, ...] = ()
    if listed:
        wrong = [
            f"{photo.stem} ({count(faces, min_score)})"
            for photo, faces in zip(photos, found, strict=True)
            if not one_in_middle(faces, min_score)
        ]
        notes = (f"At {min_score:.2f} not: {', '.join(wrong)}.",)
    return [Table("Portraits with one face each", columns, tuple(rows), notes)]


def candidates(image: Image) -> list[tuple[float, bool]]:
    """Scores of what is found in a picture, and whether it lies where a portrait has its face."""
    return [(face.score, holds_middle(face.box, *image.shape[:2])) for face in detect_faces(image, SCORES[0])]


def count(faces: list[tuple[float, bool]], score: float) -> int:
    """How many have this score."""
    return sum(own >= score for own, _ in faces)


def one_in_middle(faces: list[tuple[float, bool]], score: float) -> bool:
    """Whether exactly one has this score, and lies in the middle."""
    return [middle for own, middle in faces if own >= score] == [True]


def holds_middle(box: tuple[float, float, float, float], height: int, width: int) -> bool:
    """Whether a box lies where an official portrait has its face: over its middle."""
    x, y, w, h = box
    return x < 0.5 * width < x + w and y < 0.5 * height < y + h and 0.15 * width < w < 0.8 * width


def changed_portraits(folder: Path, min_score: float, count: int = 120) -> Table:
    """The same face in a photo changed."""
    asked = 0
    found: dict[str, int] = {}
    for photo in find_images([str(folder)])[1::6][:count]:  # none of them was trained on
        image = to_uint8(read_image(photo))
        faces = detect_boxes(image)
        if not faces:
            continue
        asked += 1
        x, y, w, h = faces[0].box
        changes = {f"{side} pixels": set_small(image, side / max(w, h)) for side in (24, 32, 48)}
        changes |= {f"leaning by {angle}°": leaning(image, faces[0].box, angle) for angle in (-45, -25, 25, 45)}
        changes["dark (7 % of the light)"] = (image * 0.3).astype(np.uint8)  # sRGB
        middle = np.array([x + 0.5 * w, y + 0.5 * h])
        low = np.maximum(0, (middle - 0.55 * max(w, h)).astype(int))
        high = (middle + 0.55 * max(w, h)).astype(int)
        changes["filling the frame"] = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
        for name, picture in changes.items():
            found[name] = found.get(name, 0) + bool(detect_faces(picture, min_score))
    rows = tuple((name, 100 * number / max(1, asked)) for name, number in found.items())
    return Table(f"{asked} portraits changed", ("change", "found, %"), rows)


def set_small(image: Image, factor: float) -> Image:
    """A photo made small, in the middle of a plain picture."""
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    plane = np.full((256, 256, 3), 128, np.uint8)
    small = small[:256, :256]
    row, column = (256 - small.shape[0]) // 2, (256 - small.shape[1]) // 2
    plane[row : row + small.shape[0], column : column + small.shape[1]] = small
    return plane


def leaning(image: Image, box: tuple[float, float, float, float], degrees: float) -> Image:
    """A photo turned clockwise about a box's centre."""
    centre = (box[0] + 0.5 * box[2], box[1] + 0.5 * box[3])
    matrix = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
    turned = cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8)


def turned_people(min_score: float, count: int = 240) -> Table:
    """Synthetic people by yaw, as the generator makes them: also covered, dark, blurred."""
    config = SynthConfig(size=256, seed=98, frontal=0.2, yaw=75.0, span_low=0.3, span_high=0.8)
    generator = Generator(config, load_rig())
    asked: Counter[int] = Counter()
    found: Counter[int] = Counter()
    for first in range(0, count, 8):
        batch = generator.batch(range(first, first + 8))
        for row in range(8):
            image = (255 * batch.image[row].permute(1, 2, 0).numpy()).round().astype(np.uint8)
            rotation = batch.camera.rotation[row].numpy()
            yaw = abs(np.degrees(np.arctan2(-rotation[2, 0], rotation[2, 2])))
            box = box_of(batch.landmarks[row].numpy().astype(np.float64))
            step = min(2, int(yaw // 25))
            asked[step] += 1
            found[step] += any(overlap(face.box, box) > 0.4 for face in detect_faces(image, min_score))
    names = ("up to 25°", "25° to 50°", "50° to 75°")
    rows = tuple((names[i], str(asked[i]), 100 * found[i] / asked[i]) for i in range(3))
    return Table("Synthetic people, turned to the side", ("by", "people", "found, %"), rows)


def without_faces(min_score: float) -> Table:
    """False faces."""
    random = np.random.default_rng(7)
    painted = background(SampleRandom(4711, range(60)), NoiseBank(seed=0, device=torch.device("cpu")), 384)
    scenes = list((255 * painted).round().byte().permute(0, 2, 3, 1).numpy())
    textures = [rough_texture(384, random) for _ in range(40)]
    for texture in textures[::2]:
        draw_shapes(texture, random, 40)
    named = {name: plain(name) for name in NO_PEOPLE}
    rows: list[tuple[Cell, ...]] = []
    scores = sorted({*SCORES, min_score})
    for title, pictures in (
        ("scikit-image", {k: v for k, v in named.items() if v is not None}),
        ("backgrounds", {str(i): scene for i, scene in enumerate(scenes)}),
        ("textures and shapes", {str(i): texture for i, texture in enumerate(textures)}),
    ):
        found = {name: candidates(picture) for name, picture in pictures.items()}
        counts = [str(sum(count(f, score) for f in found.values())) for score in scores]
        where = ", ".join(name for name, faces in found.items() if count(faces, min_score))
        rows.append((title, str(len(pictures)), *counts, where))
    columns = ("pictures", "number", *(f"at {score:.2f}" for score in scores), "where")
    return Table("False faces in pictures without people", columns, tuple(rows))


def plain(name: str) -> Image | None:
    """A picture of scikit-image as H×W×3 uint8; None where it would have to be downloaded."""
    try:
        picture = np.asarray(getattr(data, name)())
    except Exception:
        return None
    if picture.dtype != np.uint8:
        picture = picture.astype(np.float64)
        picture = (255.0 * (picture - picture.min()) / max(1e-9, float(np.ptp(picture)))).astype(np.uint8)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else np.ascontiguousarray(picture[..., :3])


def speed() -> Table:
    """Time in a photo of 1024 pixels with one face."""
    photo = cv2.resize(data.astronaut(), (1024, 1024), interpolation=cv2.INTER_CUBIC)
    finding, parsing = [], []
    for _ in range(15):
        start = time.perf_counter()
        faces = detect_boxes(photo)
        found = time.perf_counter()
        read = [parse_face(photo, face) for face in faces[:1]]
        finding.append(found - start)
        parsing.append((time.perf_counter() - found) / max(1, len(read)))
    times = {"finding": 1000 * float(np.median(finding)), "reading a face": 1000 * float(np.median(parsing))}
    sizes = {name: (FOLDER / f"{name}.safetensors").stat().st_size / 1e6 for name in ("face-detector", "face-parser")}
    notes = tuple(f"Weights of {name}: {size:.2f} MB." for name, size in sizes.items())
    return Table("Time in a photo of 1024²", ("part", "ms"), tuple(times.items()), notes)


if __name__ == "__main__":
    main()
