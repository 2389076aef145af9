# SPDX-License-Identifier: Apache-2.0
"""Fit the detector's score to data: ``python tools/calibrate_detector.py --data DATASET... [--photos faces.json]``.

Candidates come from scenes of faces kept from training, from pictures without faces, and from real photos with one
known face each (a list that `lineament faces` wrote). A logistic regression on `lineament.face.score.EVIDENCE` tells
faces from the rest; it is written to ``src/lineament/face/score.json``. Printed is how true the scores are, on the half
of the candidates that was not fitted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from lineament.face import detect_boxes
from lineament.face.detect import WORTH_READING
from lineament.face.parse import overlap, parse_again, parse_box
from lineament.face.score import EVIDENCE, evidence_of, seen_again
from lineament.images.read import read_image
from lineament.images.resize import to_uint8
from lineament.models.detector.clutter import draw_shapes, rough_texture
from lineament.models.detector.config import DetectorTrainConfig
from lineament.models.detector.data import DetectorScenes
from lineament.synth.background import background
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom

Box = tuple[float, float, float, float]
OUTPUT = Path(__file__).parent.parent / "src" / "lineament" / "face" / "score.json"


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--scenes", type=int, default=250)
    arguments = parser.parse_args()
    rows: list[tuple[NDArray[np.float64], bool]] = []
    config = DetectorTrainConfig(Path(), data=tuple(arguments.data), size=320, seed=5)
    scenes = DetectorScenes(config, "validation", 0)
    for number in range(arguments.scenes):
        image, faces = scenes.scene(number)
        known = [(x - 0.5 * w, y - 0.5 * h, w, h) for x, y, w, h in (face.box for face in faces)]
        rows += candidates(image, known)
    random = np.random.default_rng(11)
    painted = background(SampleRandom(99, range(60)), NoiseBank(seed=0, device=torch.device("cpu")), 320)
    for scene in (255 * painted).round().byte().permute(0, 2, 3, 1).numpy():
        rows += candidates(scene, [])
    for _ in range(60):
        texture = rough_texture(320, random)
        draw_shapes(texture, random, 40)
        rows += candidates(texture, [])
    if arguments.photos is not None:
        for name, found in json.loads(arguments.photos.read_text()).items():
            if len(found) == 1:
                rows += candidates(to_uint8(read_image(Path(name))), [tuple(found[0]["box"])])
    evidence = np.array([row for row, _ in rows])
    truth = np.array([is_face for _, is_face in rows])
    fitted = fit(evidence[::2], truth[::2])
    print(f"{len(truth)} candidates, {truth.sum()} of them faces")
    score = 1.0 / (1.0 + np.exp(-(evidence[1::2] @ fitted[:-1] + fitted[-1])))
    print("score       candidates   faces among them")
    for low in np.arange(0.0, 1.0, 0.1):
        chosen = (score >= low) & (score < low + 0.1 + 1e-9)
        if chosen.any():
            share = 100 * truth[1::2][chosen].mean()
            print(f"{low:.1f} to {low + 0.1:.1f}  {chosen.sum():9d}   {share:6.1f} %")
    whole = fit(evidence, truth)
    weights = {name: round(float(value), 4) for name, value in zip(EVIDENCE, whole[:-1], strict=True)}
    OUTPUT.write_text(json.dumps({"weights": weights, "bias": round(float(whole[-1]), 4)}, indent=1) + "\n")
    print(f"written: {OUTPUT}: {weights}")


def candidates(image: NDArray[np.uint8], known: list[Box]) -> list[tuple[NDArray[np.float64], bool]]:
    """Evidence of all candidates in a picture, and whether each is a face; those in between are left out."""
    rows = []
    for face in detect_boxes(image, WORTH_READING):
        best = max((overlap(face.box, box) for box in known), default=0.0)
        if best > 0.45 or best < 0.1:
            first = parse_box(image, face)
            evidence = evidence_of(face, seen_again(image, face), first, parse_again(image, first))
            rows.append((evidence, best > 0.45))
    return rows


def fit(evidence: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights and bias of a logistic regression, slightly drawn to zero."""
    sign = np.where(truth, 1.0, -1.0)

    def loss(parameters: NDArray[np.float64]) -> float:
        margin = sign * (evidence @ parameters[:-1] + parameters[-1])
        return float(np.logaddexp(0.0, -margin).mean() + 1e-3 * (parameters[:-1] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(evidence.shape[1] + 1)).x)


if __name__ == "__main__":
    main()
