# SPDX-License-Identifier: Apache-2.0
"""How likely a candidate is a face: what the finder says of it, and whether it can be read as one."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from lineament.face.face import Face, FaceReading
from lineament.face.parse import FACE_CLASSES

EVIDENCE = ("finder", "face", "seen", "steady", "same box")
"""The finder's logit, the share of the landmarks' hull that is parsed as a face, the mean visibility of the landmarks,
how little they move between two readings, and how well their box fits the finder's."""


def evidence_of(face: Face, first: FaceReading, second: FaceReading) -> NDArray[np.float64]:
    """What is known of a candidate, [5] in the order of `EVIDENCE`.

    Args:
        face: The candidate with the finder's own score.
        first: Its reading in the box's crop.
        second: Its reading in the landmarks' crop.
    """
    from lineament.face.read import box_of, hull_of, overlap

    raw = min(max(face.score, 1e-4), 1.0 - 1e-4)
    box = box_of(second.landmarks)
    moved = np.linalg.norm(first.landmarks - second.landmarks, axis=1).mean() / max(box[2], box[3], 1e-6)
    hull = hull_of(second)
    shown = np.isin(second.parse.argmax(-1), FACE_CLASSES) & hull
    return np.array(
        [
            math.log(raw / (1.0 - raw)),
            float(shown.sum() / max(1, int(hull.sum()))),
            float(second.visibility.mean()),
            math.exp(-10.0 * float(moved)),
            overlap(box, face.box),
        ]
    )


def score_of(evidence: NDArray[np.float64]) -> float:
    """The probability of a face: a logistic regression (fitted by `benchmarks/calibrate_finder.py`)."""
    weights, bias = _regression()
    return 1.0 / (1.0 + math.exp(-float(evidence @ weights + bias)))


@lru_cache(maxsize=1)
def _regression() -> tuple[NDArray[np.float64], float]:
    fitted = json.loads(files("lineament.face").joinpath("score.json").read_text())
    return np.array([fitted["weights"][name] for name in EVIDENCE]), float(fitted["bias"])
