# SPDX-License-Identifier: Apache-2.0
"""Frames a second of `lineament video`: ``python benchmarks/video/speed.py [--frames 150] [--width 1280] [--height 720]
[--faces 1] [--method casfne-s] [--runs 2] [--output FILE.json]``.

A clip of moving faces is made of the photo that ships, on a wall, each face some 180 pixels large, and written as
H.264. It is then estimated three ways, each ``--runs`` times: frames that are in memory already (*estimating*), read
from the file (*reading, estimating*), and the whole command with its MP4 (*the command*, without starting Python). Of
each row the best and the worst run are given, and the processor's time a frame, of all cores together.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.images.sample import sample_photo
from lineament.images.video import Mp4Writer, open_clip
from lineament.pipeline.options import Options
from lineament.pipeline.video import VideoEstimator
from lineament.pipeline.video.saving import VideoFiles, save_video

RATE = 30.0
_FACE = (slice(0, 300), slice(76, 376))  # of the photo that ships
_TILE = 420  # px


def main() -> None:
    """Film, estimate, print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--runs", type=int, default=2)
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method, options=Options(second_view=False, fine_crop=False))
    rows: list[tuple[Cell, ...]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        writer = Mp4Writer(path, RATE)
        frames = list(film(arguments.frames, arguments.width, arguments.height, arguments.faces))
        for frame in frames:
            writer.write(frame)
        writer.close()

        def in_memory() -> None:
            for frame in frames:
                video.step(frame)

        def read() -> None:
            with open_clip([str(path)]) as clip:
                for frame in clip.frames:
                    video.step(frame)

        def written() -> None:
            with open_clip([str(path)]) as clip:
                save_video(clip, video, Path(folder) / "out", VideoFiles(), None, lambda _: None)

        for name, work in (("estimating", in_memory), ("reading, estimating", read), ("the command", written)):
            walls, processor = [], []
            for _ in range(arguments.runs):
                video = VideoEstimator(estimator, RATE)
                video.step(frames[0])
                wall, spent = timed(work)
                walls.append(arguments.frames / wall)
                processor.append(1000.0 * spent / arguments.frames)
            rows.append((name, max(walls), min(walls), min(processor)))
    size = f"{arguments.width}×{arguments.height}, {arguments.faces} face{'s' * (arguments.faces > 1)}"
    columns = ("", "frames a second, best run", "worst run", "processor, ms a frame")
    report([Table(f"Video of {size}", columns, tuple(rows))], arguments.output, [arguments.method])


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    wall, spent = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - spent


def film(count: int, width: int, height: int, faces: int) -> Iterator[NDArray[np.uint8]]:
    """Frames H×W×3 of faces that sway on a grey wall."""
    tile = cv2.resize(sample_photo()[_FACE], (_TILE, _TILE), interpolation=cv2.INTER_CUBIC)
    for number in range(count):
        frame = np.full((height, width, 3), 150, np.uint8)
        for face in range(faces):
            phase = number / 9.0 + 1.7 * face
            turn = cv2.getRotationMatrix2D((_TILE / 2, _TILE / 2), 5.0 * np.sin(phase), 1.0)
            x = (face + 0.5) * width / faces + 30.0 * np.sin(0.7 * phase)
            place = np.array([x, 0.5 * height + 20.0 * np.cos(0.9 * phase)]) - _TILE / 2
            turn = np.column_stack([turn[:, :2], turn[:, 2] + place])
            cv2.warpAffine(tile, turn, (width, height), frame, borderMode=cv2.BORDER_TRANSPARENT)
        yield frame


if __name__ == "__main__":
    main()
