# SPDX-License-Identifier: Apache-2.0
"""HRN as graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.methods.hrn.coefficients import FEATURES, SIZES, features_shape
from lineament.methods.hrn.model import CHART, HRN
from lineament.networks.onnx_export import Graph


def graphs(model: HRN) -> dict[str, Graph]:
    """``analyser``: photo to coefficients, by their names, and features; ``details``: the coarse mesh on its chart, and
    those features, to the maps.
    """

    def analyse(image: Tensor) -> tuple[Tensor, ...]:
        found, features = model.analysed(image)
        return (*(found[name] for name in SIZES), *(() if features is None else (features,)))

    def detail(position: Tensor, texture: Tensor, seen: Tensor, features: Tensor | None = None) -> tuple[Tensor, ...]:
        maps = model.details(position, texture, seen, features)
        return maps.deformation, maps.displacement

    size, channels = model.config.analyser_size, model.config.feature_channels
    more = {FEATURES: torch.rand(1, *features_shape(channels, size))} if channels else {}
    maps = {name: torch.rand(1, count, CHART, CHART) for name, count in (("position", 3), ("texture", 3), ("seen", 1))}
    return {
        "analyser": Graph(analyse, {"image": torch.rand(1, 3, size, size)}, (*SIZES, *more)),
        "details": Graph(detail, maps | more, ("deformation", "displacement")),
    }
