# SPDX-License-Identifier: Apache-2.0
"""HFFNE (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CHANNELS, CROP, ENCODER, LEVELS, WIDTH, OneOf, Several, WeightsFormat

_COARSE = OneOf(("pix2pix", *ENCODER.words))
_ENCODER_LEVELS = 5
WEIGHTS = WeightsFormat(
    "hffne",
    {
        "coarse_levels": LEVELS,
        "coarse_width": CHANNELS,
        "coarse_network": _COARSE,
        "vgg_width": WIDTH,
        "face_channels": Several(5, CHANNELS),
        "vector": CHANNELS,
        "injection": OneOf(("skips", "bottleneck", "modulation")),
        "modulation": OneOf(("stylegan2", "adain", "none")),
        "crop_size": CROP,
        "layout": OneOf(("text", "code")),
    },
    {"layout": "text"},
)
COARSE_WEIGHTS = WeightsFormat(
    "hffne-coarse", {"levels": LEVELS, "width": CHANNELS, "network": _COARSE, "crop_size": CROP}
)


def coarse_levels(network: str, levels: int) -> int:
    """How often a coarse network halves its crop: pix2pix's U-Net so often, encoders five times."""
    return levels if network == "pix2pix" else _ENCODER_LEVELS


METHOD = Method(
    name="hffne",
    summary="coarse normals, refined by an exemplar",
    weights_format=WEIGHTS,
    network="lineament.methods.hffne.model:HFFNE",
    training="lineament.methods.hffne.recipe:TRAINING",
    graphs="lineament.methods.hffne.graphs:graphs",
    title="HFFNE",
    paper="Towards High-Fidelity Face Normal Estimation (Wang, Wang, Guo and Zhang)",
    gives="coarse normals and refined ones; also refines coarse normals of yours",
    stages=("coarse", "refined"),
    most_stages=1,
    weights="hffne-s",
    sizes={
        "hffne-s": "lineament.methods.hffne.model:small_network",
        "hffne": "lineament.methods.hffne.model:paper_network",
    },
    predictor="lineament.methods.hffne.predictor:HFFNEPredictor",
    takes_exemplars=True,
    study="lineament.methods.hffne.study:HFFNEStudy",
)
