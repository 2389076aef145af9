# SPDX-License-Identifier: Apache-2.0
"""Faces of few pixels: ``python benchmarks/accuracy/low_resolution.py [--root DIR] [--faces 100]``.

Two tables. On Extended Yale B (``DIR``, only with ``--root``): photos shrunk so that the face is so many pixels wide,
enlarged again, lights within 20°. On synthetic people that no training saw, crops shrunk to 32² and enlarged again:
SIDE and mean angle deviation as the tables of L2R have them, SSIM of the restored crop, and of the enlarged one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.metrics.angular import masked_angular_error
from lineament.evaluation.metrics.depth import scale_invariant_depth_error
from lineament.evaluation.metrics.texture import structural_similarity
from lineament.evaluation.protocols.yaleb import evaluate_yaleb
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.evaluation.systems.method import method_system
from lineament.evaluation.systems.settings import Settings
from lineament.evaluation.systems.system import Floats, System
from lineament.geometry.integration import normals_to_depth
from lineament.pipeline.estimator import load
from lineament.pipeline.options import Options
from lineament.rig import load_rig
from lineament.synth.batch import MaskClass
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.generator import Generator
from lineament.training.labels import face_of

WIDTHS = (16, 24, 32, 48)
SIDE, LOW = 128, 32
_HALF = np.tan(np.radians(5.0))  # of what a crop shows at the face's distance, as the tables of L2R have it


class Shrunk(System):
    """A system that sees photos shrunk to a width and enlarged again."""

    def __init__(self, system: System, width: int) -> None:
        super().__init__(system.name)
        self.system, self.width = system, width

    def normals(self, sample: Sample) -> list[Floats]:
        """The system's normals [H, W, 3] per stage."""
        return self.system.normals(replace(sample, image=shrunk(sample.image, self.width)))


def shrunk(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """A picture H×W×3 that went through so many pixels of width."""
    height, own = image.shape[:2]
    small = cv2.resize(image, (width, max(1, round(width * height / own))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (own, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def real(root: Path, methods: list[str]) -> Table:
    """Mean angular errors on Extended Yale B."""
    rows: list[tuple[Cell, ...]] = []
    for method in methods:
        system = method_system(method, Settings())
        errors: list[Cell] = []
        for seen in (*(Shrunk(system, width) for width in WIDTHS), system):
            result = evaluate_yaleb(YaleB(root), seen, "frontal20")
            errors.append(result.mean(result.stages[-1]))
        rows.append((system.name, *errors))
    columns = ("method", *(f"{width} px" for width in WIDTHS), "168 px")
    return Table("Extended Yale B, lights within 20°, by the face's width: mean angular error, °", columns, tuple(rows))


def synthetic(methods: list[str], count: int) -> Table:
    """SIDE, mean angle deviation and SSIM on people that no training saw."""
    config = SynthConfig(size=SIDE, seed=99, span_low=0.5, span_high=0.6, roll=4.0, degrade=DegradeConfig.none())
    generator = Generator(config, load_rig())
    found: dict[str, list[tuple[float, float, float]]] = {}
    bicubic: list[float] = []
    estimators = {method: load(method, options=Options(fine_crop=False)) for method in methods}
    for first in range(0, count, 10):
        batch = generator.batch(range(first, first + 10))
        faces = face_of(batch.mask)[:, 0].numpy() & (batch.mask[:, 0] != int(MaskClass.MOUTH)).numpy()
        pictures = (255 * batch.image).round().byte().permute(0, 2, 3, 1).numpy()
        truths = batch.normals.permute(0, 2, 3, 1).numpy()
        for picture, face, truth, depth in zip(pictures, faces, truths, batch.depth[:, 0].numpy() / SIDE, strict=True):
            if face.sum() < 500:
                continue
            seen = shrunk(picture, LOW)
            bicubic.append(structural_similarity(seen, picture, face))
            for method, estimator in estimators.items():
                said = estimator.estimate_crop(seen)
                for stage, normals in enumerate(said.normals):
                    own = said.depths[stage] if said.depths else normals_to_depth(normals, face, "least_squares") / SIDE
                    angle = float(masked_angular_error(normals, truth, face).mean())
                    side = 100.0 * scale_invariant_depth_error(_distance(own, face), _distance(depth, face), face)
                    restored = said.restored if stage == len(said.normals) - 1 else None
                    alike = float("nan") if restored is None else _similarity(restored, picture, face)
                    found.setdefault(f"{Path(method).stem}, stage {stage}", []).append((side, angle, alike))
    rows: list[tuple[Cell, ...]] = [("bicubic enlargement", None, None, float(np.mean(bicubic)))]
    for name, values in found.items():
        side, angle, alike = np.mean(values, axis=0)
        rows.append((name, float(side), float(angle), None if np.isnan(alike) else float(alike)))
    title = f"{len(bicubic)} synthetic people, crops of {LOW}² pixels"
    return Table(title, ("", "SIDE · 100", "mean angle deviation, °", "SSIM"), tuple(rows))


def _distance(depth: NDArray[Any], face: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distances from a camera of 10° one unit away, of depth in shares of the side."""
    return np.asarray(np.where(face, 1.0 - 2.0 * _HALF * (depth - np.median(depth[face])), 1.0), np.float64)


def _similarity(restored: NDArray[np.float32], picture: NDArray[np.uint8], face: NDArray[np.bool_]) -> float:
    """SSIM of a restored crop."""
    return structural_similarity(np.rint(255 * restored.clip(0, 1)).astype(np.uint8), picture, face)


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path)
    parser.add_argument("--method", nargs="+", default=["casfne-s", "l2r-s"])
    parser.add_argument("--faces", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    tables = [synthetic(arguments.method, arguments.faces)] if arguments.faces else []
    if arguments.root is not None:
        tables.insert(0, real(arguments.root, arguments.method))
    report(tables, arguments.output, arguments.method)


if __name__ == "__main__":
    main()
