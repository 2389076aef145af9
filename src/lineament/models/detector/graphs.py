# SPDX-License-Identifier: Apache-2.0
"""The network as one graph."""

from __future__ import annotations

import torch

from lineament.models.detector.model import FaceDetector
from lineament.networks.onnx_export import Graph, whole_network


def graphs(model: FaceDetector) -> dict[str, Graph]:
    """``network``: picture of any size to scores and boxes of cells."""
    return {"network": whole_network(model, {"image": torch.rand(1, 3, 64, 96)}, ("cells",))}
