# SPDX-License-Identifier: Apache-2.0
"""Tables 2 and 3 of L2R as configurations, on synthetic faces whose labels training does not see.

All rows stand on one proxy and, but for the one without, on one StyleGAN2, both trained for as many steps as a row.
They are trained and tested on inputs of a quarter of the pictures' side, and their normals are measured; the paper
measures BFM renderings. Line 3 of table 2 is not among them: DFDNet is no part of the method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.methods.l2r.camera import PROXY_SIZE
from lineament.methods.l2r.config import L2RTrainConfig
from lineament.methods.l2r.measures import shown
from lineament.methods.l2r.model import L2R
from lineament.methods.l2r.recipe import steps_of
from lineament.models.stylegan2.config import StyleGAN2TrainConfig
from lineament.models.stylegan2.recipe import steps_of as prior_steps
from lineament.networks.weight_files import load_weights
from lineament.synth.low_resolution import LowResolution
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of

_SHRUNK = 4  # how many times smaller inputs are than pictures; the paper's are 32² and 256²
_PRIOR_SIZE = 128


class L2RStudy:
    """The tables' rows."""

    title = "L2R, tables 2 and 3 in small"
    table = None
    rows: Mapping[str, dict[str, Any]] = {
        "full": {},
        "without prior": {"untrained_prior": True, "prior": None},
        "single code": {"codes": "single"},
        "no guidance": {"guidance": False},
        "no decoder": {"decoder": False},
        "no restored image": {"restored": False},
        "no displacement": {"displacement": False},
        "no cross-view loss": {"alpha": 0.0},
    }
    published: Mapping[str, str] = {}
    paper = "BFM renderings"

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """StyleGAN2 and the proxy, which rows share; then the row's ARN, GRN and both."""
        size = max(PROXY_SIZE, shared.size // PROXY_SIZE * PROXY_SIZE)
        prior: StyleGAN2TrainConfig = shared.of(StyleGAN2TrainConfig, "stylegan2", steps)
        (first,) = prior_steps(replace(prior, size=_PRIOR_SIZE, clip=1e3))
        inputs = LowResolution(size // _SHRUNK, size // _SHRUNK)
        base: L2RTrainConfig = shared.of(L2RTrainConfig, "proxy-run", steps, prior=first.weights, degrade=inputs)
        base = replace(base, size=size, proxy_steps=steps, proxy_batch_size=shared.batch_size)
        proxy = steps_of(base)[0]
        own = replace(base, output=shared.output / folder_of(row), proxy=proxy.weights, **self.rows[row])
        before = [proxy] if own.prior is None else [first, proxy]
        return [*before, *steps_of(own)]

    def normals(self, weights: Path, row: str) -> Normals:
        """The refined shape's, of pictures degraded as in training."""
        model = load_weights(weights, L2R)

        @torch.no_grad()
        def run(image: Tensor) -> Tensor:
            side, own = image.shape[-1], model.config.crop_size
            small = F.interpolate(image, (own // _SHRUNK, own // _SHRUNK), mode="area")
            given = F.interpolate(small, (own, own), mode="bicubic", align_corners=False).clamp(0.0, 1.0)
            restored, refined = model(given)
            seen = model.warp(refined.points, restored.proxy.view)
            normals = shown(refined.points, refined.normals, restored.proxy.view, seen).normals
            return normals if side == own else F.interpolate(normals, (side, side), mode="bilinear")

        return run
