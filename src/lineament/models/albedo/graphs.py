# SPDX-License-Identifier: Apache-2.0
"""The network as one graph."""

from __future__ import annotations

import torch

from lineament.models.albedo.model import AlbedoNetwork
from lineament.networks.onnx_export import Graph, whole_network


def graphs(model: AlbedoNetwork) -> dict[str, Graph]:
    """``network``: photo to albedo."""
    image = torch.rand(1, 3, model.config.crop_size, model.config.crop_size)
    return {"network": whole_network(model, {"image": image}, ("albedo",))}
