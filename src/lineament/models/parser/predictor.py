# SPDX-License-Identifier: Apache-2.0
"""Running the parser on ONNX Runtime (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.inference.engine import Engine
from lineament.inference.graphs import as_input, open_graph
from lineament.models.parser.method import METHOD
from lineament.weights import weights_path
from lineament.weights.file import read_weights

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class CropParsing:
    """What the parser says of one crop."""

    landmarks: Float32
    """[68, 2] shares of the crop's side, x right and y down."""
    visibility: Float32
    """[68] probabilities."""
    columns: Float32
    """[6] first two columns of the head's rotation in the crop's camera frame, not yet orthogonal."""
    parse: Float32
    """[S, S, 8] probabilities of `MaskClass`."""


class ParserPredictor:
    """The parser's network, ready to run."""

    def __init__(self, weights: Path) -> None:
        """Load weights and graph.

        Raises:
            WeightsError: Files that are missing, damaged or do not fit each other.
        """
        file = read_weights(weights, METHOD.weights_format)
        self.size: int = file.config["crop_size"]
        self._network = open_graph(weights, "network", file.tensors)

    def run(self, crops: NDArray[np.uint8]) -> list[CropParsing]:
        """Read crops B×S×S×3 RGB, S being `size` or another multiple of 32."""
        batch, side = crops.shape[:2]
        shapes = [(batch, 68, 2), (batch, 68), (batch, 6), (batch, 8, side, side)]
        landmarks, seen, columns, logits = self._network.run({"image": as_input(crops)}, shapes)
        weight = np.exp(logits - logits.max(1, keepdims=True))
        parse = (weight / weight.sum(1, keepdims=True)).transpose(0, 2, 3, 1)
        visibility = 1.0 / (1.0 + np.exp(-seen))
        return [CropParsing(*values) for values in zip(landmarks, visibility, columns, parse, strict=True)]


def shipped_parser() -> ParserPredictor:
    """The parser that ships, loaded once per process and engine."""
    return _shipped(Engine.current())


@lru_cache(maxsize=4)
def _shipped(engine: Engine) -> ParserPredictor:
    with engine.used():
        return ParserPredictor(weights_path("face-parser"))
