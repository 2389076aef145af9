# SPDX-License-Identifier: Apache-2.0
"""The network as one graph."""

from __future__ import annotations

import torch

from lineament.models.parser.model import FaceParser
from lineament.networks.onnx_export import Graph, whole_network


def graphs(model: FaceParser) -> dict[str, Graph]:
    """``network``: crop to landmarks, their visibility, rotation and parse."""
    image = torch.rand(1, 3, model.config.crop_size, model.config.crop_size)
    return {"network": whole_network(model, {"image": image}, ("landmarks", "visibility", "rotation", "parse"))}
