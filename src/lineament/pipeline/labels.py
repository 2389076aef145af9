# SPDX-License-Identifier: Apache-2.0
"""Photos with what a method says of them, as a dataset (`lineament.datasets.labelled_folder`) for trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.annotations.parsing import FACE_CLASSES, MaskClass
from lineament.datasets.labelled_folder import (
    DEPTH_STEPS,
    DEPTH_ZERO,
    SAMPLES,
    SKIPPED,
    Picture,
    append_line,
    begin,
    items_done,
    whole_lines,
    write_pictures,
)
from lineament.errors import DataError, InputError, LineamentError, NoFaceError, OutputError
from lineament.face.detect import detect_faces, largest
from lineament.files.locking import folder_lock
from lineament.files.names import printable
from lineament.files.reading import parse_json, sha256_of
from lineament.images.resize import resized_square
from lineament.pipeline.estimator import Estimator
from lineament.result.geometry import FaceGeometry, unit_normals
from lineament.version import __version__

PICTURES: tuple[Picture, ...] = ("image", "normals", "depth", "mask")
"""What is written of each photo. Its albedo is not known."""


@dataclass(frozen=True)
class Labelled:
    """What a dataset of photos holds."""

    samples: int
    """Photos with a face."""
    skipped: tuple[tuple[str, str], ...]
    """Name of each photo without one, or that cannot be read, and the reason."""


def label_photos(
    photos: Sequence[Path],
    output: Path,
    estimator: Estimator,
    size: int = 256,
    progress: Callable[[int], None] | None = None,
) -> Labelled:
    """Write the largest face of each photo in its canonical crop, with mask, normals and depth of a method.

    A dataset of the same photos, method and size that is there already is continued after its last photo. Photo n is
    sample n; of no two it is known whether they show one person, so each is a person of its own, of which one in
    `lineament.datasets.labelled_folder.VALIDATION_EVERY` is kept from training.

    Args:
        photos: Files.
        output: The dataset's folder, made if missing.
        estimator: The method.
        size: Side of the crops, pixels.
        progress: Called with the number of photos that are done.

    Raises:
        InputError: A photo that is not there.
        UsageError: The folder holds a dataset of other photos, another method or another size.
        DataError: The folder's manifest or one of its lists is damaged; or none of the photos shows a face.
        OutputError: The folder cannot be written, or another process is writing into it.
    """
    if missing := [photo for photo in photos if not photo.exists()]:
        raise InputError(f"{missing[0]}: no such file")
    with folder_lock(output):
        try:
            begin(output, _origin(photos, estimator, size), PICTURES)
            samples, skipped = output / SAMPLES, output / SKIPPED
            done = items_done(samples, skipped)
            with samples.open("a", encoding="utf-8") as taken, skipped.open("a", encoding="utf-8") as left:
                for index in range(done, len(photos)):
                    about = {"index": index, "photo": printable(photos[index].name)}
                    found = _largest_face(photos[index], estimator, size)
                    if isinstance(found, str):
                        append_line(left, {**about, "reason": found})
                    else:
                        files = write_pictures(output, index, found.pictures)
                        append_line(taken, {**about, "person": index + 1, "files": files, **found.labels})
                    if progress:
                        progress(index + 1)
        except OSError as error:
            raise OutputError(f"cannot write {error.filename or output}: {error.strerror}") from error
        count = len(whole_lines(samples))
        if count == 0:
            raise DataError(f"no face was found in any of {len(photos)} photos; see {skipped}")
        lines = [parse_json(line) for line in whole_lines(skipped)]
        return Labelled(count, tuple((str(line["photo"]), str(line["reason"])) for line in lines))


def _origin(photos: Sequence[Path], estimator: Estimator, size: int) -> dict[str, Any]:
    """All that the labels depend on, for the manifest."""
    predictor = estimator.predictor
    guide = {"method": predictor.FORMAT.name, "weights": predictor.weights.stem, "sha256": predictor.sha256}
    listed = [{"name": printable(photo.name), "sha256": sha256_of(photo)} for photo in photos]
    return {"lineament": __version__, "guide": guide, "size": size, "photos": listed}


@dataclass(frozen=True)
class LabelledFace:
    """One sample."""

    pictures: Mapping[Picture, NDArray[Any]]
    """As a dataset holds them, S×S or S×S×3."""
    labels: Mapping[str, Any]
    """The rest, as plain values."""


def _largest_face(photo: Path, estimator: Estimator, size: int) -> LabelledFace | str:
    """The largest face of a photo, or why there is none, in a few words without the photo's path."""
    try:
        (face,) = estimator.estimate(photo, faces=largest(detect_faces))
        return labelled_face(face, size)
    except NoFaceError:
        return "no face found"
    except LineamentError as error:
        said = error.for_command_line().replace(str(photo), photo.name).removeprefix(f"{photo.name}: ")
        return " ".join(printable(said).split())


def labelled_face(face: FaceGeometry, size: int) -> LabelledFace:
    """A face's crop and its labels as a dataset holds them.

    Args:
        face: The face.
        size: Side of the crop, pixels.

    Raises:
        InputError: There is no face in the crop.
    """
    crop = face.crop.at(size)
    mask = _classes(face, crop)
    seen = np.isin(mask, [int(c) for c in FACE_CLASSES])
    if not seen.any():
        raise InputError("there is no face in the crop")
    normals = unit_normals(resized_square(face.crop.normals_to_crop(face.stages[-1]), size))
    surface = face.surface
    depth = resized_square(surface.crop_depth * (size / surface.crop.side), size)
    pictures: dict[Picture, NDArray[Any]] = {
        "image": crop.extract(face.photo),
        "normals": np.where(seen[..., None], np.rint((0.5 * normals + 0.5) * 65535), 0).astype(np.uint16),
        "depth": np.where(seen, np.rint(DEPTH_ZERO + DEPTH_STEPS * depth).clip(1, 65535), 0).astype(np.uint16),
        "mask": mask,
    }
    landmarks = {
        "landmarks": crop.to_crop(face.landmarks).tolist(),
        "visible": (face.visibility > 0.5).tolist(),
    }
    return LabelledFace(pictures, landmarks)


def _classes(face: FaceGeometry, crop: FaceCrop) -> NDArray[np.uint8]:
    """What each pixel of the crop shows, S×S of `MaskClass`: a class of the face only where the face's mask is."""
    import cv2

    start = crop.to_photo(np.array([0.5, 0.5])) - 0.5
    moved = cv2.warpAffine(
        face.parse,
        np.column_stack([crop.turn / crop.scale, start]),
        (crop.size, crop.size),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=int(MaskClass.OTHER),
    )
    classes = np.asarray(moved, dtype=np.uint8)
    inside = crop.extract(face.mask * np.uint8(255)) > 127
    of_face = np.isin(classes, [int(c) for c in FACE_CLASSES])
    classes[of_face & ~inside] = MaskClass.OTHER
    classes[inside & ~of_face] = MaskClass.SKIN
    return classes
