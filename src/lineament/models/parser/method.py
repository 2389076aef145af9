# SPDX-License-Identifier: Apache-2.0
"""What the network is (no torch)."""

from __future__ import annotations

from lineament.inference.component import Component
from lineament.weights.schema import CHANNELS, CROP, ENCODER, WIDTH, Several, WeightsFormat

WEIGHTS = WeightsFormat(
    "face-parser",
    {
        "encoder": ENCODER,
        "width": WIDTH,
        "decoder_channels": Several(4, CHANNELS),
        "crop_size": CROP,
    },
)
METHOD = Component(
    name="parser",
    summary="landmarks, pose and parts of a found face",
    weights_format=WEIGHTS,
    network="lineament.models.parser.model:FaceParser",
    training="lineament.models.parser.recipe:TRAINING",
    graphs="lineament.models.parser.graphs:graphs",
)
