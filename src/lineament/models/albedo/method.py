# SPDX-License-Identifier: Apache-2.0
"""What the network is (no torch)."""

from __future__ import annotations

from lineament.inference.component import Component
from lineament.weights.schema import CHANNELS, CROP, LEVELS, WeightsFormat

WEIGHTS = WeightsFormat(
    "face-albedo",
    {
        "levels": LEVELS,
        "width": CHANNELS,
        "crop_size": CROP,
    },
)
METHOD = Component(
    name="albedo",
    summary="the face without its shading",
    weights_format=WEIGHTS,
    network="lineament.models.albedo.model:AlbedoNetwork",
    training="lineament.models.albedo.recipe:TRAINING",
    graphs="lineament.models.albedo.graphs:graphs",
)
