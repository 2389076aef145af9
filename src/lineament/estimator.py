# SPDX-License-Identifier: Apache-2.0
"""The one object on top: photos in, `FaceGeometry` out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import NoFaceError, UsageError
from lineament.face import Box, Detector, Face, crop_of_whole, find, read_crop, read_face
from lineament.face.check import check_face
from lineament.face.crop import FaceCrop
from lineament.face.parse import FACE_CLASSES
from lineament.face.paste import paste_parse
from lineament.images.read import as_image, read_image
from lineament.images.tone import camera_tones, face_contrast
from lineament.result import FaceGeometry, unit_normals
from lineament.runtime.methods import open_session
from lineament.runtime.session import NormalsSession, expected_angle
from lineament.weights import weights_path

Method = Literal["casfne", "casfne-s", "hffne", "hffne-s", "df2net", "df2net-s"]
Faces = Literal["whole"] | Sequence[Box] | Detector | None
Photo = str | PathLike[str] | NDArray[Any]

_FINE_FROM = 2.0  # photo pixels per crop pixel from which there is detail that the crop does not show
_FINER = 5 / 3  # side of the finer crop, of the network's own
_DETAIL = 0.011  # sigma of the blur that parts shape from detail, of the crop's side
_CLOSER = 1.2  # how much larger the mirrored look shows the face: two sizes err less alike than one seen twice
_SEAM = 0.04  # of the crop's side, over which the closer look fades out
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)  # of normals
_SMALLEST_BOX = 8  # px, of a box that the caller gives: less is a mistake


@dataclass(frozen=True)
class CropEstimate:
    """What a method says of one crop, also where there is no face."""

    normals: list[NDArray[np.float32]]
    """S×S×3 unit normals per stage, the first stage's first; camera frame of the crop."""
    uncertainty: list[NDArray[np.float32]]
    """S×S per stage: the angular error to expect, degrees; empty for a method that does not say."""


class Estimator:
    """A loaded method. Make one with `lineament.load`."""

    def __init__(self, session: NormalsSession) -> None:
        self.session = session

    def estimate(
        self,
        photo: Photo,
        faces: Faces = None,
        stages: int | None = None,
        flip: bool = True,
        fine: bool = True,
        exemplar: NDArray[np.float32] | None = None,
    ) -> list[FaceGeometry]:
        """Estimate the geometry of every face in a photo.

        Args:
            photo: A file's path, or an array H×W×3 RGB (or H×W grey), uint8 or floating point in [0, 1].
            faces: None finds faces with `lineament.face.find`; another `lineament.face.Detector` finds them its own
                way; "whole" says that the picture is one face crop already (brows to chin spanning about 0.45 to 0.9
                of it); else boxes (x, y, width, height), brows to chin.
            stages: Stages after the first (Cas-FNE: 0 to 5, HFFNE: 0 or 1, DF²Net: 0 to 2); by default as many as the
                weights were trained with.
            flip: Average with a second look, mirrored and closer: more accurate, and twice the time.
            fine: Look at large faces once more, in a finer crop, for detail; more than twice the time.
            exemplar: Coarse normals H×W×3 of the same photo, upright, in the camera frame, zero where there are none:
                HFFNE refines them in place of its own.

        Returns:
            One `FaceGeometry` per face, from left to right.

        Raises:
            NoFaceError: No face was found.
            UsageError: Boxes, a number of stages or an exemplar that make no sense.
            InputError: A photo that cannot be used (see `lineament.errors` for its kinds).
        """
        name = "image" if isinstance(photo, np.ndarray) else str(photo)
        image = as_image(photo) if isinstance(photo, np.ndarray) else read_image(photo)
        height, width = image.shape[:2]
        self._check_exemplar(exemplar, height, width)
        asked = _Asked(stages, flip, fine, exemplar)
        if faces is None or callable(faces):
            found = (faces or find)(image)
            if not found:
                raise NoFaceError(
                    f"{name}: no face found. Ask for less sure ones with --min-score 0.2, say where the face is with "
                    'faces=[(x, y, width, height)] (--face-box); if the picture is one face, faces="whole" (--whole)'
                )
            found = [replace(face, box=_checked(face.box, width, height, smallest=1)) for face in found]
            found = [face if face.reading is not None else read_face(image, face) for face in found]
            found.sort(key=lambda face: face.box[0] + 0.5 * face.box[2])
            return [self._face(image, face, asked) for face in found]
        if isinstance(faces, str):
            if faces != "whole":
                raise UsageError(f'faces must be None, "whole" or a list of boxes, not {faces!r}')
            reading = read_crop(image, crop_of_whole(height, width))
            whole = Face((0.0, 0.0, float(width), float(height)), 1.0, reading=reading)
            return [self._face(image, whole, asked)]
        given = [Face(_checked(box, width, height, smallest=_SMALLEST_BOX), 1.0) for box in faces]
        return [self._face(image, read_face(image, face), asked) for face in given]

    def estimate_crop(
        self,
        crop: NDArray[np.uint8],
        stages: int | None = None,
        flip: bool = False,
        exemplar: NDArray[np.float32] | None = None,
    ) -> CropEstimate:
        """Estimate one canonical crop, everywhere on it.

        Args:
            crop: S×S×3 RGB uint8, any S; it is resized to the network's.
            stages: As in `estimate`.
            flip: As in `estimate`.
            exemplar: S×S×3 normals to refine, in the crop's frame, zero where there are none.

        Raises:
            UsageError: A number of stages that makes no sense.
        """
        side, size = crop.shape[0], self.session.size
        look = _Look(crop, exemplar)
        maps = self._run(look.at(size), stages, look.closer().at(size) if flip else None)
        if side == size:
            return maps

        normals = [unit_normals(_resized(m, side)) for m in maps.normals]
        return CropEstimate(normals, [_resized(u, side) for u in maps.uncertainty])

    def _run(self, look: _Look, stages: int | None, second: _Look | None = None) -> CropEstimate:
        """Estimate from one look, or from two, the second of which is closer and will be mirrored."""
        looks = [look] if second is None else [look, second.mirrored()]
        given = [each.exemplar for each in looks if each.exemplar is not None]
        tones = camera_tones(face_contrast(look.picture))
        pictures = tones[np.stack([each.picture for each in looks])]
        maps = self.session.run(pictures, stages, np.stack(given) if given else None)
        angles = [expected_angle(kappa) for kappa in maps.concentrations]
        if second is None:
            return CropEstimate([m[0] for m in maps.normals], [a[0] for a in angles])
        return CropEstimate(
            [unit_normals(_joined(m[0], m[1][:, ::-1] * _MIRROR)) for m in maps.normals],
            [_joined(a[0], a[1][:, ::-1]) for a in angles],
        )

    def _check_exemplar(self, exemplar: NDArray[np.float32] | None, height: int, width: int) -> None:
        """Raise UsageError for an exemplar that the method does not take or that is of another photo."""
        if exemplar is None:
            return
        if not self.session.TAKES_EXEMPLARS:
            raise UsageError(f"{self.session.METHOD} takes no exemplar; take the method hffne (--method hffne)")
        if exemplar.shape != (height, width, 3):
            shape = "×".join(map(str, exemplar.shape))
            raise UsageError(f"the exemplar is {shape}, the photo's normals are {height}×{width}×3")

    def _face(self, image: NDArray[Any], face: Face, asked: _Asked) -> FaceGeometry:
        """Estimate one face that has been read."""
        assert face.reading is not None
        height, width = image.shape[:2]
        crop = face.reading.crop.at(self.session.size)
        look = asked.look(image, crop)
        seen = self._run(look, asked.stages, asked.look(image, crop.closer(_CLOSER)) if asked.flip else None)
        maps, uncertainty = seen.normals, seen.uncertainty[-1] if seen.uncertainty else None
        if asked.fine and crop.side >= _FINE_FROM * crop.size:
            crop = crop.at(_multiple(_FINER * crop.size, self.session.multiple))
            look = asked.look(image, crop)
            finer = self._run(look, asked.stages).normals
            maps = [_with_detail(*pair) for pair in zip(maps, finer, strict=True)]
            uncertainty = None if uncertainty is None else _resized(uncertainty, crop.size)
        parse, mask = paste_parse(face.reading, height, width)
        sureness = np.abs(2.0 * face.reading.parse[..., list(FACE_CLASSES)].sum(-1) - 1.0)
        return FaceGeometry(
            mask=mask,
            parse=parse,
            box=face.box,
            score=face.score,
            confidence=float(sureness.mean()),
            landmarks=face.reading.landmarks,
            visibility=face.reading.visibility,
            pose=face.reading.pose,
            check=check_face(image, face),
            crop=crop,
            crop_image=look.picture,
            photo=image,
            stages=tuple(crop.normals_to_photo(m) for m in maps),
            crop_uncertainty=uncertainty,
            about={
                "lineament": _version(),
                "method": self.session.METHOD,
                "weights": {
                    "name": self.session.weights.stem,
                    "sha256": self.session.sha256,
                    "licence": self.session.licence,
                },
                "mirrored_average": asked.flip,
                "finer_crop": crop.size > self.session.size,
                "exemplar": asked.exemplar is not None,
            },
        )


@dataclass(frozen=True)
class _Look:
    """What the network sees of a face: a square picture, and an exemplar in its frame, if any."""

    picture: NDArray[np.uint8]
    exemplar: NDArray[np.float32] | None

    def at(self, size: int) -> _Look:
        """The same with another number of pixels."""
        import cv2

        side = len(self.picture)
        if side == size:
            return self
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(self.picture, (size, size), interpolation=how), dtype=np.uint8)
        return _Look(picture, None if self.exemplar is None else _resized(self.exemplar, size))

    def closer(self) -> _Look:
        """Its middle."""
        middle = _middle(len(self.picture))
        exemplar = None if self.exemplar is None else np.ascontiguousarray(self.exemplar[middle])
        return _Look(np.ascontiguousarray(self.picture[middle]), exemplar)

    def mirrored(self) -> _Look:
        """Left and right exchanged."""
        exemplar = None if self.exemplar is None else self.exemplar[:, ::-1] * _MIRROR
        return _Look(self.picture[:, ::-1], exemplar)


@dataclass(frozen=True)
class _Asked:
    """What the caller of `Estimator.estimate` asks for, face by face."""

    stages: int | None
    flip: bool
    fine: bool
    exemplar: NDArray[np.float32] | None

    def look(self, image: NDArray[Any], crop: FaceCrop) -> _Look:
        """What a crop shows of a photo, and of the exemplar, in the crop's frame."""
        exemplar = None if self.exemplar is None else crop.normals_from_photo(self.exemplar)
        return _Look(crop.extract(image), exemplar)


def _middle(side: int) -> tuple[slice, slice]:
    """Rows and columns of a square that the closer look shows."""
    margin = round(0.5 * side * (1.0 - 1.0 / _CLOSER))
    inside = slice(margin, side - margin)
    return inside, inside


def _joined(whole: NDArray[np.float32], closer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of maps S×S or S×S×C of a look and of the closer one, where both see."""
    side = len(whole)
    middle = _middle(side)
    inner = middle[0].stop - middle[0].start
    from_edge = np.minimum(np.arange(inner) + 0.5, np.arange(inner)[::-1] + 0.5) / (_SEAM * side)
    fade = from_edge.clip(0.0, 1.0).astype(np.float32)
    weight = np.minimum(fade[:, None], fade[None, :])
    weight = weight if whole.ndim == 2 else weight[..., None]
    joined = whole.copy()
    joined[middle] += 0.5 * weight * (_resized(np.ascontiguousarray(closer), inner) - whole[middle])
    return joined


def _resized(crop_map: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square map with another number of pixels."""
    import cv2

    return np.asarray(cv2.resize(crop_map, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _multiple(side: float, step: int) -> int:
    """The multiple of a step that is closest to a side."""
    return max(step, step * round(side / step))


def _with_detail(coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """The shape of coarse normals with the detail of fine ones (`benchmarks/own_resolution.py`).

    The network knows whole faces at its own size only; seen larger, the shape goes wrong but the detail is right.
    """
    import cv2

    side = len(fine)
    enlarged = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    sigma = _DETAIL * side
    shape = cv2.GaussianBlur(enlarged, (0, 0), sigma) + fine - cv2.GaussianBlur(fine, (0, 0), sigma)
    return unit_normals(np.asarray(shape, dtype=np.float32))


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
        name: "casfne-s", "hffne-s", "df2net-s", the same without the size, or the path of a weights file.
        threads: Threads of one operation; 0 takes all cores.

    Raises:
        WeightsError: No such weights, or damaged ones.
    """
    return Estimator(open_session(weights_path(name), threads))


def estimate(
    photo: Photo, faces: Faces = None, stages: int | None = None, flip: bool = True, fine: bool = True
) -> list[FaceGeometry]:
    """Estimate every face in a photo with the default method; see `Estimator.estimate`."""
    return load().estimate(photo, faces, stages, flip, fine)
