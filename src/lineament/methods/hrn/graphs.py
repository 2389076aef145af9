# SPDX-License-Identifier: Apache-2.0
"""HRN as graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.model import HRN
from lineament.networks.onnx_export import Graph


def graphs(model: HRN) -> dict[str, Graph]:
    """``analyser``: photo to coefficients, by their names."""

    def run(image: Tensor) -> tuple[Tensor, ...]:
        found = model(image)
        return tuple(found[name] for name in SIZES)

    size = model.config.crop_size
    return {"analyser": Graph(run, {"image": torch.rand(1, 3, size, size)}, tuple(SIZES))}
