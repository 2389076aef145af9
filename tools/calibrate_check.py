# SPDX-License-Identifier: Apache-2.0
"""Fit the error that a photo's flaws let expect: ``python tools/calibrate_check.py [--faces 600]``.

Synthetic faces of another seed, many of them small, blurred, dark, turned or covered, are measured by
`lineament.face.quality` and estimated by what ships. The logarithm of the mean angular error is fitted by a sum of
curves, one for each measure, straight between knots; they are written to ``src/lineament/face/quality.json``. Printed
is how well the fit foretells the half of the faces that it did not see.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from lineament.annotations.parsing import FACE_CLASSES
from lineament.face import Face, parse_face
from lineament.face.parse import box_of
from lineament.face.quality import FaceMeasures, measure, predict_error
from lineament.pipeline.estimator import Estimator, load
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.degrade import DegradeConfig

OUTPUT = Path(__file__).parent.parent / "src" / "lineament" / "face" / "quality.json"
KNOTS = {
    "size": [24.0, 48.0, 80.0, 128.0, 200.0],
    "blur": [0.25, 0.35, 0.45, 0.55, 0.7],
    "brightness": [0.05, 0.15, 0.35, 0.6, 0.8],
    "clipped": [0.0, 0.05, 0.2, 0.5],
    "contrast": [0.1, 0.25, 0.5, 0.9],
    "yaw": [0.0, 20.0, 40.0, 60.0, 75.0],
    "pitch": [0.0, 12.0, 24.0, 38.0],
    "hair": [0.0, 0.08, 0.25],
    "glasses": [0.0, 0.02, 0.12],
    "covered": [0.0, 0.05, 0.2, 0.45],
}
IDEAL = {"size": 200.0, "blur": 0.35, "brightness": 0.35, "contrast": 0.25}  # zero for the rest
BATCH = 8
STIFFNESS = 3.0  # how strongly a curve is drawn to a straight level line


def main() -> None:
    """Measure, fit, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=600)
    parser.add_argument("--method", default="casfne-s")
    arguments = parser.parse_args()
    measures, errors = gathered(load(arguments.method), arguments.faces)
    log_error = np.log(errors)
    half = np.arange(len(errors)) % 2 == 0
    fitted = fit(measures[::2], log_error[half])
    told = np.array([predict_error(measured, fitted) for measured in measures[1::2]])
    unseen = errors[~half]
    explained = 1.0 - np.var(log_error[~half] - np.log(told)) / np.var(log_error[~half])
    print(f"{len(errors)} faces, mean error {errors.mean():.1f}°, from {errors.min():.1f}° to {errors.max():.1f}°")
    print(
        f"on the half not fitted: rank correlation {spearmanr(told, unseen).statistic:.2f}, off by a factor of "
        f"{np.exp(np.abs(np.log(told / unseen)).mean()):.2f} on average, {100 * explained:.0f} % explained"
    )
    whole = fit(measures, log_error)
    OUTPUT.write_text(json.dumps(whole, indent=1) + "\n")
    for name, curve in whole["flaws"].items():
        factors = ", ".join(f"{a:g}: ×{np.exp(f):.2f}" for a, f in zip(curve["at"], curve["log_factor"], strict=True))
        print(f"  {name:12}{factors}")
    print(f"without flaws {np.exp(whole['base']):.1f}°; written: {OUTPUT}")


def gathered(estimator: Estimator, count: int) -> tuple[list[FaceMeasures], NDArray[np.float64]]:
    """Measures, and the mean angular error in degrees, of each face."""
    camera = replace(DegradeConfig(), blur=0.5, blur_sigma=3.0, exposure=0.7, exposure_stops=1.0, low_resolution=0.1)
    config = SynthConfig(size=256, seed=123, frontal=0.5, covered=0.25, degrade=camera)
    generator, random = Generator(config, load_rig()), np.random.default_rng(1)
    rows: list[FaceMeasures] = []
    errors: list[float] = []
    for first in range(0, count, BATCH):
        batch = generator.batch(range(first, min(count, first + BATCH)))
        for row in range(len(batch.image)):
            image = (255 * batch.image[row].permute(1, 2, 0).numpy()).round().astype(np.uint8)
            factor = float(np.exp(random.uniform(np.log(0.12), 0.0))) if random.random() < 0.6 else 1.0
            side = max(32, round(256 * factor))
            small = np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)
            marks = batch.landmarks[row].numpy().astype(np.float64) * (side / 256)
            face = parse_face(small, Face(box_of(marks), 1.0))
            assert face.parsing is not None
            estimated = estimator.estimate(small, lambda _, f=face: [f])[0]
            normals = np.asarray(cv2.resize(estimated.normals, (256, 256), interpolation=cv2.INTER_LINEAR))
            truth = batch.normals[row].permute(1, 2, 0).numpy()
            mask = np.isin(batch.mask[row, 0].numpy(), FACE_CLASSES) & (np.linalg.norm(normals, axis=-1) > 0.7)
            if mask.sum() < 500:
                continue
            cosine = (normals * truth).sum(-1) / np.linalg.norm(normals, axis=-1).clip(1e-6)
            errors.append(float(np.degrees(np.arccos(cosine.clip(-1, 1)))[mask].mean()))
            rows.append(measure(small, face.parsing))
    return rows, np.array(errors)


def fit(measures: list[FaceMeasures], log_error: NDArray[np.float64]) -> dict[str, Any]:
    """Base and curves, by ridge regression on the second and first differences of each curve."""
    columns = [hats(np.array([getattr(m, name) for m in measures]), knots) for name, knots in KNOTS.items()]
    design = np.concatenate([np.ones((len(log_error), 1)), *columns], axis=1)
    rows: list[NDArray[np.float64]] = []
    start = 1
    for knots in KNOTS.values():
        for i in range(len(knots) - 1):
            row = np.zeros(design.shape[1])
            row[start + i], row[start + i + 1] = -1.0, 1.0
            rows.append(STIFFNESS * row)
        anchor = np.zeros(design.shape[1])
        anchor[start : start + len(knots)] = 0.1
        rows.append(anchor)
        start += len(knots)
    whole = np.concatenate([design, np.array(rows)])
    target = np.concatenate([log_error, np.zeros(len(rows))])
    solution = np.linalg.lstsq(whole, target, rcond=None)[0]
    base, flaws, start = float(solution[0]), {}, 1
    for name, knots in KNOTS.items():
        curve = solution[start : start + len(knots)]
        ideal = float(np.interp(IDEAL.get(name, 0.0), knots, curve))
        base += ideal
        flaws[name] = {"at": knots, "log_factor": [round(float(v - ideal), 4) for v in curve]}
        start += len(knots)
    return {"base": round(base, 4), "flaws": flaws}


def hats(values: NDArray[np.float64], knots: list[float]) -> NDArray[np.float64]:
    """Values as weights of the knots on either side, [N, K]."""
    return np.stack([np.interp(values, knots, np.eye(len(knots))[i]) for i in range(len(knots))], axis=1)


if __name__ == "__main__":
    main()
