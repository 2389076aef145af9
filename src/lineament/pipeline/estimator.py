# SPDX-License-Identifier: Apache-2.0
"""The one object on top: photos in, `FaceGeometry` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import FACE_CLASSES
from lineament.errors import NoFaceError, UsageError
from lineament.face import Box, Detector, Face, detect_faces, parse_face
from lineament.face.face import FaceParsing, checked_faces
from lineament.face.frames import first_faces
from lineament.face.given_boxes import ParsedFace, checked_box, parse_where_given
from lineament.face.quality import check_face
from lineament.face.region import region_of
from lineament.images.read import as_image, read_frames, read_image
from lineament.inference.engine import Engine, ProviderName
from lineament.inference.predictor import Predictor
from lineament.methods.discovery import (
    AUTO,
    DEFAULT_WEIGHTS,
    all_methods,
    method_for_small_faces,
    method_weights,
    open_predictor,
)
from lineament.pipeline.crops import FACES_A_RUN, estimate_square, estimate_views, views_of_photo
from lineament.pipeline.options import Options
from lineament.pipeline.view import View
from lineament.result.cached_maps import LastFace
from lineament.result.crop_estimate import CropEstimate
from lineament.result.geometry import FaceGeometry
from lineament.version import __version__

if TYPE_CHECKING:
    from PIL import Image

DEFAULT = Options()
Faces = Literal["whole"] | Sequence[Box] | Detector | None


class Tensor(Protocol):
    """An array of another library, such as PyTorch's."""

    def __array__(self) -> NDArray[Any]: ...


Photo: TypeAlias = "str | PathLike[str] | NDArray[Any] | Image.Image | Tensor"


@dataclass(frozen=True)
class SmallFaces:
    """Another method for faces of few pixels."""

    predictor: Predictor
    below: float
    """Pixels of a photo that the longer side of a face's box must reach for the first method."""


class Estimator:
    """A loaded method. Make one with `lineament.load`."""

    def __init__(
        self,
        predictor: Predictor,
        options: Options = DEFAULT,
        small: SmallFaces | None = None,
        engine: Engine = Engine(),  # noqa: B008 - it is frozen
    ) -> None:
        check_asked(predictor, options)
        self.predictor = predictor
        """The method's networks."""
        self.options = options
        """How faces are estimated where the caller does not say."""
        self.small = small
        """What takes the photo's small faces, if another method does."""
        self.engine = engine
        """How the networks that all methods share are run: the detector, the parser, the albedo's."""

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
            list(self._faces_of(each, f"image {number}", faces, self._asked(options, None)))
            for number, each in enumerate(photo, 1)
        ]

    def iter_estimate(
        self,
        photo: Photo,
        faces: Faces = None,
        exemplar: NDArray[np.float32] | None = None,
        options: Options | None = None,
    ) -> FaceEstimates:
        """Find the faces of a photo at once, and estimate them, a few at a time, when they are asked for.

        Whoever lets a face go before asking for the next holds one at a time, however many there are, beside the crops
        of the few. Arguments and
        errors are those of `estimate`.
        """
        return self._faces_of(photo, "image", faces, self._asked(options, exemplar))

    def _faces_of(self, photo: Photo, name: str, faces: Faces, asked: _Asked) -> FaceEstimates:
        """The faces of a photo, which errors call by its path or by a name."""
        with self.engine.used():
            return self._found_in(photo, name, faces, asked)

    def _found_in(self, photo: Photo, name: str, faces: Faces, asked: _Asked) -> FaceEstimates:
        frame = 1
        if faces is None or callable(faces):
            image, found, frame = self._search(photo, name, faces or detect_faces, asked)
            queue = [ParsedFace(face, ()) for face in found]
        else:
            image = read_image(photo) if isinstance(photo, (str, PathLike)) else as_image(photo, name)
            self._check_exemplar(asked.exemplar, *image.shape[:2])
            queue = parse_where_given(image, faces)
        return FaceEstimates(self._estimated(image, queue, asked, frame), len(queue))

    def _estimated(
        self, image: NDArray[Any], queue: list[ParsedFace], asked: _Asked, frame: int
    ) -> Iterator[FaceGeometry]:
        """The faces that have been read; some are run through the networks together, then handed out one by one."""
        last_face = LastFace()
        queue.reverse()
        while queue:  # taken off, so that a parsing goes with its face
            predictor, alike = next(groupby(queue[: -FACES_A_RUN - 1 : -1], key=self._predictor_of))
            crops = [_reading(read).crop for read in alike]
            stages = asked.options.stages
            if stages is not None and predictor is not self.predictor:
                stages = min(stages, predictor.MOST_STAGES)  # they were checked for the other one
            views = [views_of_photo(image, crop, asked.exemplar, predictor, asked.options) for crop in crops]
            estimates = estimate_views(predictor, views, stages, asked.options.camera_tones)
            estimated = list(zip((one.last.picture for one in views), estimates, strict=True))[::-1]
            about = self.about(predictor, asked.options.second_view, asked.exemplar is not None, frame)
            del views, estimates
            while estimated:
                face = _geometry(
                    image, queue.pop(), *estimated.pop(), about, last_face, predictor.size, asked.options.ears
                )
                yield replace(face, engine=self.engine)

    @property
    def predictors(self) -> tuple[Predictor, ...]:
        """All that may be run."""
        return (self.predictor,) if self.small is None else (self.predictor, self.small.predictor)

    def _predictor_of(self, read: ParsedFace) -> Predictor:
        """What estimates a face: the method for small ones, if there is one and the face is small."""
        small = self.small
        return self.predictor if small is None or max(read.face.box[2:]) >= small.below else small.predictor

    def _search(
        self, photo: Photo, name: str, detector: Detector, asked: _Asked
    ) -> tuple[NDArray[Any], list[Face], int]:
        """The first frame of a photo with a face, its faces from left to right, and the frame's number from 1."""

        def checked(image: NDArray[Any]) -> list[Face]:
            height, width = image.shape[:2]
            self._check_exemplar(asked.exemplar, height, width)
            found = checked_faces(detector(image))
            return [replace(face, box=checked_box(face.box, width, height)) for face in found]

        if isinstance(photo, (str, PathLike)):
            name = str(photo)
            found = first_faces(read_frames(photo), checked)
        else:
            found = first_faces([as_image(photo, name)], checked)
        if not found.faces:
            raise _no_face(name, found.frame)
        faces = [face if face.parsing is not None else parse_face(found.image, face) for face in found.faces]
        faces.sort(key=lambda face: face.box[0] + 0.5 * face.box[2])
        return found.image, faces, found.frame

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
        return estimate_square(self.predictor, View(crop, exemplar), self._asked(options, exemplar).options)

    def _asked(self, options: Options | None, exemplar: NDArray[np.float32] | None) -> _Asked:
        """What the caller asks for, checked."""
        options = self.options if options is None else options
        check_asked(self.predictor, options, exemplar)
        return _Asked(options, exemplar)

    def _check_exemplar(self, exemplar: NDArray[np.float32] | None, height: int, width: int) -> None:
        """Raise UsageError for an exemplar that the method does not take or that is of another photo."""
        if exemplar is None:
            return
        if not self.predictor.TAKES_EXEMPLARS:
            able = " and ".join(name for name, method in all_methods().items() if method.takes_exemplars)
            raise UsageError(f"{self.predictor.FORMAT.name} takes no exemplar, only {able} does")
        if exemplar.shape != (height, width, 3):
            shape = "×".join(map(str, exemplar.shape))
            raise UsageError(f"the exemplar is {shape}, the photo's normals are {height}×{width}×3")

    def about(self, predictor: Predictor, second_view: bool, exemplar: bool = False, frame: int = 1) -> dict[str, Any]:
        """What ``face.json`` says of the origin of faces that one of the `predictors` estimated.

        Args:
            predictor: Which.
            second_view: Whether a second view was averaged with.
            exemplar: Whether given normals were refined.
            frame: The frame of an animation, from 1.
        """
        return {
            "lineament": __version__,
            "method": predictor.FORMAT.name,
            "weights": {"name": predictor.weights.stem, "sha256": predictor.sha256, "licence": predictor.licence},
            "second_view": second_view,
            "exemplar": exemplar,
            **({"animation_frame": frame} if frame > 1 else {}),
        }


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
    """What the caller of `Estimator.estimate` asks for."""

    options: Options
    exemplar: NDArray[np.float32] | None


def check_asked(predictor: Predictor, options: Options, exemplar: object = None) -> None:
    """Raise UsageError for options that a method does not have, or for what is no `Options` or no array."""
    if not isinstance(options, Options):
        raise UsageError(f"options must be lineament.Options(...), not {options!r:.80}")
    predictor.check_stages(options.stages)
    if exemplar is not None and not isinstance(exemplar, np.ndarray):
        raise UsageError(f"an exemplar is an array H×W×3, not {type(exemplar).__name__}")


def _reading(read: ParsedFace) -> FaceParsing:
    assert read.face.parsing is not None
    return read.face.parsing


def _geometry(
    image: NDArray[Any],
    read: ParsedFace,
    picture: NDArray[np.uint8],
    estimate: CropEstimate,
    about: Mapping[str, Any],
    last_face: LastFace,
    own_size: int,
    ears: bool,
) -> FaceGeometry:
    """All that is known of one face; its crop has the size of the picture that the networks saw."""
    face, parsing = read.face, _reading(read)
    certainty = np.abs(2.0 * parsing.parse[..., list(FACE_CLASSES)].sum(-1) - 1.0)
    check = check_face(image, face)
    height, width = image.shape[:2]
    return FaceGeometry(
        region=region_of(parsing, parsing.crop.at(len(picture)), height, width, ears),
        box=face.box,
        score=face.score,
        confidence=float(certainty.mean()),
        landmarks=parsing.landmarks,
        visibility=parsing.visibility,
        pose=parsing.pose,
        check=replace(check, findings=(*read.findings, *check.findings)),
        crop_image=picture,
        photo=image,
        crop_estimate=estimate,
        about={**about, "fine_crop": len(picture) > own_size},
        last_face=last_face,
    )


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


def load(
    name: str | PathLike[str] = DEFAULT_WEIGHTS,
    threads: int = 0,
    options: Options = DEFAULT,
    provider: ProviderName = "cpu",
) -> Estimator:
    """Load a method's weights, once per process.

    Args:
        name: "casfne-s", "hffne-s", "df2net-s", "hrn-s", "l2r-s", the same without the size, or the path of a weights
            file; or "auto": the default method, but for faces that are so small that another one is better.
        threads: Threads of one operation of any network, the detector's and the parser's too; 0 takes all cores.
        options: How faces are estimated where a call does not say otherwise.
        provider: What runs the networks: "cpu", "cuda", "coreml", "directml" or "openvino", as far as the ONNX Runtime
            that is installed has it.

    Raises:
        WeightsError: No such weights, or damaged ones.
        UsageError: A number of threads or of stages that makes no sense, a provider that is not there, or other things
            than these.
    """
    if not isinstance(name, (str, PathLike)):
        raise UsageError(f"weights are loaded by their name or by a file's path, not by {name!r:.80}")
    engine = Engine(threads, provider)
    if str(name) != AUTO:
        return Estimator(_predictor(str(name), engine), options, engine=engine)
    small = method_for_small_faces()
    other = None if small is None else SmallFaces(_predictor(small.weights, engine), small.best_below)
    return Estimator(_predictor(DEFAULT_WEIGHTS, engine), options, other, engine)


@lru_cache(maxsize=4)
def _predictor(name: str, engine: Engine) -> Predictor:
    with engine.used():
        return open_predictor(method_weights(name))


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
