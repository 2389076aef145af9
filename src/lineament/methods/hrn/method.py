# SPDX-License-Identifier: Apache-2.0
"""HRN (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CHANNELS, CROP, ENCODER, LEVELS, Real, WeightsFormat, Whole

_HIDDEN = Whole(0, 2048)
_FIRST = Real(0.0, 1000.0)
WEIGHTS = WeightsFormat(
    "hrn",
    {
        "encoder": ENCODER,
        "hidden": _HIDDEN,
        "analyser_size": CROP,
        "crop_size": CROP,
        "deformation_levels": LEVELS,
        "deformation_width": CHANNELS,
        "displacement_levels": LEVELS,
        "displacement_width": CHANNELS,
        "first_deformation": _FIRST,
        "first_displacement": _FIRST,
        "feature_channels": Whole(0, 256),
    },
)
ANALYSER_WEIGHTS = WeightsFormat("hrn-analyser", {"encoder": ENCODER, "hidden": _HIDDEN, "crop_size": CROP})
RETOUCHING_WEIGHTS = WeightsFormat("hrn-retouching", {"levels": LEVELS, "width": CHANNELS})
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
    gives="a whole head, textured and animatable, with detail; normals and depth of it",
    stages=("base", "deformed", "detailed"),
    most_stages=2,
    weights="hrn-s",
    sizes={
        "hrn-s": "lineament.methods.hrn.model:small_network",
        "hrn": "lineament.methods.hrn.model:paper_network",
    },
    predictor="lineament.methods.hrn.predictor:HRNPredictor",
    study="lineament.methods.hrn.study:HRNStudy",
    multiview="lineament.methods.hrn.multiview:fit_views",
)
