# SPDX-License-Identifier: Apache-2.0
"""DF²Net (no torch)."""

from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CHANNELS, CROP, LEVELS, OneOf, Several, WeightsFormat, Whole

WEIGHTS = WeightsFormat(
    "df2net",
    {
        "levels": LEVELS,
        "width": CHANNELS,
        "channels": Several(3, CHANNELS),
        "finer_channels": Several(3, CHANNELS),
        "dense_scale": Whole(1, 16),
        "refinement": OneOf(("finer", "plain", "stacked")),
        "crop_size": CROP,
        "dense_end": OneOf(("transposed", "convolutions")),
        "finer_layout": OneOf(("columns", "encoder")),
    },
    {"dense_end": "transposed", "finer_layout": "columns"},
)
METHOD = Method(
    name="df2net",
    summary="depth, by three networks",
    weights_format=WEIGHTS,
    network="lineament.methods.df2net.model:DF2Net",
    training="lineament.methods.df2net.recipe:TRAINING",
    study="lineament.methods.df2net.study:DF2NetStudy",
    graphs="lineament.methods.df2net.graphs:graphs",
    title="DF²Net",
    paper="DF²Net: A Dense-Fine-Finer Network for Detailed 3D Face Reconstruction (Zeng, Peng and Qiao)",
    gives="depth in three stages, and its normals",
    stages=("D-Net", "F-Net", "Fr-Net"),
    most_stages=2,
    weights="df2net-s",
    sizes={
        "df2net-s": "lineament.methods.df2net.model:small_network",
        "df2net": "lineament.methods.df2net.model:paper_network",
    },
    predictor="lineament.methods.df2net.predictor:DF2NetPredictor",
)
