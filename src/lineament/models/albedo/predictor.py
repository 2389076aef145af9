# SPDX-License-Identifier: Apache-2.0
"""Running the albedo network on ONNX Runtime (no torch)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.inference.engine import Engine
from lineament.inference.graphs import as_input, open_graph
from lineament.inference.predictor import channels_last
from lineament.models.albedo.method import METHOD
from lineament.weights import weights_path
from lineament.weights.file import read_weights


class AlbedoPredictor:
    """The network, ready to run."""

    def __init__(self, weights: Path) -> None:
        """Load weights and graph.

        Raises:
            WeightsError: Files that are missing, damaged or do not fit each other.
        """
        file = read_weights(weights, METHOD.weights_format)
        self.size: int = file.config["crop_size"]
        self._network = open_graph(weights, "network", file.tensors)

    def run(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Albedo B×S×S×3 in [0, 1], encoded as sRGB, of crops B×S×S×3 RGB, S being `size` or a multiple of it."""
        image = as_input(crops)
        (albedo,) = self._network.run({"image": image}, [image.shape])
        return channels_last(albedo)


def shipped_albedo() -> AlbedoPredictor:
    """The network that ships, loaded once per process and engine."""
    return _shipped(Engine.current())


@lru_cache(maxsize=4)
def _shipped(engine: Engine) -> AlbedoPredictor:
    with engine.used():
        return AlbedoPredictor(weights_path("face-albedo"))
