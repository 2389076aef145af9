# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE as two graphs, so that any number of stages runs from the same files."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.methods.casfne.model import CasFNE
from lineament.networks.onnx_export import Graph

FEATURES = tuple(f"features{i}" for i in range(5))


def graphs(model: CasFNE) -> dict[str, Graph]:
    """``initial``: photo to features, normals of stage 0, their concentration, the mask's logits.

    ``cascade``: features and normals to refined normals and their concentration.
    """
    size = model.config.crop_size
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        features, normals, _, _ = model.initial(image)

    def initial(image: Tensor) -> tuple[Tensor, ...]:
        features, normals, concentration, mask_logits = model.initial(image)
        return *features, normals, concentration, mask_logits

    def cascade(*given: Tensor) -> tuple[Tensor, ...]:
        f0, f1, f2, f3, f4, normals = given
        return model.cascade((f0, f1, f2, f3, f4), normals)

    maps = (*FEATURES, "normals", "concentration", "mask_logits")
    given = dict(zip((*FEATURES, "previous"), (*features, normals), strict=True))
    refined = ("normals", "concentration")
    return {
        "initial": Graph(initial, {"image": image}, maps, ("image", *maps)),
        "cascade": Graph(cascade, given, refined, (*given, *refined)),
    }
