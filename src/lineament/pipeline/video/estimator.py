# SPDX-License-Identifier: Apache-2.0
"""Frames in, faces with steady normals out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.face.detect import SMALLEST_SCORE, SMALLEST_SIZES, WORTH_READING, detect_boxes, parsed_face
from lineament.face.face import Face, FaceParsing
from lineament.face.parse import overlap
from lineament.face.quality import check_face
from lineament.face.region import face_share, region_of
from lineament.images.read import as_image
from lineament.options import check_number, check_options
from lineament.pipeline.crops import run_views
from lineament.pipeline.estimator import Estimator
from lineament.pipeline.video.fusion import Estimate, NormalsFusion
from lineament.pipeline.video.tracking import PARSED_AT, CutDetector, Track
from lineament.pipeline.view import View
from lineament.result.crop_estimate import CropEstimate
from lineament.result.geometry import FaceGeometry

_SMALLEST = 1 / 24  # of a frame's longer side
_KNOWN = 0.2  # overlap with a face that is followed from which a candidate is that face
_REMEMBERED = 1.0  # seconds for which a face that was lost keeps its number


@dataclass(frozen=True)
class VideoOptions:
    """How faces are followed in moving pictures."""

    memory: float = 3.0
    """Frames that what was known before may weigh in a frame's normals; 0 estimates every frame by itself."""
    search_every: float = 1.0
    """Seconds between searches for new faces while some are followed."""
    smallest: float | None = None
    """Longer side in pixels of the smallest face that is searched for; by default 1/24 of the frame's longer side."""
    most: int = 8
    """Most faces that are followed at once."""
    min_score: float = SMALLEST_SCORE
    """Score from 0 to 1 that a new face needs."""

    INTERVALS: ClassVar[dict[str, str]] = {
        "memory": "[0, 1000]",
        "search_every": "(0, 3600]",
        "smallest": SMALLEST_SIZES,
        "most": "[1, 100]",
        "min_score": "[0, 1]",
    }

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)


@dataclass(frozen=True, eq=False)
class FaceInFrame:
    """One face in one frame."""

    number: int
    """The person's number in the clip, from 1; the same in every frame in which the face was followed."""
    face: Face
    """Box, landmarks, pose and parse; landmarks and pose filtered over time."""
    image: NDArray[Any]
    """The frame, H×W×3 RGB."""
    estimate: Estimate
    """Fused over time."""
    about: dict[str, Any]
    """What ``face.json`` says of the origin."""
    uncertainty: NDArray[np.float32] | None
    """S×S, the angular error to expect of the frame by itself, degrees; None if the method does not say. What is wrong
    with a face is wrong in all of its frames, and does not average away."""

    @cached_property
    def share(self) -> NDArray[np.float32]:
        """R×R, how much of each pixel of the crop is face, 0 to 1."""
        return face_share(self._parsing, *self.image.shape[:2])

    @property
    def crop_normals(self) -> NDArray[np.float32]:
        """S×S×3 unit normals on the whole crop, in the frame's camera frame."""
        return self.crop.normals_to_photo(self.estimate.normals)

    def geometry(self) -> FaceGeometry:
        """All that is known of the face, as `lineament.estimate` gives it for a photo."""
        parsing = self._parsing
        height, width = self.image.shape[:2]
        uncertainty = () if self.uncertainty is None else (self.uncertainty,)
        return FaceGeometry(
            region=region_of(parsing, self.crop, height, width),
            box=self.face.box,
            score=self.face.score,
            confidence=self.face.score,
            landmarks=parsing.landmarks,
            visibility=parsing.visibility,
            pose=parsing.pose,
            check=check_face(self.image, self.face),
            crop_image=self.estimate.picture,
            photo=self.image,
            crop_estimate=CropEstimate(normals=(self.estimate.normals,), uncertainty=uncertainty),
            about={**self.about, "person": self.number},
        )

    @property
    def _parsing(self) -> FaceParsing:
        """The parsing in the steady crop, its parse fused."""
        parsing = self.face.parsing
        assert parsing is not None
        return parsing

    @property
    def crop(self) -> FaceCrop:
        """The square that the networks saw."""
        return self._parsing.crop.at(len(self.estimate.normals))


@dataclass(frozen=True)
class Frame:
    """What was found in one frame."""

    number: int
    """From 0."""
    faces: tuple[FaceInFrame, ...]
    """In the order of their numbers."""
    cut: bool
    """Whether a new scene starts here."""


@dataclass
class _Lost:
    """A face that was followed and is not seen."""

    track: Track
    frame: int
    """In which it was lost."""


@dataclass
class VideoEstimator:
    """Follows the faces of one clip, frame by frame, and estimates their normals.

    A face is searched for in the first frame, after a cut, when one was lost, and every now and then; in between it is
    parsed where it was. Only what came before a frame is used, so that a camera can be followed live.
    """

    estimator: Estimator
    """A loaded method (`lineament.load`)."""
    rate: float = 30.0
    """Frames a second."""
    options: VideoOptions = field(default_factory=VideoOptions)
    _tracks: list[Track] = field(default_factory=list, init=False)
    _lost: list[_Lost] = field(default_factory=list, init=False)
    _cuts: CutDetector = field(default_factory=CutDetector, init=False)
    _frame: int = field(default=-1, init=False)
    _searched: int = field(default=-1_000_000, init=False)
    _people: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        check_number("rate", self.rate, "(0, 1000]")

    def frames(self, images: Iterable[NDArray[Any]]) -> Iterator[Frame]:
        """What is in each of the frames H×W×3, one after another; see `step`."""
        return map(self.step, images)

    def step(self, image: NDArray[Any]) -> Frame:
        """The next frame.

        Args:
            image: H×W×3 RGB, uint8 or floating point in [0, 1].

        Raises:
            UsageError: It is no picture.
        """
        with self.estimator.engine.used():
            return self._next(as_image(image, f"frame {self._frame + 1}"))

    def _next(self, image: NDArray[Any]) -> Frame:
        self._frame += 1
        cut = self._cuts(image)
        if cut:
            self._tracks, self._lost = [], []
        followed = [track for track in self._tracks if track.follow(image)]
        gone = [track for track in self._tracks if track not in followed]
        self._lost = [lost for lost in self._lost if self._frame - lost.frame <= _REMEMBERED * self.rate]
        self._lost += [_Lost(track, self._frame) for track in gone]
        self._tracks = _apart(followed)
        if self._is_searched(cut or bool(gone)):
            self._search(image)
        return Frame(self._frame, tuple(self._estimated(image)), cut)

    def _is_searched(self, new: bool) -> bool:
        """Whether this frame is searched for faces."""
        waited = (self._frame - self._searched) / self.rate
        # Where nobody is seen, or somebody is missed, it is urgent, but a search takes as long as many frames.
        return new or waited >= (self.options.search_every if self._tracks and not self._lost else 0.1)

    def _search(self, image: NDArray[Any]) -> None:
        """Search a frame for faces that are not followed yet."""
        self._searched = self._frame
        options = self.options
        smallest = options.smallest or max(1.0, _SMALLEST * max(image.shape[:2]))
        for candidate in detect_boxes(image, WORTH_READING, smallest):
            if len(self._tracks) >= options.most:
                return
            if any(overlap(candidate.box, track.face.box) > _KNOWN for track in self._tracks):
                continue
            face = parsed_face(image, candidate, options.min_score)
            if face is None or any(overlap(face.box, track.face.box) > _KNOWN for track in self._tracks):
                continue
            self._tracks.append(self._new_track(face))
        self._tracks.sort(key=lambda track: track.number)

    def _new_track(self, face: Face) -> Track:
        """A face to follow: one that was lost near there, or a new one."""
        near = [lost for lost in self._lost if overlap(lost.track.face.box, face.box) > _KNOWN]
        if near:
            self._lost.remove(near[0])
            number = near[0].track.number
        else:
            self._people += 1
            number = self._people
        size = self.estimator.predictor.size
        return Track(number, face, self.rate, size, NormalsFusion(self.options.memory))

    def _estimated(self, image: NDArray[Any]) -> Iterator[FaceInFrame]:
        """The faces of a frame, run through the networks together."""
        if not self._tracks:
            return
        views = [[View.of_photo(image, track.crop, None)] for track in self._tracks]
        options = self.estimator.options
        estimates = run_views(self.estimator.predictor, views, options.stages, options.camera_tones)
        for track, (view,), (estimate,) in zip(self._tracks, views, estimates, strict=True):
            parsing = track.face.parsing
            assert parsing is not None
            said = estimate.uncertainty[-1] if estimate.uncertainty else None
            precision = np.ones(estimate.normals[-1].shape[:2], np.float32) if said is None else _precision(said)
            parse = track.crop.at(PARSED_AT)
            new = Estimate(view.picture, estimate.normals[-1], precision, _seen_by(parsing, parse), track.rotation)
            fused = track.fusion(new)
            face = replace(track.face, parsing=replace(parsing, crop=parse, parse=fused.parse))
            yield FaceInFrame(track.number, face, image, fused, self._about, said)

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What is said of the origin of every face."""
        return self.estimator.about(self.estimator.predictor, second_view=False)


def _precision(degrees: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of normals whose expected error is known, 1/rad²."""
    return np.asarray(1.0 / np.radians(np.maximum(degrees, 0.5)) ** 2, np.float32)


def _seen_by(parsing: FaceParsing, crop: FaceCrop) -> NDArray[np.float32]:
    """The parse R×R×8 of one square as another square of about the same place sees it."""
    import cv2

    own = parsing.crop
    corners = np.array([[0.0, 0.0], [crop.size, 0.0], [0.0, crop.size]])
    there = own.to_crop(crop.to_photo(corners)) - 0.5
    start = own.to_crop(crop.to_photo(np.array([[0.5, 0.5]])))[0] - 0.5
    matrix = np.column_stack([(there[1] - there[0]) / crop.size, (there[2] - there[0]) / crop.size, start])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    parts = [np.ascontiguousarray(parsing.parse[..., :4]), np.ascontiguousarray(parsing.parse[..., 4:])]
    size = (crop.size, crop.size)
    moved = [cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for part in parts]
    return np.asarray(np.dstack(moved), np.float32)


def _apart(tracks: list[Track]) -> list[Track]:
    """Without those that have come to follow the same face as an older one."""
    kept: list[Track] = []
    for track in tracks:
        if not any(overlap(track.face.box, other.face.box) > 0.5 for other in kept):
            kept.append(track)
    return kept
