# SPDX-License-Identifier: Apache-2.0
"""DF²Net as three graphs, one per network."""

from __future__ import annotations

import torch

from lineament.methods.df2net.model import DF2Net
from lineament.networks.onnx_export import Graph


def graphs(model: DF2Net) -> dict[str, Graph]:
    """``dense``: photo to depth. ``fine`` and ``finer``: photo and depth to depth."""
    size = model.config.crop_size
    image, depth = torch.rand(1, 3, size, size), torch.rand(1, 1, size, size)
    both = {"image": image, "depth": depth}
    return {
        "dense": Graph(model.dense, {"image": image}, ("result",), ("image", "result")),
        "fine": Graph(model.fine, both, ("result",), (*both, "result")),
        "finer": Graph(model.finer, both, ("result",), (*both, "result")),
    }
