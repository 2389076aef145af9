# SPDX-License-Identifier: Apache-2.0
"""How likely a candidate is a face: what the detector says of it, and whether it can be read as one."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.annotations.parsing import FACE_CLASSES
from lineament.face.face import Face, FaceParsing
from lineament.models.detector.predictor import shipped_detector

EVIDENCE = ("detector", "face", "seen", "steady", "same box")
"""The detector's mean logit at other sizes, mirrored and not; the share of the landmarks' hull that
is parsed as a face; the mean visibility of the landmarks; how little they move between two parsings; how well their box
fits the detector's. The score of the search itself is left out: it is the largest of many, and so too large where there
is no face."""

_CLEAR = (1.0, 0.96, 0.93, 0.85)  # what is read of a face in a clear photo
_VIEWS = (30.0, 44.0, 62.0)  # px, sizes at which a candidate is looked at again
_VIEW = 128  # px, the side of those views
_MIDDLE = slice(6, 10)  # of its 16 cells


def seen_again(image: NDArray[Any], face: Face) -> float:
    """The mean logit of a candidate at other sizes, mirrored and not: what is no face seldom is one twice."""
    x, y, w, h = face.box
    views = []
    for size in _VIEWS:
        side = _VIEW * max(w, h) / size
        quarter = 90.0 * round(face.roll / 90.0)  # it may have been found in the photo turned
        crop = FaceCrop(x + 0.5 * w - 0.5 * side, y + 0.5 * h - 0.5 * side, side, _VIEW, quarter)
        picture = crop.extract(image)
        views += [picture, picture[:, ::-1]]
    logits = shipped_detector().run(np.stack(views))[:, 0, _MIDDLE, _MIDDLE]
    return float(logits.max((1, 2)).mean())


def evidence_of(face: Face, again: float, first: FaceParsing, second: FaceParsing | None = None) -> NDArray[np.float64]:
    """What is known of a candidate, [5] in the order of `EVIDENCE`.

    Args:
        face: The candidate.
        again: What `looked_at_again` says.
        first: Its parsing in the box's crop.
        second: Its parsing in the landmarks' crop; before there is one, the best is hoped for.
    """
    from lineament.face.parse import box_of, hull_of, overlap

    last = second or first
    box = box_of(last.landmarks)
    moved = np.linalg.norm(first.landmarks - last.landmarks, axis=1).mean() / max(box[2], box[3], 1e-6)
    hull = hull_of(last)
    shown = np.isin(last.parse.argmax(-1), FACE_CLASSES) & hull
    return np.array(
        [
            again,
            float(shown.sum() / max(1, int(hull.sum()))),
            float(last.visibility.mean()),
            math.exp(-10.0 * float(moved)) if second else _CLEAR[2],
            overlap(box, face.box),
        ]
    )


def best_score(again: float) -> float:
    """The score of a candidate if all that is read in it spoke for a face as it does in a clear photo."""
    return score_of(np.array([again, *_CLEAR]))


def score_of(evidence: NDArray[np.float64]) -> float:
    """The probability of a face: a logistic regression (fitted by `tools/calibrate_detector.py`)."""
    weights, bias = _regression()
    return 1.0 / (1.0 + math.exp(-float(evidence @ weights + bias)))


@lru_cache(maxsize=1)
def _regression() -> tuple[NDArray[np.float64], float]:
    fitted = json.loads(files("lineament.face").joinpath("score.json").read_text())
    return np.array([fitted["weights"][name] for name in EVIDENCE]), float(fitted["bias"])
