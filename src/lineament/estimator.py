# SPDX-License-Identifier: Apache-2.0
"""The one object on top: photos in, `FaceGeometry` out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import NoFaceError, UsageError
from lineament.face import Box, Detector, Face, FaceCrop, crop_of_box, crop_of_whole, find
from lineament.images.read import as_image, read_image
from lineament.result import FaceGeometry, unit_normals
from lineament.runtime.session import CasFNESession
from lineament.weights import weights_path

Method = Literal["casfne", "casfne-s"]
Faces = Literal["whole"] | Sequence[Box] | Detector | None
Photo = str | PathLike[str] | NDArray[Any]

_MASK_THRESHOLD = 0.5
_SMALLEST_BOX = 8  # px, of a box that the caller gives: less is a mistake
_THREAD = 0.05  # share of the crop's side below which a connection is a thread


class Estimator:
    """A loaded method. Make one with `lineament.load`."""

    def __init__(self, session: CasFNESession) -> None:
        self.session = session

    def estimate(
        self, photo: Photo, faces: Faces = None, stages: int | None = None, flip: bool = True
    ) -> list[FaceGeometry]:
        """Estimate the geometry of every face in a photo.

        Args:
            photo: A file's path, or an array H×W×3 RGB (or H×W grey), uint8 or floating point in [0, 1].
            faces: None finds faces with `lineament.face.find`; another `lineament.face.Detector` finds them its own
                way; "whole" says that the picture is one face crop already (brows to chin spanning about 0.45 to 0.9
                of it); else boxes (x, y, width, height), brows to chin.
            stages: Cascaded stages, 0 to 5; by default as many as the weights were trained with.
            flip: Average with the estimate of the mirrored crop: more accurate, and twice the time.

        Returns:
            One `FaceGeometry` per face, from left to right.

        Raises:
            NoFaceError: No face was found.
            UsageError: Boxes or a number of stages that make no sense.
            InputError: A photo that cannot be used (see `lineament.errors` for its kinds).
        """
        name = "image" if isinstance(photo, np.ndarray) else str(photo)
        image = as_image(photo) if isinstance(photo, np.ndarray) else read_image(photo)
        height, width = image.shape[:2]
        size = self.session.size
        if faces is None or callable(faces):
            found = (faces or find)(image)
            if not found:
                raise NoFaceError(
                    f"{name}: no face found; the finder sees upright faces from the front. Say where the face is with "
                    'faces=[(x, y, width, height)] (--face-box); if the picture is one face, faces="whole" (--whole)'
                )
            found = [Face(_checked(face.box, width, height, smallest=1), face.score) for face in found]
            found.sort(key=lambda face: face.box[0] + 0.5 * face.box[2])
            return [self._face(image, face, crop_of_box(face.box, size), stages, flip) for face in found]
        if isinstance(faces, str):
            if faces != "whole":
                raise UsageError(f'faces must be None, "whole" or a list of boxes, not {faces!r}')
            whole = Face((0.0, 0.0, float(width), float(height)), 1.0)
            return [self._face(image, whole, crop_of_whole(height, width, size), stages, flip)]
        given = [Face(_checked(box, width, height, smallest=_SMALLEST_BOX), 1.0) for box in faces]
        return [self._face(image, face, crop_of_box(face.box, size), stages, flip) for face in given]

    def normals_of_crop(
        self, crop: NDArray[np.uint8], stages: int | None = None, flip: bool = False
    ) -> list[NDArray[np.float32]]:
        """Normals of every stage of one canonical crop.

        Args:
            crop: S×S×3 RGB uint8, any S; it is resized to the network's.
            stages: As in `estimate`.
            flip: As in `estimate`.

        Returns:
            S×S×3 unit normals per stage, the initial block's first, also where there is no face.
        """
        import cv2

        side, size = crop.shape[0], self.session.size
        if side != size:
            how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
            crop = np.asarray(cv2.resize(crop, (size, size), interpolation=how), dtype=np.uint8)
        maps, _ = self._run(crop, stages, flip)
        if side != size:
            maps = [unit_normals(np.asarray(cv2.resize(m, (side, side), interpolation=cv2.INTER_LINEAR))) for m in maps]
        return maps

    def _run(
        self, crop: NDArray[np.uint8], stages: int | None, flip: bool
    ) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
        pair = np.stack([crop, crop[:, ::-1]]) if flip else crop[None]
        maps, probability = self.session.run(pair, stages)
        if not flip:
            return [m[0] for m in maps], probability[0]
        mirror = np.array([-1.0, 1.0, 1.0], np.float32)
        averaged = [unit_normals(m[0] + m[1][:, ::-1] * mirror) for m in maps]
        return averaged, 0.5 * (probability[0] + probability[1][:, ::-1])

    def _face(self, image: NDArray[Any], face: Face, crop: FaceCrop, stages: int | None, flip: bool) -> FaceGeometry:
        height, width = image.shape[:2]
        picture = crop.extract(image)
        maps, probability = self._run(picture, stages, flip)
        x, y, w, h = crop.place(height, width)
        mask = np.zeros((height, width), bool)
        mask[y : y + h, x : x + w] = crop.paste(_main_piece(probability), height, width) > _MASK_THRESHOLD
        return FaceGeometry(
            mask=mask,
            box=face.box,
            score=face.score,
            confidence=float(np.abs(2 * probability - 1).mean()),
            crop=crop,
            crop_image=picture,
            stages=tuple(maps),
            about={
                "lineament": _version(),
                "method": "casfne",
                "weights": {
                    "name": self.session.weights.stem,
                    "sha256": self.session.sha256,
                    "licence": self.session.licence,
                },
                "mirrored_average": flip,
            },
        )


def _main_piece(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face's probability S×S with everything set to zero that does not hang together with its main piece.

    Shreds between strands of hair and stray pixels of the background hang on threads, if at all: an opening cuts them.
    """
    import cv2

    side = max(3, round(_THREAD * len(probability)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx((probability > _MASK_THRESHOLD).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return probability
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    near = cv2.dilate((labels == largest).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    return np.asarray(probability * near, dtype=np.float32)


def _checked(box: Box, width: int, height: int, smallest: float) -> Box:
    """A box of finite numbers, of a size in pixels, that touches the photo."""
    try:
        x, y, w, h = (float(v) for v in box)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a face's box is (x, y, width, height), not {box!r}") from error
    if not (w >= smallest and h >= smallest and np.isfinite([x, y, w, h]).all()):
        raise UsageError(f"a face's box needs at least {smallest:g}×{smallest:g} pixels, not {w:g}×{h:g}")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UsageError(f"the face's box ({x:g}, {y:g}, {w:g}, {h:g}) lies outside the {width}×{height} photo")
    return x, y, w, h


def _version() -> str:
    try:
        return version("lineament")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


@lru_cache(maxsize=4)
def load(name: str = "casfne-s", threads: int = 0) -> Estimator:
    """Load a method's weights, once per process.

    Args:
        name: "casfne-s", "casfne" (whose default size is casfne-s), or the path of a weights file.
        threads: Threads of one operation; 0 takes all cores.

    Raises:
        WeightsError: No such weights, or damaged ones.
    """
    return Estimator(CasFNESession(weights_path(name), threads))


def estimate(photo: Photo, faces: Faces = None, stages: int | None = None, flip: bool = True) -> list[FaceGeometry]:
    """Estimate every face in a photo with the default method; see `Estimator.estimate`."""
    return load().estimate(photo, faces, stages, flip)
