# SPDX-License-Identifier: Apache-2.0
"""The one object on top: photos in, `FaceGeometry` out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.annotations.parsing import FACE_CLASSES
from lineament.errors import NoFaceError, UsageError
from lineament.face import Box, Detector, Face, find, read_face
from lineament.face.given_boxes import ReadFace, checked_box, read_where_given
from lineament.face.paste import region_of
from lineament.face.quality import check_face
from lineament.images.read import as_image, read_frames, read_image
from lineament.images.tone import camera_tones, face_contrast
from lineament.inference.predictor import Predictor, expected_angle
from lineament.methods.discovery import method_weights, open_predictor
from lineament.pipeline.options import Options
from lineament.pipeline.views import CLOSER, MIRROR, Look, joined, multiple_of, resized, with_detail, with_normals
from lineament.result.cached_maps import LastFace
from lineament.result.geometry import FaceGeometry, unit_normals
from lineament.version import __version__

if TYPE_CHECKING:
    from PIL import Image

DEFAULT = Options()
Faces = Literal["whole"] | Sequence[Box] | Detector | None
FINER = 5 / 3
"""Side of the finer crop, of the network's own."""

_FINE_FROM = 2.0  # photo pixels per crop pixel from which there is detail that the crop does not show


class Tensor(Protocol):
    """An array of another library, such as PyTorch's."""

    def __array__(self) -> NDArray[Any]: ...


Photo: TypeAlias = "str | PathLike[str] | NDArray[Any] | Image.Image | Tensor"


@dataclass(frozen=True)
class CropEstimate:
    """What a method says of one crop, also where there is no face."""

    normals: list[NDArray[np.float32]]
    """S×S×3 unit normals per stage, the first stage's first; camera frame of the crop."""
    uncertainty: list[NDArray[np.float32]]
    """S×S per stage: the angular error to expect, degrees; empty for a method that does not say."""


class Estimator:
    """A loaded method. Make one with `lineament.load`."""

    def __init__(self, predictor: Predictor, options: Options = DEFAULT) -> None:
        self.predictor = predictor
        """The method's networks."""
        self.options = options
        """How faces are estimated where the caller does not say."""

    @overload
    def estimate(
        self,
        photo: Photo,
        faces: Faces = None,
        exemplar: NDArray[np.float32] | None = None,
        options: Options | None = None,
    ) -> list[FaceGeometry]: ...

    @overload
    def estimate(
        self,
        photo: list[Photo] | tuple[Photo, ...],
        faces: Faces = None,
        exemplar: None = None,
        options: Options | None = None,
    ) -> list[list[FaceGeometry]]: ...

    def estimate(
        self,
        photo: Photo | list[Photo] | tuple[Photo, ...],
        faces: Faces = None,
        exemplar: NDArray[np.float32] | None = None,
        options: Options | None = None,
    ) -> list[FaceGeometry] | list[list[FaceGeometry]]:
        """Estimate the geometry of every face in a photo, or in each of several.

        Args:
            photo: A file's path, or a picture that `lineament.images.read.as_image` takes, such as an array H×W×3 RGB
                (or H×W grey), uint8 or floating point in [0, 1]. A list or tuple of such for several photos; all
                results are held at once, so that many photos are better estimated one by one.
            faces: None finds faces with `lineament.face.detect`; another `lineament.face.Detector` finds them its own
                way; "whole" says that the picture is one face crop already (brows to chin spanning about 0.45 to 0.9
                of it); else boxes (x, y, width, height), brows to chin. In a box the face may stand in any way: it is
                read by the quarter turn in which it is one.
            exemplar: Coarse normals H×W×3 of the same photo, upright, in the camera frame, zero where there are none:
                HFFNE refines them in place of its own.
            options: How; the estimator's own by default.

        Returns:
            One `FaceGeometry` per face, from left to right, or in the order of the boxes; for several photos a list of
            them per photo. Of an animation the first frame with a face is taken, and the first one where faces are
            given.

        Raises:
            NoFaceError: No face was found.
            UsageError: Boxes, a number of stages or an exemplar that make no sense.
            InputError: A photo that cannot be used (see `lineament.errors` for its kinds).
        """
        if not isinstance(photo, (list, tuple)):
            return list(self.iter_estimate(photo, faces, exemplar, options))
        if exemplar is not None:
            raise UsageError(f"an exemplar belongs to one photo, but there are {len(photo)}")
        return [
            list(self._faces_of(each, f"image {number}", faces, _Asked(options or self.options, None)))
            for number, each in enumerate(photo, 1)
        ]

    def iter_estimate(
        self,
        photo: Photo,
        faces: Faces = None,
        exemplar: NDArray[np.float32] | None = None,
        options: Options | None = None,
    ) -> FaceEstimates:
        """Find the faces of a photo at once, and estimate each when it is asked for.

        Whoever lets a face go before asking for the next holds one at a time, however many there are. Arguments and
        errors are those of `estimate`.
        """
        return self._faces_of(photo, "image", faces, _Asked(options or self.options, exemplar))

    def _faces_of(self, photo: Photo, name: str, faces: Faces, asked: _Asked) -> FaceEstimates:
        """The faces of a photo, which errors call by its path or by a name."""
        frame = 1
        last_face = LastFace()
        if faces is None or callable(faces):
            image, found, frame = self._search(photo, name, faces or find, asked)
            queue = [ReadFace(face, ()) for face in found]
        else:
            image = read_image(photo) if isinstance(photo, (str, PathLike)) else as_image(photo, name)
            self._check_exemplar(asked.exemplar, *image.shape[:2])
            queue = read_where_given(image, faces)

        def estimated() -> Iterator[FaceGeometry]:
            queue.reverse()
            while queue:  # taken off, so that a reading goes with its face
                yield self._face(image, queue.pop(), asked, frame, last_face)

        return FaceEstimates(estimated(), len(queue))

    def _search(
        self, photo: Photo, name: str, detector: Detector, asked: _Asked
    ) -> tuple[NDArray[Any], list[Face], int]:
        """The first frame of a photo with a face, its faces from left to right, and the frame's number from 1."""
        if isinstance(photo, (str, PathLike)):
            name = str(photo)
            frames: Iterator[NDArray[Any]] = read_frames(photo)
        else:
            frames = iter([as_image(photo, name)])
        searched = 0
        for image in frames:
            height, width = image.shape[:2]
            self._check_exemplar(asked.exemplar, height, width)
            found = [replace(face, box=checked_box(face.box, width, height)) for face in detector(image)]
            if found:
                found = [face if face.reading is not None else read_face(image, face) for face in found]
                found.sort(key=lambda face: face.box[0] + 0.5 * face.box[2])
                return image, found, searched + 1
            searched += 1
        raise _no_face(name, searched)

    def estimate_crop(
        self,
        crop: NDArray[np.uint8],
        exemplar: NDArray[np.float32] | None = None,
        options: Options | None = None,
    ) -> CropEstimate:
        """Estimate one canonical crop, everywhere on it.

        Args:
            crop: S×S×3 RGB uint8, any S; it is resized to the network's.
            exemplar: S×S×3 normals to refine, in the crop's frame, zero where there are none.
            options: How; the estimator's own by default. A large crop is seen finer, too, as a large face is.

        Raises:
            UsageError: A number of stages that makes no sense.
        """
        side, size = crop.shape[0], self.predictor.size
        look = Look(crop, exemplar)
        chosen = options or self.options
        maps = self._run(look.at(size), chosen.stages, look.closer().at(size) if chosen.second_view else None)
        if side == size:
            return maps

        normals = [unit_normals(resized(m, side)) for m in maps.normals]
        return CropEstimate(normals, [resized(u, side) for u in maps.uncertainty])

    def _run(self, look: Look, stages: int | None, second: Look | None = None) -> CropEstimate:
        """Estimate from one look, or from two, the second of which is closer and will be mirrored."""
        looks = [look] if second is None else [look, second.mirrored()]
        given = [each.exemplar for each in looks if each.exemplar is not None]
        tones = camera_tones(face_contrast(look.picture))
        pictures = tones[np.stack([each.picture for each in looks])]
        maps = with_normals(self.predictor.run(pictures, stages, np.stack(given) if given else None))
        angles = [expected_angle(kappa) for kappa in maps.concentrations]
        if second is None:
            return CropEstimate([m[0] for m in maps.normals], [a[0] for a in angles])
        return CropEstimate(
            [unit_normals(joined(m[0], m[1][:, ::-1] * MIRROR)) for m in maps.normals],
            [joined(a[0], a[1][:, ::-1]) for a in angles],
        )

    def _check_exemplar(self, exemplar: NDArray[np.float32] | None, height: int, width: int) -> None:
        """Raise UsageError for an exemplar that the method does not take or that is of another photo."""
        if exemplar is None:
            return
        if not self.predictor.TAKES_EXEMPLARS:
            raise UsageError(f"{self.predictor.FORMAT.name} takes no exemplar, only hffne does")
        if exemplar.shape != (height, width, 3):
            shape = "×".join(map(str, exemplar.shape))
            raise UsageError(f"the exemplar is {shape}, the photo's normals are {height}×{width}×3")

    def _face(
        self, image: NDArray[Any], read: ReadFace, asked: _Asked, frame: int, last_face: LastFace
    ) -> FaceGeometry:
        """Estimate one face that has been read."""
        face = read.face
        assert face.reading is not None
        height, width = image.shape[:2]
        crop = face.reading.crop.at(self.predictor.size)
        look = asked.look(image, crop)
        seen = self._run(
            look, asked.options.stages, asked.look(image, crop.closer(CLOSER)) if asked.options.second_view else None
        )
        maps, uncertainty = seen.normals, seen.uncertainty[-1] if seen.uncertainty else None
        if asked.options.fine_crop and crop.side >= _FINE_FROM * crop.size:
            crop = crop.at(multiple_of(FINER * crop.size, self.predictor.multiple))
            look = asked.look(image, crop)
            finer = self._run(look, asked.options.stages).normals
            maps = [with_detail(*pair) for pair in zip(maps, finer, strict=True)]
            uncertainty = None if uncertainty is None else resized(uncertainty, crop.size)
        sureness = np.abs(2.0 * face.reading.parse[..., list(FACE_CLASSES)].sum(-1) - 1.0)
        check = check_face(image, face)
        return FaceGeometry(
            region=region_of(face.reading, crop, height, width),
            box=face.box,
            score=face.score,
            confidence=float(sureness.mean()),
            landmarks=face.reading.landmarks,
            visibility=face.reading.visibility,
            pose=face.reading.pose,
            check=replace(check, findings=(*read.findings, *check.findings)),
            crop_image=look.picture,
            photo=image,
            stages=tuple(crop.normals_to_photo(m) for m in maps),
            crop_uncertainty=uncertainty,
            about={
                "lineament": __version__,
                "method": self.predictor.FORMAT.name,
                "weights": {
                    "name": self.predictor.weights.stem,
                    "sha256": self.predictor.sha256,
                    "licence": self.predictor.licence,
                },
                "mirrored_average": asked.options.second_view,
                "finer_crop": crop.size > self.predictor.size,
                "exemplar": asked.exemplar is not None,
                **({"animation_frame": frame} if frame > 1 else {}),
            },
            last_face=last_face,
        )


class FaceEstimates(Iterator[FaceGeometry]):
    """The faces of a photo, each estimated when it is asked for; see `Estimator.iter_estimate`."""

    def __init__(self, faces: Iterator[FaceGeometry], count: int) -> None:
        self._faces = faces
        self.count = count
        """How many there are, those included that were already asked for."""

    def __next__(self) -> FaceGeometry:
        return next(self._faces)


@dataclass(frozen=True)
class _Asked:
    """What the caller of `Estimator.estimate` asks for, face by face."""

    options: Options
    exemplar: NDArray[np.float32] | None

    def look(self, image: NDArray[Any], crop: FaceCrop) -> Look:
        """What a crop shows of a photo, and of the exemplar, in the crop's frame."""
        exemplar = None if self.exemplar is None else crop.normals_from_photo(self.exemplar)
        return Look(crop.extract(image), exemplar)


def _no_face(name: str, frames: int) -> NoFaceError:
    """What to say where no face was found. Less sure candidates are not advised: they are seldom right."""
    where = f" in its first {frames} frames" if frames > 1 else ""
    small = "if one is small in a large photo, cut the photo to its surroundings"
    return NoFaceError(
        f"{name}: no face found{where}",
        python="if one lies on its side or upside down, search with faces=partial(lineament.face.detect, "
        f'any_rotation=True); {small}; or say where it is with faces=[(x, y, width, height)], or faces="whole" if '
        "the picture is one face",
        cli=f"if one lies on its side or upside down, search with --any-rotation; {small}; or say where it is with "
        "--face-box X,Y,W,H, or --whole if the picture is one face",
    )


def load(name: str = "casfne-s", threads: int = 0, options: Options = DEFAULT) -> Estimator:
    """Load a method's weights, once per process.

    Args:
        name: "casfne-s", "hffne-s", "df2net-s", the same without the size, or the path of a weights file.
        threads: Threads of one operation; 0 takes all cores.
        options: How faces are estimated where a call does not say otherwise.

    Raises:
        WeightsError: No such weights, or damaged ones.
    """
    return Estimator(_predictor(name, threads), options)


@lru_cache(maxsize=4)
def _predictor(name: str, threads: int) -> Predictor:
    return open_predictor(method_weights(name), threads)


@overload
def estimate(photo: Photo, faces: Faces = None, options: Options | None = None) -> list[FaceGeometry]: ...


@overload
def estimate(
    photo: list[Photo] | tuple[Photo, ...], faces: Faces = None, options: Options | None = None
) -> list[list[FaceGeometry]]: ...


def estimate(
    photo: Photo | list[Photo] | tuple[Photo, ...], faces: Faces = None, options: Options | None = None
) -> list[FaceGeometry] | list[list[FaceGeometry]]:
    """Estimate every face in a photo, or in each of several, with the default method; see `Estimator.estimate`."""
    return load().estimate(photo, faces, options=options)
