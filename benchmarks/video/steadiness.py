# SPDX-License-Identifier: Apache-2.0
"""How steady, how right and how late normals of clips are: ``python benchmarks/video/steadiness.py [--seconds 2]
[--people 2] [--method casfne-s] [--memory 5] [--output FILE.json]``.

The generator films people whose geometry is known in every frame (`clips.py`): one thing moves, the head, the mouth or
the lamp, and the sensor's noise is new in every frame. Normals are compared with the truth at the skin's vertices that
face the camera. Of each way of estimating:

- *error*: mean angle to the truth, degrees;
- *jitter*: how much the error of a vertex changes from one frame to the next, mean over vertices and frames, degrees;
- *lag*: by how many frames the head that the normals show turns later than the true one (clips of turning heads).

Each frame by itself (`lineament.load(...).estimate`, largest face, with and without the second view) stands beside the
video estimator, and that beside itself without memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from clips import CLIPS, ClipFrame, clip
from numpy.typing import NDArray

import lineament
from lineament.alignment.crop import FaceCrop
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.pipeline.options import Options
from lineament.pipeline.video import VideoEstimator, VideoOptions

Floats = NDArray[np.float64]
Seen = Callable[[NDArray[np.uint8]], tuple[FaceCrop, NDArray[np.float32]] | None]
"""From a frame to the crop and the normals in it, in the frame's camera frame; None where there is no face."""


@dataclass(frozen=True)
class Figures:
    """Of one clip."""

    error: float
    jitter: float
    lag: float
    missed: int


def main() -> None:
    """Film, estimate, compare, print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--memory", type=float, default=VideoOptions().memory)
    arguments = parser.parse_args()
    plain = lineament.load(arguments.method, options=Options(second_view=False, fine_crop=False))
    twice = lineament.load(arguments.method, options=Options(fine_crop=False))

    def ways() -> Iterator[tuple[str, Seen]]:
        yield "each frame by itself", one_by_one(plain)
        yield "each frame by itself, second view", one_by_one(twice)
        yield "video, no memory", followed(plain, 0.0)
        yield "video", followed(plain, arguments.memory)

    found: dict[tuple[str, str], list[Figures]] = {}
    for kind in CLIPS:
        for person in range(arguments.people):
            frames = list(clip(kind, arguments.seconds, person))
            for way, seen in ways():
                found.setdefault((way, kind), []).append(figures_of(frames, seen))
    rows: list[tuple[Cell, ...]] = []
    for way in dict.fromkeys(way for way, _ in found):
        cells: list[Cell] = [way]
        for kind in CLIPS:
            cells += [mean([f.error for f in found[way, kind]]), mean([f.jitter for f in found[way, kind]])]
        missed = sum(f.missed for kind in CLIPS for f in found[way, kind])
        rows.append((*cells, mean([f.lag for f in found[way, "turning"]]), float(missed)))
    columns = [f"{kind}: {what}, °" for kind in CLIPS for what in ("error", "jitter")]
    table = Table("Steadiness", ("way", *columns, "lag, frames", "missed"), tuple(rows))
    report([table], arguments.output, [arguments.method])


def mean(values: list[float]) -> float:
    """Of a way's figures on all people."""
    return float(np.mean(values))


def one_by_one(estimator: lineament.Estimator) -> Seen:
    """Every frame as a photo of its own."""

    def seen(picture: NDArray[np.uint8]) -> tuple[FaceCrop, NDArray[np.float32]] | None:
        try:
            faces = estimator.estimate(picture)
        except lineament.NoFaceError:
            return None
        face = max(faces, key=lambda face: face.box[2] * face.box[3])
        return face.crop, face.stages[-1]

    return seen


def followed(estimator: lineament.Estimator, memory: float) -> Seen:
    """A clip as the video estimator sees it."""
    video = VideoEstimator(estimator, options=VideoOptions(memory=memory))

    def seen(picture: NDArray[np.uint8]) -> tuple[FaceCrop, NDArray[np.float32]] | None:
        faces = video.step(picture).faces
        if not faces:
            return None
        face = max(faces, key=lambda face: face.face.box[2] * face.face.box[3])
        return face.crop, face.crop_normals

    return seen


def figures_of(frames: list[ClipFrame], seen: Seen) -> Figures:
    """One way's figures on one clip."""
    errors, jitters, yaws, truth = [], [], [], []
    last: tuple[Floats, NDArray[np.bool_]] | None = None
    missed = 0
    for frame in frames:
        answer = seen(frame.picture)
        if answer is None:
            missed, last = missed + 1, None
            continue
        normals, valid = sampled(*answer, frame)
        difference = normals - frame.normals
        angle = np.degrees(np.arccos((normals * frame.normals).sum(-1).clip(-1.0, 1.0)))
        errors.append(angle[valid].mean())
        if last is not None:
            both = valid & last[1]
            jitters.append(np.degrees(np.linalg.norm(difference - last[0], axis=1)[both]).mean())
        last = difference, valid
        head = frame.normals[valid] @ frame.rotation
        left, _, right = np.linalg.svd(normals[valid].T @ head)
        turn = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
        yaws.append(np.degrees(np.arctan2(-turn[2, 0], turn[2, 2])))
        truth.append(np.degrees(np.arctan2(-frame.rotation[2, 0], frame.rotation[2, 2])))
    return Figures(float(np.mean(errors)), float(np.mean(jitters)), lag_of(np.array(yaws), np.array(truth)), missed)


def sampled(crop: FaceCrop, normals: NDArray[np.float32], frame: ClipFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """An estimate at the vertices [V, 3], and where it is to be compared."""
    places = (crop.to_crop(frame.places) * len(normals) / crop.size - 0.5).astype(np.float32)
    values = cv2.remap(normals, places[None, :, 0], places[None, :, 1], cv2.INTER_LINEAR)[0].astype(np.float64)
    length = np.linalg.norm(values, axis=1)
    inside = ((places > 1) & (places < len(normals) - 2)).all(1)
    return values / np.maximum(length, 1e-6)[:, None], frame.seen & inside & (length > 0.5)


def lag_of(shown: Floats, truth: Floats) -> float:
    """By how many frames one course of angles follows another: shown ≈ a · truth(t - lag) + b, to first order."""
    if np.ptp(truth) < 1.0:
        return 0.0
    speed = np.gradient(truth)
    columns = np.column_stack([truth, speed, np.ones_like(truth)])
    (gain, late, _), *_ = np.linalg.lstsq(columns, shown, rcond=None)
    return float(-late / gain)


if __name__ == "__main__":
    main()
