# SPDX-License-Identifier: Apache-2.0
"""HRN (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CROP, ENCODER, WeightsFormat, Whole

WEIGHTS = WeightsFormat(
    "hrn",
    {
        "encoder": ENCODER,
        "hidden": Whole(0, 2048),
        "crop_size": CROP,
    },
)
METHOD = Method(
    name="hrn",
    summary="a textured, animatable head",
    weights_format=WEIGHTS,
    network="lineament.methods.hrn.model:HRN",
    training="lineament.methods.hrn.recipe:TRAINING",
    graphs="lineament.methods.hrn.graphs:graphs",
    title="HRN",
    paper="A Hierarchical Representation Network for Accurate and Detailed Face Reconstruction from In-The-Wild Images "
    "(Lei, Ren, Feng, Cui and Xie)",
    gives="a whole head, textured and animatable; normals and depth of it",
    stages=("base",),
    most_stages=0,
    weights="hrn-s",
    sizes={
        "hrn-s": "lineament.methods.hrn.model:small_network",
        "hrn": "lineament.methods.hrn.model:paper_network",
    },
    predictor="lineament.methods.hrn.predictor:HRNPredictor",
)
