# SPDX-License-Identifier: Apache-2.0
"""HRN as graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.model import CHART, HRN
from lineament.networks.onnx_export import Graph


def graphs(model: HRN) -> dict[str, Graph]:
    """``analyser``: photo to coefficients, by their names; ``details``: the coarse mesh on its chart to the maps."""

    def analyse(image: Tensor) -> tuple[Tensor, ...]:
        found = model(image)
        return tuple(found[name] for name in SIZES)

    def detail(position: Tensor, texture: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        maps = model.details(position, texture, seen)
        return maps.deformation, maps.displacement

    size = model.config.analyser_size
    maps = {name: torch.rand(1, count, CHART, CHART) for name, count in (("position", 3), ("texture", 3), ("seen", 1))}
    return {
        "analyser": Graph(analyse, {"image": torch.rand(1, 3, size, size)}, tuple(SIZES)),
        "details": Graph(detail, maps, ("deformation", "displacement")),
    }
