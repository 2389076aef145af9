# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CHANNELS, CROP, ENCODER, WIDTH, OneOf, Several, WeightsFormat, Whole

WEIGHTS = WeightsFormat(
    "casfne",
    {
        "width": WIDTH,
        "decoder_channels": Several(5, CHANNELS),
        "normal_channels": CHANNELS,
        "fusion": OneOf(("cat", "adain", "fmm")),
        "stages": Whole(0, 5),
        "crop_size": CROP,
        "encoder": ENCODER,
        "layout": OneOf(("even", "code")),
    },
    {"layout": "even"},
)
METHOD = Method(
    name="casfne",
    summary="normals, from a cascade of stages",
    weights_format=WEIGHTS,
    network="lineament.methods.casfne.model:CasFNE",
    training="lineament.methods.casfne.recipe:TRAINING",
    graphs="lineament.methods.casfne.graphs:graphs",
    title="Cas-FNE",
    paper="Cascaded Face Normal Estimation (Wang, Guo and Zhang)",
    gives="normals and their uncertainty",
    stages=("initial block", "cascade"),
    most_stages=5,
    weights="casfne-s",
    weights_stages=0,
    sizes={
        "casfne-s": "lineament.methods.casfne.model:small_network",
        "casfne": "lineament.methods.casfne.model:paper_network",
    },
    predictor="lineament.methods.casfne.predictor:CasFNEPredictor",
    study="lineament.methods.casfne.study:CasFNEStudy",
)
