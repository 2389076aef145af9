# SPDX-License-Identifier: Apache-2.0
"""Running the detector on ONNX Runtime (no torch)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.inference.engine import Engine
from lineament.inference.graphs import as_input, open_graph
from lineament.models.detector.method import METHOD
from lineament.weights import weights_path
from lineament.weights.file import read_weights


class DetectorPredictor:
    """The detector's network, ready to run."""

    def __init__(self, weights: Path) -> None:
        """Load weights and graph.

        Raises:
            WeightsError: Files that are missing, damaged or do not fit each other.
        """
        file = read_weights(weights, METHOD.weights_format)
        self._network = open_graph(weights, "network", file.tensors, arena=True)

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Search pictures B×H×W×3 RGB, H and W multiples of 32.

        Returns:
            [B, 7, H/8, W/8], as `lineament.models.detector.model.FaceDetector` has it.
        """
        batch, height, width = pictures.shape[:3]
        (cells,) = self._network.run({"image": as_input(pictures)}, [(batch, 7, height // 8, width // 8)])
        return np.asarray(cells, np.float32)


def shipped_detector() -> DetectorPredictor:
    """The detector that ships, loaded once per process and engine."""
    return _shipped(Engine.current())


@lru_cache(maxsize=4)
def _shipped(engine: Engine) -> DetectorPredictor:
    with engine.used():
        return DetectorPredictor(weights_path("face-detector"))
