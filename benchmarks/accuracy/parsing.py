# SPDX-License-Identifier: Apache-2.0
"""How well found faces are read:
``python benchmarks/accuracy/parsing.py [--faces 300] [--portraits FOLDER] [--photos 200]``.

On synthetic people of another seed, from a box as loose as the detector's: landmarks, visibility, pose and parse
against the truth. On real photos, which have no truth: how far the landmarks of the same face move when the photo is
mirrored, shifted, made smaller or larger, or turned. Distances are per cent of the inter-ocular distance, between the
outer corners of the eyes, as long as it would look from the front.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.annotations.landmarks import mirrored_landmarks
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.face import Face, MaskClass, detect_faces, parse_face
from lineament.face.parse import box_of
from lineament.images.read import find_images, read_image
from lineament.images.resize import to_uint8
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig

Points = NDArray[np.float64]
BATCH = 10
TURN, SHIFT, SCALES = 15.0, 0.08, (0.6, 1.5)


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--faces", type=int, default=300)
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    arguments = parser.parse_args()
    tables = synthetic(arguments.faces)
    if arguments.portraits is not None:
        tables.append(consistency(arguments.portraits, arguments.photos))
    report(tables, arguments.output, ["face-parser"])


def synthetic(count: int) -> list[Table]:
    """Against the truth."""
    generator, random = Generator(SynthConfig(size=256, seed=99), load_rig()), np.random.default_rng(3)
    metrics: dict[str, list[float]] = defaultdict(list)
    both, either = np.zeros(len(MaskClass)), np.zeros(len(MaskClass))
    for first in range(0, count, BATCH):
        batch = generator.batch(range(first, min(count, first + BATCH)))
        for row in range(len(batch.image)):
            image = (255 * batch.image[row].permute(1, 2, 0).numpy()).round().astype(np.uint8)
            truth = batch.landmarks[row].numpy().astype(np.float64)
            rotation, visible = batch.camera.rotation[row].numpy(), batch.visible[row].numpy()
            x, y, w, h = box_of(truth)
            zoom = math.exp(random.normal(0.0, 0.06))
            dx, dy = random.normal(0.0, 0.04, 2) * (w, h)
            roll = math.degrees(math.atan2(rotation[0, 1], rotation[1, 1])) + random.normal(0.0, 8.0)
            face = Face((x + dx - 0.5 * (zoom - 1) * w, y + dy - 0.5 * (zoom - 1) * h, w * zoom, h * zoom), 1.0, roll)
            parsing = parse_face(image, face).parsing
            assert parsing is not None
            inside = ((truth > 0) & (truth < 256)).all(-1)
            ocular = np.linalg.norm(truth[36] - truth[45]) / math.sqrt(max(0.05, 1.0 - rotation[2, 0] ** 2))
            away = 100.0 * np.linalg.norm(parsing.landmarks - truth, axis=1) / ocular
            yaw = abs(math.degrees(math.atan2(-rotation[2, 0], rotation[2, 2])))
            metrics["landmarks, all"].append(away[inside].mean())
            metrics[f"landmarks, yaw {'below' if yaw < 30 else 'above'} 30°"].append(away[inside].mean())
            if (inside & visible).any():
                metrics["landmarks, visible"].append(away[inside & visible].mean())
            metrics["visibility right"].append(100.0 * ((parsing.visibility > 0.5) == visible).mean())
            pose, roll_true = parsing.pose, math.degrees(math.atan2(rotation[0, 1], rotation[1, 1]))
            metrics["yaw off by"].append(abs(pose.yaw + math.degrees(math.atan2(rotation[2, 0], rotation[2, 2]))))
            metrics["pitch off by"].append(abs(pose.pitch - math.degrees(math.asin(rotation[2, 1]))))
            metrics["roll off by"].append(abs(pose.roll - roll_true))
            parse = seen_in_crop(batch.mask[row, 0].numpy(), parsing.crop.corners, parsing.crop.size)
            told = parsing.parse.argmax(-1)
            for part in MaskClass:
                here, valid = told == int(part), parse == int(part)
                both[part] += (here & valid).sum()
                either[part] += ((here | valid) & (parse < 255)).sum()
    shares = [(part.name.lower(), 100 * float(both[part] / either[part])) for part in MaskClass]
    return [
        Table(
            title=f"Landmarks and pose of {count} synthetic people",
            columns=("", "mean", "unit"),
            rows=tuple((name, float(np.mean(v)), "°" if "off" in name else "%") for name, v in metrics.items()),
        ),
        Table(
            title="Parse",
            columns=("part", "intersection over union, %"),
            rows=(*shares, ("mean", 100 * float((both / either).mean()))),
        ),
    ]


def seen_in_crop(mask: NDArray[np.uint8], corners: Points, size: int) -> NDArray[np.uint8]:
    """The mask as the crop shows it, 255 outside the picture."""
    source = np.array([[0, 0], [size, 0], [size, size]], np.float32) - 0.5
    matrix = cv2.getAffineTransform((corners[:3] - 0.5).astype(np.float32), source)
    moved = cv2.warpAffine(
        mask, matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=255
    )
    return np.asarray(moved, dtype=np.uint8)


def consistency(folder: Path, count: int) -> Table:
    """Against the same face in the photo changed."""
    moved: dict[str, list[float]] = defaultdict(list)
    for path in find_images([str(folder)])[:: max(1, 729 // count)][:count]:
        image = to_uint8(read_image(path))
        faces = detect_faces(image)
        if len(faces) != 1 or faces[0].parsing is None:
            continue
        parsing = faces[0].parsing
        marks = parsing.landmarks
        ocular = np.linalg.norm(marks[36] - marks[45]) / max(0.3, math.cos(math.radians(parsing.pose.yaw)))
        for name, picture, box, back in changed(image, faces[0]):
            read = parse_face(picture, box).parsing
            assert read is not None
            away = np.linalg.norm(back(read.landmarks) - marks, axis=1).mean()
            moved[name].append(100.0 * float(away / ocular))
    rows = [(name, float(np.mean(values)), float(np.percentile(values, 95))) for name, values in moved.items()]
    return Table(
        title=f"How far landmarks move in {len(next(iter(moved.values())))} real photos",
        columns=("change", "mean, %", "95th percentile, %"),
        rows=(*rows, ("all", float(np.mean([row[1] for row in rows])), None)),
    )


def changed(
    image: NDArray[np.uint8], face: Face
) -> Iterator[tuple[str, NDArray[np.uint8], Face, Callable[[Points], Points]]]:
    """The photo changed, the face's box there, and the way back for points."""
    height, width = image.shape[:2]
    x, y, w, h = face.box
    mirrored = Face((width - x - w, y, w, h), 1.0, -face.roll)
    yield "mirrored", np.ascontiguousarray(image[:, ::-1]), mirrored, lambda p: mirrored_landmarks(p, width)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        box = (x + SHIFT * dx * w, y + SHIFT * dy * h, w, h)
        yield f"box shifted by {SHIFT:.0%}", image, Face(box, 1.0, face.roll), lambda p: p
    for scale in SCALES:
        size = (round(width * scale), round(height * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        factor = np.array([size[0] / width, size[1] / height])
        x_by, y_by = map(float, factor)
        box = (x * x_by, y * y_by, w * x_by, h * y_by)
        picture = np.asarray(cv2.resize(image, size, interpolation=how), dtype=np.uint8)
        yield f"scaled by {scale}", picture, Face(box, 1.0, face.roll), partial(scaled_back, factor=factor)
    for turn in (-TURN, TURN):
        centre = np.array([x + 0.5 * w, y + 0.5 * h])
        matrix = cv2.getRotationMatrix2D(tuple(centre - 0.5), -turn, 1.0)  # clockwise as seen by ``turn``
        picture = np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE))
        angle = math.radians(turn)
        rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        leaning = Face(face.box, 1.0, face.roll + turn)
        yield f"turned by {TURN:.0f}°", picture, leaning, partial(turned_back, rotation=rotation, centre=centre)


def scaled_back(points: Points, factor: Points) -> Points:
    """Points of a photo that was made so many times as large, in the photo as it was."""
    return points / factor


def turned_back(points: Points, rotation: Points, centre: Points) -> Points:
    """Points of a photo that was turned about a place, in the photo as it was."""
    return np.asarray((points - centre) @ rotation + centre)


if __name__ == "__main__":
    main()
