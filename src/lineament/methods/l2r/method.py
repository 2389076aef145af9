# SPDX-License-Identifier: Apache-2.0
"""L2R (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CHANNELS, CROP, ENCODER, LEVELS, OneOf, WeightsFormat, Whole

_LATENT = Whole(1, 4096)
WEIGHTS = WeightsFormat(
    "l2r",
    {
        "width": CHANNELS,
        "latent": _LATENT,
        "crop_size": CROP,
        "prior_size": CROP,
        "prior_latent": _LATENT,
        "prior_base": Whole(1, 1 << 17),
        "prior_most": CHANNELS,
        "mapping_layers": Whole(1, 16),
        "codes": OneOf(("several", "single")),
        "guided_stages": Whole(0, 4),
        "decoder_width": Whole(0, 2048),
        "refining_encoder": OneOf(("pix2pix", *ENCODER.words)),
        "refining_width": CHANNELS,
        "refining_levels": LEVELS,
        "restored": OneOf(("seen", "withheld")),
        "displacement_channels": Whole(0, 3),
        "concentration": OneOf(("none", "learned")),
        "warp_scale": Whole(1, 16),
    },
)
PROXY_WEIGHTS = WeightsFormat("l2r-proxy", {"width": CHANNELS, "latent": _LATENT, "crop_size": CROP})
METHOD = Method(
    name="l2r",
    summary="faces from degraded photos, restored",
    weights_format=WEIGHTS,
    network="lineament.methods.l2r.model:L2R",
    training="lineament.methods.l2r.recipe:TRAINING",
    graphs="lineament.methods.l2r.graphs:graphs",
    title="L2R",
    paper="Learning to Restore 3D Face from In-the-Wild Degraded Images (Zhang, Ge, Tai, Huang, Wang, Tang, Huang and "
    "Xie)",
    gives="depth, normals, albedo and the restored photo of a face of few pixels",
    stages=("proxy", "refined"),
    most_stages=1,
    weights="l2r-s",
    sizes={
        "l2r-s": "lineament.methods.l2r.model:small_network",
        "l2r": "lineament.methods.l2r.model:paper_network",
    },
    predictor="lineament.methods.l2r.predictor:L2RPredictor",
    study="lineament.methods.l2r.study:L2RStudy",
    restores=True,
)
