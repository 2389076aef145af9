# SPDX-License-Identifier: Apache-2.0
"""Is a photo good enough? Size, sharpness, exposure, pose and covering of a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import MaskClass
from lineament.errors import UsageError
from lineament.face.face import Face, FaceParsing
from lineament.face.parse import hull_of
from lineament.images.sharpness import blur_effect

_SEEN_AT = 256  # px, the side of the crop in which sharpness is measured
_BLURRED, _SOFT = 0.72, 0.64  # of a face 256 pixels large, blurred by some 2.5 and 1.5 pixels (docs/faces.md)
_DARKEST, _BRIGHTEST = 6, 250  # 8-bit values beyond which a channel holds nothing

Severity = Literal["note", "warning"]


@dataclass(frozen=True)
class FaceMeasures:
    """What can be measured of a face's picture."""

    size: float
    """Longer side of the landmarks' bounding box, photo pixels."""
    blur: float
    """How little is lost by blurring the face once more, 0 (sharp) to 1 (Crete et al. 2007); seen 256 pixels large."""
    brightness: float
    """Median grey of the skin, 0 to 1."""
    clipped: float
    """Share of the skin with a channel that is burnt out or pitch black."""
    contrast: float
    """Standard deviation of the skin's grey over its mean: the stronger the light from the side, the larger."""
    yaw: float
    """Turn to either side, degrees, without sign."""
    pitch: float
    """Nod, degrees, without sign."""
    roll: float
    """Leaning, degrees, without sign; 180 is upside down."""
    hair: float
    """Share of the landmarks' hull that hair covers."""
    glasses: float
    """Share of the landmarks' hull that frames and dark lenses cover."""
    covered: float
    """Share of the landmarks' hull that hands, things, hats or collars cover, or that lies outside the photo."""


@dataclass(frozen=True)
class Finding:
    """One thing about a photo that a user should know."""

    severity: Severity
    text: str
    """One line: what it is and what to do."""


@dataclass(frozen=True)
class PhotoCheck:
    """What is to be said about one face of a photo."""

    measures: FaceMeasures
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines that should not be overlooked."""
        return tuple(f.text for f in self.findings if f.severity == "warning")


def check_face(image: NDArray[Any], face: Face) -> PhotoCheck:
    """Judge one face of a photo.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        face: A face that has been read (`lineament.face.detect` reads its own).

    Raises:
        UsageError: The face has not been read.
    """
    if face.parsing is None:
        raise UsageError("the face has not been read; use lineament.face.read_face")
    measures = measure(image, face.parsing)
    return PhotoCheck(measures, tuple(_findings(measures)))


def measure(image: NDArray[Any], parsing: FaceParsing) -> FaceMeasures:
    """Measure a face's picture.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        parsing: What was read in it.
    """
    import cv2

    crop = parsing.crop
    low, high = parsing.landmarks.min(0), parsing.landmarks.max(0)
    parse = parsing.parse.argmax(-1)
    inside = hull_of(parsing)
    if not inside.any():  # landmarks that lie outside the square that was read
        inside = np.ones_like(inside)
    total = int(inside.sum())

    picture = crop.extract(image)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    skin = inside & (parse == int(MaskClass.SKIN))
    skin = skin if skin.any() else inside
    lost = ((picture >= _BRIGHTEST).any(-1) | (picture <= _DARKEST).all(-1)) & skin
    close_up = cv2.cvtColor(crop.at(_SEEN_AT).extract(image), cv2.COLOR_RGB2GRAY)
    margin = round(0.2 * _SEEN_AT)
    height, width = image.shape[:2]
    side = np.arange(crop.size) + 0.5
    places = crop.to_photo(np.stack(np.meshgrid(side, side), axis=-1))
    outside = ((places < 0) | (places > np.array([width, height]))).any(-1)
    other = (parse == int(MaskClass.OTHER)) | outside

    def share(what: NDArray[np.bool_]) -> float:
        return float((what & inside).sum() / total)

    return FaceMeasures(
        size=float((high - low).max()),
        blur=blur_effect(close_up[margin:-margin, margin:-margin]),
        brightness=float(np.median(grey[skin])),
        clipped=float(lost.sum() / max(1, int(skin.sum()))),
        contrast=float(grey[skin].std() / max(0.02, float(grey[skin].mean()))),
        yaw=abs(parsing.pose.yaw),
        pitch=abs(parsing.pose.pitch),
        roll=abs(parsing.pose.roll),
        hair=share(parse == int(MaskClass.HAIR)),
        glasses=share(parse == int(MaskClass.GLASSES)),
        covered=share(other),
    )


def _findings(m: FaceMeasures) -> list[Finding]:
    """Plain advice, the gravest first."""
    found: list[Finding] = []

    def say(warn: bool, note: bool, text: str) -> None:
        if warn or note:
            found.append(Finding("warning" if warn else "note", text))

    size, covered, hair = f"{m.size:.0f} pixels", f"{100 * m.covered:.0f} %", f"{100 * m.hair:.0f} %"
    say(m.size < 48, m.size < 100, f"the face is small ({size}): take a larger picture, fine detail is lost")
    say(m.blur > _BLURRED, m.blur > _SOFT, "the face is blurred: take a sharper picture, or shrink this one")
    say(m.brightness < 0.08, m.brightness < 0.16, "the face is dark: brighten it or take it in more light")
    say(m.clipped > 0.2, m.clipped > 0.06, f"{100 * m.clipped:.0f} % of the skin is burnt out or black: expose for it")
    say(m.yaw > 60, m.yaw > 40, f"the head is turned by {m.yaw:.0f}°: its far side is hidden and only guessed")
    say(m.pitch > 35, m.pitch > 25, f"the head nods by {m.pitch:.0f}°: forehead or chin is foreshortened")
    turned = "upside down" if m.roll > 135 else f"leaning by {m.roll:.0f}°"
    say(m.roll > 60, m.roll > 45, f"the face is {turned} in the photo, and was read so: turn the photo upright")
    say(m.covered > 0.2, m.covered > 0.07, f"{covered} of the face is covered or cut off: show all of it")
    say(m.hair > 0.2, m.hair > 0.08, f"hair covers {hair} of the face: tie it back")
    say(m.glasses > 0.12, m.glasses > 0.015, "glasses cover the eyes: take them off, their rims leave marks")
    return sorted(found, key=lambda finding: finding.severity != "warning")
