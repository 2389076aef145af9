# SPDX-License-Identifier: Apache-2.0
"""What the network is (no torch)."""

from __future__ import annotations

from lineament.inference.component import Component
from lineament.weights.schema import CHANNELS, Several, WeightsFormat

WEIGHTS = WeightsFormat(
    "face-detector",
    {
        "channels": Several(5, CHANNELS),
    },
)
METHOD = Component(
    name="detector",
    summary="where faces are in a photo",
    weights_format=WEIGHTS,
    network="lineament.models.detector.model:FaceDetector",
    training="lineament.models.detector.recipe:TRAINING",
    graphs="lineament.models.detector.graphs:graphs",
)
