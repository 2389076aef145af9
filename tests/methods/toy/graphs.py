# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import torch

from lineament.networks.onnx_export import Graph, whole_network


def graphs(model: Any) -> dict[str, Graph]:
    return {"network": whole_network(model, {"image": torch.rand(1, 3, 64, 64)}, ("normals",))}
