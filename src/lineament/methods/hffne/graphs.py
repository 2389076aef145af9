# SPDX-License-Identifier: Apache-2.0
"""HFFNE as two graphs: the coarse network, and the one that refines any coarse normals."""

from __future__ import annotations

import torch

from lineament.methods.hffne.model import HFFNE
from lineament.networks.onnx_export import Graph


def graphs(model: HFFNE) -> dict[str, Graph]:
    """``coarse``: photo to normals. ``refine``: photo and exemplar to normals."""
    size = model.config.crop_size
    image, exemplar = torch.rand(2, 1, 3, size, size)
    pair = {"image": image, "exemplar": exemplar}
    return {
        "coarse": Graph(model.coarse, {"image": image}, ("normals",), ("image", "normals")),
        "refine": Graph(model.refine, pair, ("normals",), (*pair, "normals")),
    }
