# SPDX-License-Identifier: Apache-2.0
"""Depth of every stage of DF²Net on synthetic people that no training saw, in the form of the paper's table 2:
``python benchmarks/accuracy/depth.py --method WEIGHTS [--faces 100]``.

Depth is brought onto the truth by RANSAC and compared in millimetres within the outline of the landmarks, as in the
paper. Beside it the angular error of the depth's normals; that of their shape (both blurred); and how far their detail
(what the blur takes away) goes with the true one: its correlation, and its strength beside the truth's.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.evaluation.metrics.depth import align_depth, depth_error_statistics
from lineament.evaluation.metrics.detail import BLUR, compare_shape_and_detail
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.geometry import angular_error, depth_to_normals
from lineament.methods.df2net.predictor import DF2NetPredictor
from lineament.methods.discovery import method_weights
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.training.labels import face_of

STAGES = ("D-Net", "F-Net", "Fr-Net")
EDGE = 4  # pixels off the face's outline, where a blur mixes it with nothing
Floats = NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--method", required=True, help="weights of DF²Net")
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--yaw", type=float, default=30.0, help="largest turn of the head, degrees")
    arguments = parser.parse_args()
    predictor = DF2NetPredictor(method_weights(arguments.method))
    config = SynthConfig(size=predictor.size, seed=99, yaw=arguments.yaw, hats=0.0, covered=0.0, glasses=0.0)
    generator = Generator(config, load_rig())
    errors: list[list[Floats]] = [[] for _ in STAGES]
    others: list[list[tuple[float, ...]]] = [[] for _ in STAGES]
    for index in range(arguments.faces):
        sample = generator.batch([index])
        crop = (255 * sample.image.permute(0, 2, 3, 1).numpy()).round().astype(np.uint8)
        outline = cv2.convexHull(np.rint(sample.landmarks[0].numpy()).astype(np.int32))
        within = cv2.fillConvexPoly(np.zeros(crop.shape[1:3], np.uint8), outline, 1) > 0
        mask = ndimage.binary_erosion(face_of(sample.mask)[0, 0].numpy() & within, iterations=EDGE)
        if not mask.any():
            continue
        truth, scale = sample.depth[0, 0].numpy(), float(sample.camera.scale[0])
        for stage, depth in enumerate(predictor.run(crop).depths):
            aligned = align_depth(predictor.size * depth[0], truth, mask)
            errors[stage].append(np.abs(aligned - truth)[mask].astype(np.float32) / scale)
            normals = depth_to_normals(predictor.size * depth[0])
            others[stage].append(compared(normals, depth_to_normals(truth), mask))
    rows: list[tuple[Cell, ...]] = []
    for name, difference, more in zip(STAGES, errors, others, strict=True):
        table = depth_error_statistics(np.concatenate(difference))
        values = (table.mean, table.std, table.median, table.largest_90, *map(float, np.mean(more, axis=0)))
        rows.append((name, *values))
    columns = ("", "mean, mm", "std", "median", "90 %", "normals °", "shape °", "detail r", "detail ×")
    title = f"Depth on {arguments.faces} synthetic people, turned by up to {arguments.yaw:g}°"
    report([Table(title, columns, tuple(rows))], arguments.output, [arguments.method])


def compared(normals: Floats, truth: Floats, mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """Error of normals and of their shape in degrees; correlation and relative strength of their detail."""
    parts = compare_shape_and_detail(normals, truth, mask, BLUR * len(mask))
    return (
        float(angular_error(normals, truth)[mask].mean()),
        parts.shape_error,
        parts.correlation,
        parts.strength,
    )


if __name__ == "__main__":
    main()
