# SPDX-License-Identifier: Apache-2.0
"""What the network is (no torch)."""

from __future__ import annotations

from lineament.inference.component import Component
from lineament.weights.schema import CHANNELS, CROP, WeightsFormat, Whole

WEIGHTS = WeightsFormat(
    "stylegan2",
    {
        "size": CROP,
        "latent": Whole(1, 4096),
        "mapping_layers": Whole(1, 16),
        "base": Whole(1, 1 << 17),
        "most": CHANNELS,
    },
)
METHOD = Component(
    name="stylegan2",
    summary="the generator of faces that l2r restores textures with",
    weights_format=WEIGHTS,
    network="lineament.models.stylegan2.model:StyleGAN2",
    training="lineament.models.stylegan2.recipe:TRAINING",
)
