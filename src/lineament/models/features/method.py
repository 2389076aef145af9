# SPDX-License-Identifier: Apache-2.0
"""What the network is (no torch)."""

from __future__ import annotations

from lineament.inference.component import Component
from lineament.weights.schema import WIDTH, WeightsFormat

WEIGHTS = WeightsFormat(
    "features",
    {
        "width": WIDTH,
    },
)
METHOD = Component(
    name="features",
    summary="what perceptual losses compare",
    weights_format=WEIGHTS,
    network="lineament.models.features.model:FaceFeatures",
    training="lineament.models.features.recipe:TRAINING",
)
