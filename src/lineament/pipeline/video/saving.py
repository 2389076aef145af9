# SPDX-License-Identifier: Apache-2.0
"""A clip's result as files: video.mp4, faces.json, a normal map per frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from lineament.files.result_folder import result_folder
from lineament.files.writing import write_json
from lineament.images.encoding import NormalsConvention
from lineament.images.video import Clip, Mp4Writer, check_mp4
from lineament.images.write import write_png
from lineament.pipeline.video.drawing import Panel, normal_map, panels
from lineament.pipeline.video.estimator import Frame, VideoEstimator

VideoOutput = Literal["mp4", "normals"]

_DIGITS = 2  # of numbers in faces.json: hundredths of pixels and degrees


@dataclass(frozen=True)
class VideoFiles:
    """What is written of a clip, beside faces.json."""

    outputs: tuple[VideoOutput, ...] = ("mp4",)
    """mp4 for video.mp4, normals for a map per frame."""
    panels: tuple[Panel, ...] = ("photo", "normals")
    """What video.mp4 shows side by side."""
    height: int = 720
    """Most rows of video.mp4."""
    convention: NormalsConvention = "opengl"
    """Signs of the normal maps."""


@dataclass(frozen=True)
class Saved:
    """What was written."""

    frames: int
    people: int
    interrupted: bool
    """Whether Ctrl-C ended it before the clip did."""


def save_video(
    clip: Clip, video: VideoEstimator, folder: Path, files: VideoFiles, frames: int | None, told: Callable[[int], None]
) -> Saved:
    """Estimate a clip and write its result; the folder appears whole or not at all.

    Ctrl-C ends the clip where it is, and the result of the frames before is written.

    Args:
        clip: An opened clip.
        video: Estimates its frames.
        folder: Where to; an earlier result in it is replaced.
        files: What to write.
        frames: Most frames that are taken; None for all.
        told: Is told after every frame how many are done.

    Raises:
        UsageError: MP4 is asked for, and its extra is missing.
        OutputError: It cannot be written.
    """
    if "mp4" in files.outputs:
        check_mp4()
    with result_folder(folder) as place:
        lines: list[dict[str, Any]] = []
        interrupted, shape = False, (0, 0)
        with ExitStack() as stack:
            writer = None
            if "mp4" in files.outputs:
                writer = stack.enter_context(closing(Mp4Writer(place / "video.mp4", clip.rate)))
            beside = stack.enter_context(_Beside())
            try:
                for image in clip.frames:
                    frame, shape = video.step(image), (image.shape[0], image.shape[1])
                    name = _map_name(frame) if "normals" in files.outputs else None
                    beside.do(partial(_write, image, frame, place, files, writer, name))
                    lines.append(_line(frame, video.rate, name))
                    told(len(lines))
                    if len(lines) == frames:
                        break
            except KeyboardInterrupt:
                interrupted = True
        people = {face["person"] for line in lines for face in line["faces"]}
        about = video.estimator.about(video.estimator.predictor, second_view=False)
        write_json(
            place / "faces.json",
            {
                "source": Path(clip.name).name,
                "rate": clip.rate,
                "height": shape[0],
                "width": shape[1],
                "people": len(people),
                "normals_convention": files.convention,
                "frame": "pixels, x right and y down; pose in degrees: yaw positive to the image's right, pitch "
                "positive down, roll positive clockwise",
                **about,
                "frames": lines,
            },
        )
    return Saved(len(lines), len(people), interrupted)


class _Beside:
    """Draws and writes frames in another thread while the next ones are estimated, a few behind at most."""

    _BEHIND = 3

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._wait(0)

    def do(self, work: Callable[[], None]) -> None:
        """Do something after what came before it; errors of earlier work are raised here."""
        self._wait(self._BEHIND)
        self._waiting.append(self._thread.submit(work))

    def _wait(self, left: int) -> None:
        while len(self._waiting) > left:
            self._waiting.popleft().result()


def _map_name(frame: Frame) -> str:
    return f"normals/{frame.number:06d}.png"


def _write(
    image: NDArray[np.uint8],
    frame: Frame,
    place: Path,
    files: VideoFiles,
    writer: Mp4Writer | None,
    normals: str | None,
) -> None:
    """Write what was asked for of a frame."""
    if writer is not None:
        writer.write(_at_most(panels(image, frame.faces, files.panels), files.height))
    if normals is not None:
        (place / "normals").mkdir(exist_ok=True)
        height, width = image.shape[:2]
        write_png(place / normals, normal_map((height, width), frame.faces, files.convention))


def _at_most(picture: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """A picture made smaller where it has more rows."""
    import cv2

    if len(picture) <= height:
        return picture
    width = max(2, round(picture.shape[1] * height / len(picture)))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _line(frame: Frame, rate: float, normals: str | None) -> dict[str, Any]:
    """What faces.json says of a frame."""
    faces = []
    for seen in frame.faces:
        pose = seen.face.pose
        landmarks = seen.face.landmarks
        assert pose is not None
        assert landmarks is not None
        faces.append(
            {
                "person": seen.number,
                "box": _rounded(seen.face.box),
                "score": round(seen.face.score, 3),
                "pose": {name: round(getattr(pose, name), _DIGITS) for name in ("yaw", "pitch", "roll")},
                "landmarks": [_rounded(point) for point in landmarks.tolist()],
            }
        )
    line = {"frame": frame.number, "time": round(frame.number / rate, 4), "cut": frame.cut, "faces": faces}
    return line if normals is None else {**line, "normals": normals}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]
