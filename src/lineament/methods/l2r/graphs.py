# SPDX-License-Identifier: Apache-2.0
"""L2R as graphs."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.methods.l2r.camera import PROXY_SIZE
from lineament.methods.l2r.model import L2R, lit
from lineament.networks.onnx_export import Graph

RESTORED = ("distance", "normals", "light", "view", "albedo", "texture")
"""What the first graph gives: the proxy's factors with its normals, a_r and t_r."""


def graphs(model: L2R) -> dict[str, Graph]:
    """``restoring``: photo to proxy and restored texture; ``refining``: those, and the texture as the photo sees it, to
    the refined shape and the texture lit on it. Between the two lies Π, which no graph holds.
    """

    def restore(image: Tensor) -> tuple[Tensor, ...]:
        found = model.restore(image)
        proxy = found.proxy
        return proxy.distance, proxy.normals, proxy.light, proxy.view, found.albedo, found.texture

    def refine(
        image: Tensor, distance: Tensor, light: Tensor, albedo: Tensor, texture: Tensor, original: Tensor
    ) -> tuple[Tensor, ...]:
        refined = model.refinement(image, distance, texture, original)
        more = () if refined.concentration is None else (refined.concentration,)
        return refined.points, refined.normals, lit(albedo, refined.normals, light), *more

    size = model.config.crop_size
    picture = torch.rand(1, 3, size, size)
    given = {
        "image": picture,
        "distance": torch.full((1, 1, PROXY_SIZE, PROXY_SIZE), 1.0),
        "light": torch.zeros(1, 4),
        **dict.fromkeys(("albedo", "texture", "original"), picture),
    }
    more = ("concentration",) if model.config.concentration == "learned" else ()
    return {
        "restoring": Graph(restore, {"image": picture}, RESTORED),
        "refining": Graph(refine, given, ("points", "refined_normals", "refined_texture", *more)),
    }
