# SPDX-License-Identifier: Apache-2.0
"""The Extended Yale Face Database B, cropped version, with ground truth by photometric stereo.

Georghiades, Belhumeur and Kriegman, "From few to many", PAMI 2001; crops by Lee, Ho and Kriegman, PAMI 2005.
One folder per subject (`yaleB01` ...), 64 photos of 168 x 192 grey pixels each (`yaleB01_P00A+035E-20.pgm`),
named after the light: azimuth and elevation in degrees as the *subject* sees them, so that a positive azimuth
is on the subject's right-hand side turned to the image's left. In the camera frame the direction is (-sin A
cos E, sin E, cos A cos E).
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import InputError
from lineament.geometry.photometric import robust_photometric_stereo

log = logging.getLogger(__name__)

_SUBJECT = re.compile(r"yaleB\d+", re.IGNORECASE)
_PHOTO = re.compile(r".*_P00A([+-]\d{3})E([+-]\d{2})\.pgm", re.IGNORECASE)
_AMBIENT = re.compile(r".*_P00_Ambient\.pgm", re.IGNORECASE)

LIGHTS_SMALLEST_Z = 0.2
"""Lights further to the side than this do not enter the ground truth."""
GREY_RANGE = (8, 250)
"""Grey values outside are taken as shadow or saturation."""
GREY_NOISE = 2.0
"""Grey values, the least scale of residuals."""
SMALLEST_NZ = 0.15
LARGEST_RESIDUAL = 0.14
ALBEDO_RANGE = (0.2, 3.0)
"""Times the median albedo; pixels outside are left out: pupils, nostrils, highlights, things that are no
skin."""
EROSION = 2
"""Pixels taken off the mask's border."""
FEWEST_LIGHTS = 6
"""A pixel needs this many usable lights, and a subject this many photos."""


@dataclass(frozen=True, order=True)
class Light:
    """A light's place as the subject sees it."""

    azimuth: float
    """Degrees; positive is to the image's left."""
    elevation: float
    """Degrees; positive is up."""

    @classmethod
    def from_name(cls, name: str) -> Light | None:
        """The light that a file name such as `yaleB01_P00A+035E-20.pgm` states; None for any other name."""
        match = _PHOTO.fullmatch(name)
        return cls(float(match[1]), float(match[2])) if match else None

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the light, camera frame."""
        a, e = math.radians(self.azimuth), math.radians(self.elevation)
        return (-math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e))

    @property
    def from_camera(self) -> float:
        """Degrees between the light and the camera's axis."""
        return math.degrees(math.acos(max(-1.0, min(1.0, self.direction[2]))))

    def __str__(self) -> str:
        return f"A{self.azimuth:+04.0f}E{self.elevation:+03.0f}"


@dataclass(frozen=True)
class YaleBSubject:
    """All photos of one person in frontal pose."""

    name: str
    names: tuple[str, ...]
    """File names without suffix, sorted."""
    lights: tuple[Light, ...]
    photos: NDArray[np.uint8]
    """[N, H, W] grey."""
    ambient: NDArray[np.uint8] | None
    """[H, W], the photo with no flash; None where it is missing or of another size."""
    skipped: tuple[str, ...]
    """One line for each file that could not be used."""


@dataclass(frozen=True)
class GroundTruth:
    """Normals of one subject from photometric stereo."""

    normals: NDArray[np.float32]
    """[H, W, 3], camera frame."""
    albedo: NDArray[np.float32]
    """[H, W], grey values under a light of strength one."""
    mask: NDArray[np.bool_]
    """[H, W], pixels that may be compared."""


def read_subject(folder: Path | str) -> YaleBSubject:
    """Read one subject's photos.

    Args:
        folder: A folder such as `yaleB01`.

    Returns:
        The photos with their lights. Files that cannot be read, or differ in size from most, are left out,
        named in `skipped` and logged as warnings.

    Raises:
        InputError: If the folder is missing or has too few photos that can be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    pictures: dict[str, NDArray[np.uint8]] = {}
    skipped: list[str] = []
    ambient: NDArray[np.uint8] | None = None
    for path in sorted(folder.iterdir()):
        is_ambient = _AMBIENT.fullmatch(path.name) is not None
        if not is_ambient and Light.from_name(path.name) is None:
            continue
        try:
            picture = _read_grey(path)
        except InputError as error:
            skipped.append(str(error).replace(str(path), path.name, 1))
            continue
        if is_ambient:
            ambient = picture
        else:
            pictures[path.name] = picture
    sizes = [picture.shape for picture in pictures.values()]
    size = max(set(sizes), key=sizes.count) if sizes else (0, 0)
    for name in [name for name, picture in pictures.items() if picture.shape != size]:
        height, width = pictures.pop(name).shape
        skipped.append(f"{name}: {width} x {height} pixels, the others have {size[1]} x {size[0]}")
    for line in skipped:
        log.warning("left out %s/%s", folder.name, line)
    if len(pictures) < FEWEST_LIGHTS:
        raise InputError(
            f"{folder} has {len(pictures)} photos that can be read, photometric stereo needs "
            f"{FEWEST_LIGHTS}; they are named like yaleB01_P00A+035E-20.pgm"
        )
    if ambient is not None and ambient.shape != size:
        ambient = None
    lights = tuple(light for light in map(Light.from_name, pictures) if light is not None)
    return YaleBSubject(
        name=folder.name,
        names=tuple(name.rsplit(".", 1)[0] for name in pictures),
        lights=lights,
        photos=np.stack(list(pictures.values())),
        ambient=ambient,
        skipped=tuple(skipped),
    )


def ground_truth(subject: YaleBSubject) -> GroundTruth:
    """Normals by robust photometric stereo over all lights that come from the front.

    The ambient photo is subtracted where there is one. Per pixel I = ρ (n · l) is solved with Cauchy weights
    over the lights with z > 0.2, from grey values between 8 and 250. Kept are pixels with n_z > 0.15, a
    relative residual below 0.14 and no extreme albedo, eroded by two.

    Args:
        subject: All photos of a person.

    Returns:
        Normals, albedo and the mask.

    Raises:
        InputError: If the lights that come from the front do not span space.
    """
    directions = np.array([light.direction for light in subject.lights], dtype=np.float32)  # [N, 3]
    front = directions[:, 2] > LIGHTS_SMALLEST_Z
    if int(front.sum()) < FEWEST_LIGHTS:
        raise InputError(f"{subject.name} has {int(front.sum())} lights from the front, {FEWEST_LIGHTS} are needed")
    grey = subject.photos[front].astype(np.float32)
    usable = (grey > GREY_RANGE[0]) & (grey < GREY_RANGE[1])
    if subject.ambient is not None:
        grey -= subject.ambient.astype(np.float32)
    solved = robust_photometric_stereo(grey, directions[front], usable, noise=GREY_NOISE)
    typical = np.median(solved.albedo)
    mask = (
        (solved.normals[..., 2] > SMALLEST_NZ)
        & (solved.residual < LARGEST_RESIDUAL)
        & (solved.albedo > ALBEDO_RANGE[0] * typical)
        & (solved.albedo < ALBEDO_RANGE[1] * typical)
        & (solved.lights >= FEWEST_LIGHTS)
    )
    return GroundTruth(solved.normals, solved.albedo, _eroded(mask, EROSION))


class YaleB:
    """The database on disk: subjects, their ground truth (kept in memory once computed) and samples."""

    def __init__(self, root: Path | str, subjects: Sequence[str] | None = None) -> None:
        """Find the subjects.

        Args:
            root: A folder with folders such as `yaleB01`.
            subjects: Names of folders to take; all of them when left out.

        Raises:
            InputError: If there is none, or one that was asked for is missing.
        """
        self.root = Path(root)
        if not self.root.is_dir():
            raise InputError(f"there is no folder {self.root}")
        found = sorted(path.name for path in self.root.iterdir() if path.is_dir() and _SUBJECT.fullmatch(path.name))
        missing = sorted(set(subjects or ()) - set(found))
        if missing:
            raise InputError(f"{self.root} has no folder {', '.join(missing)}")
        self.subjects: tuple[str, ...] = tuple(subjects) if subjects is not None else tuple(found)
        if not self.subjects:
            raise InputError(f"{self.root} has no folders named like yaleB01")
        self._cache: dict[str, tuple[YaleBSubject, GroundTruth]] = {}

    def subject(self, name: str) -> tuple[YaleBSubject, GroundTruth]:
        """Photos and ground truth of one subject.

        Raises:
            InputError: If its folder cannot be used.
        """
        if name not in self._cache:
            read = read_subject(self.root / name)
            self._cache[name] = (read, ground_truth(read))
        return self._cache[name]

    def samples(self, name: str, lit: Callable[[Light], bool] | None = None) -> Iterator[Sample]:
        """One sample per photo of a subject.

        Args:
            name: Of the subject.
            lit: Says which lights to take; all when left out.

        Yields:
            Photos as they are (the ambient light is not subtracted), with the subject's ground truth.

        Raises:
            InputError: If the subject's folder cannot be used.
        """
        subject, truth = self.subject(name)
        for photo, file, light in zip(subject.photos, subject.names, subject.lights, strict=True):
            if lit is None or lit(light):
                yield Sample(
                    image=np.repeat(photo[..., None], 3, axis=2),
                    normals=truth.normals,
                    mask=truth.mask,
                    name=file,
                    subject=name,
                    meta={"light": str(light), "azimuth": light.azimuth, "elevation": light.elevation},
                )

    def __iter__(self) -> Iterator[Sample]:
        """All samples of all subjects; a subject that cannot be used is named in the log and left out."""
        for name in self.subjects:
            try:
                self.subject(name)
            except InputError as error:
                log.warning("left out %s: %s", name, error)
                continue
            yield from self.samples(name)


def _read_grey(path: Path) -> NDArray[np.uint8]:
    """[H, W] of an 8-bit picture; raises InputError on a broken one."""
    from lineament.files.reading import check_bytes, reading, regular_file
    from lineament.images.formats import open_picture  # only here, so that the rest of the module needs NumPy alone

    with reading(regular_file(path), "a picture"), open_picture(path) as picture:
        check_bytes(path, 5 * picture.width * picture.height)
        return np.array(picture.convert("L"), dtype=np.uint8)


def _eroded(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Erosion by the four neighbours; the picture's border counts as outside."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask
