# SPDX-License-Identifier: Apache-2.0
"""Reading moving pictures (OpenCV) and writing MP4 (PyAV, of the extra ``video``)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import ImageTooLargeError, InputError, NotAnImageError, OutputError, UsageError
from lineament.images.formats import SUFFIXES
from lineament.images.read import find_images, read_image
from lineament.images.resize import to_uint8

if TYPE_CHECKING:
    import cv2

USUAL_RATE = 30.0
"""Frames a second of pictures and cameras that do not say."""

_MOVING = {".gif"}  # pictures that are read as videos
_MOST_PIXELS = 34_000_000  # of a frame: 8K
_CODEC, _QUALITY = "libx264", {"crf": "20", "preset": "ultrafast"}  # faster presets leave the cores to the networks
_OPENCV_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@dataclass(frozen=True)
class Clip:
    """Frames to come."""

    name: str
    """What it is called in messages."""
    rate: float
    """Frames a second."""
    count: int | None
    """How many frames there are, where that is known."""
    frames: Iterator[NDArray[np.uint8]]
    """Each H×W×3 RGB, upright."""


@contextmanager
def open_clip(source: Sequence[str], rate: float | None = None) -> Iterator[Clip]:
    """Open a video, a camera or a sequence of pictures.

    Args:
        source: One video file; or a camera's number, from 0; or pictures, by files, folders or globs, in their order.
        rate: Frames a second of pictures and of a camera; of a video file its own counts.

    Raises:
        NotAnImageError: A file that is no video that OpenCV can read.
        InputError: A camera that cannot be opened, pictures of different sizes, or what `find_images` refuses.
        ImageTooLargeError: A video whose frames have more pixels than are decoded.
    """
    (first, *more) = source
    if not more and first.isdecimal() and not os.path.lexists(first):
        with _capture(int(first)) as camera:
            yield Clip(f"camera {first}", rate or USUAL_RATE, None, _frames_of(camera))
        return
    path = Path(first)
    if more or path.suffix.lower() in SUFFIXES - _MOVING or not path.is_file():
        pictures = find_images(source)
        yield Clip(first, rate or USUAL_RATE, len(pictures), _pictures(pictures))
        return
    if rate is not None:
        raise UsageError(f"a rate is for pictures and cameras: {first} has its own")
    with _capture(path) as video:
        yield _clip_of(path, video)


def _clip_of(path: Path, video: cv2.VideoCapture) -> Clip:
    """An opened file as a clip."""
    import cv2

    width, height = (int(video.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > _MOST_PIXELS:
        raise ImageTooLargeError(f"{path}: frames of {width}×{height} pixels are more than 8K, which are not decoded")
    said, count = video.get(cv2.CAP_PROP_FPS), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    return Clip(str(path), said if 0.1 <= said <= 1000.0 else USUAL_RATE, count if count > 0 else None,
                _frames_of(video))  # fmt: skip


@contextmanager
def _capture(source: Path | int) -> Iterator[cv2.VideoCapture]:
    """OpenCV's reader of a file or a camera."""
    import cv2

    before = os.environ.get(_OPENCV_OPTIONS)
    # A playlist that poses as a video may name other places: nothing but this file is opened.
    os.environ[_OPENCV_OPTIONS] = "protocol_whitelist;file"
    try:
        video = cv2.VideoCapture(source) if isinstance(source, int) else cv2.VideoCapture(str(source), cv2.CAP_FFMPEG)
    finally:
        if before is None:
            del os.environ[_OPENCV_OPTIONS]
        else:
            os.environ[_OPENCV_OPTIONS] = before
    try:
        if not video.isOpened():
            if isinstance(source, int):
                raise InputError(f"camera {source} cannot be opened: is it there, and free?")
            raise NotAnImageError(f"{source}: neither a picture nor a video that can be read")
        yield video
    finally:
        video.release()


def _frames_of(video: cv2.VideoCapture) -> Iterator[NDArray[np.uint8]]:
    """What is left of a video or a camera."""
    while True:
        done, frame = video.read()
        if not done:
            return
        if frame.size > 3 * _MOST_PIXELS:
            raise ImageTooLargeError("a frame has more pixels than 8K, which are not decoded")
        yield np.ascontiguousarray(frame[..., ::-1], np.uint8)


def _pictures(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Pictures as frames, which must have one size."""
    shape: tuple[int, ...] | None = None
    for path in paths:
        picture = read_image(path)
        shape = shape or picture.shape
        if picture.shape != shape:
            (height, width), (high, wide) = picture.shape[:2], shape[:2]
            raise InputError(f"{path}: {width}×{height} pixels, but the frames before it have {wide}×{high}")
        yield to_uint8(picture)


class Mp4Writer:
    """An MP4 file (H.264), written frame by frame."""

    def __init__(self, path: Path, rate: float) -> None:
        """Begin a file.

        Args:
            path: The file.
            rate: Frames a second.

        Raises:
            UsageError: The extra ``video`` is not installed.
            OutputError: The file cannot be written.
        """
        av = _pyav()
        self._path = path
        try:
            self._file = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        except (OSError, av.error.FFmpegError) as error:
            raise OutputError(f"cannot write {path}: {error}") from error
        self._stream: Any = self._file.add_stream(_CODEC, rate=Fraction(rate).limit_denominator(1001), options=_QUALITY)
        self._stream.pix_fmt = "yuv420p"
        self._begun = False

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Write a frame H×W×3 RGB; all must have one size, whose odd last row and column are left out."""
        av = _pyav()
        height, width = (side - side % 2 for side in picture.shape[:2])
        if not self._begun:  # the size cannot be set once the encoder is open
            self._stream.height, self._stream.width = height, width
            self._begun = True
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._put(frame)

    def close(self) -> None:
        """Finish the file."""
        if self._begun:
            self._put(None)
        self._file.close()

    def _put(self, frame: Any) -> None:
        """Encode a frame, or what is left where there is none."""
        try:
            for packet in self._stream.encode(frame):
                self._file.mux(packet)
        except (OSError, _pyav().error.FFmpegError) as error:
            raise OutputError(f"cannot write {self._path}: {error}") from error


def check_mp4() -> None:
    """Raise UsageError where MP4 cannot be written."""
    _pyav()


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        line = 'writing MP4 needs the extra "video": pip install "lineament[video]"'
        raise UsageError(line, cli="or leave the MP4 out, with --outputs normals") from error
    return av
