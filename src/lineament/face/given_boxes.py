# SPDX-License-Identifier: Apache-2.0
"""Reading faces whose places somebody names: they know where a face is, but not how it stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import Box, crop_of_whole
from lineament.errors import UsageError
from lineament.face.detect import SMALLEST_SCORE
from lineament.face.face import Face
from lineament.face.parse import parse_again, parse_box, parse_crop, with_parsing
from lineament.face.quality import Finding
from lineament.face.score import evidence_of, score_of, seen_again

_TURNS = (180.0, 90.0, -90.0)  # degrees clockwise
SMALLEST_BOX = 8.0
"""Pixels that a box which somebody names needs either way: less is a mistake."""
_LARGEST = 20.0  # of the photo's longer side
_HARDLY = 0.5  # score of a box below which it is more likely not a face
_SURER = 1.0  # log odds by which a turned parsing must be more likely than the upright one


@dataclass(frozen=True, eq=False)
class ParsedFace:
    """A face that has been read, and what is to be said of how."""

    face: Face
    findings: tuple[Finding, ...]


def parse_where_given(image: NDArray[Any], faces: Literal["whole"] | Sequence[Box]) -> list[ParsedFace]:
    """Read faces whose places the caller names.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        faces: "whole" for a picture that is one face crop already, or boxes.

    Returns:
        The faces in the given order, their score 1.

    Raises:
        UsageError: Another word, or boxes that make no sense.
    """
    height, width = image.shape[:2]
    if isinstance(faces, str):
        if faces != "whole":
            raise UsageError(f'faces must be None, "whole" or a list of boxes, not {faces!r}')
        parsing = parse_crop(image, crop_of_whole(height, width))
        return [ParsedFace(Face((0.0, 0.0, float(width), float(height)), 1.0, parsing=parsing), ())]
    if not isinstance(faces, Iterable):
        raise UsageError(f'faces must be None, "whole", a detector or a list of boxes, not {faces!r:.80}')
    doubt = Finding("warning", "what the box shows hardly reads as a face: check the box, brows to chin, ear to ear")
    given = []
    for box in [checked_box(box, width, height, SMALLEST_BOX) for box in faces]:
        face, score = _read_in_box(image, box)
        given.append(ParsedFace(face, (doubt,) if score < _HARDLY else ()))
    return given


def _read_in_box(image: NDArray[Any], box: Box) -> tuple[Face, float]:
    """Read a face whose box is given, upright or, where that reads as no face, by the quarter turn that does.

    Returns:
        The face, of score 1; and the score that the detector would give it, from 0 to 1.
    """
    upright, best = _read(image, Face(box, 1.0))
    if best >= SMALLEST_SCORE:
        return upright, best
    chosen = upright
    least = _logit(best) + _SURER
    for turn in _TURNS:
        face, score = _read(image, Face(box, 1.0, turn))
        if _logit(score) > max(least, _logit(best)):
            chosen, best = face, score
    return chosen, best


def _read(image: NDArray[Any], face: Face) -> tuple[Face, float]:
    """A face read as it is said to lean, and how likely it then is a face."""
    first = parse_box(image, face)
    second = parse_again(image, first)
    score = score_of(evidence_of(face, seen_again(image, face), first, second))
    return with_parsing(face, first, second), score


def _logit(score: float) -> float:
    return math.log(max(score, 1e-12) / max(1.0 - score, 1e-12))


def box_numbers(box: Box, smallest: float = SMALLEST_BOX) -> Box:
    """A box as numbers, checked as far as that goes without its photo.

    Args:
        box: x, y, width, height in the photo's pixels.
        smallest: Pixels that it needs at least, either way.

    Raises:
        UsageError: Something else, numbers that are not finite, or a box that is too small.
    """
    try:
        x, y, w, h = (float(v) for v in box)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"a face's box is (x, y, width, height), not {box!r:.80}") from error
    if not np.isfinite([x, y, w, h]).all():
        raise UsageError(f"the numbers of a face's box must be finite, not ({x:g}, {y:g}, {w:g}, {h:g})")
    if not (w >= smallest and h >= smallest):
        raise UsageError(f"a face's box needs at least {smallest:g}×{smallest:g} pixels, not {w:g}×{h:g}")
    return x, y, w, h


def checked_box(box: Box, width: int, height: int, smallest: float = 1.0) -> Box:
    """A box as numbers.

    Args:
        box: x, y, width, height in the photo's pixels.
        width: The photo's columns.
        height: The photo's rows.
        smallest: Pixels that it needs at least, either way.

    Raises:
        UsageError: Something else, numbers that are not finite, a box too small or far too large, or outside the photo.
    """
    x, y, w, h = box_numbers(box, smallest)
    if max(w, h) > _LARGEST * max(width, height):
        raise UsageError(f"a face's box of {w:g}×{h:g} pixels is far larger than the {width}×{height} photo")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UsageError(f"the face's box ({x:g}, {y:g}, {w:g}, {h:g}) lies outside the {width}×{height} photo")
    return x, y, w, h
