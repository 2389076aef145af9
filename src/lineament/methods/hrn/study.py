# SPDX-License-Identifier: Apache-2.0
"""Table 3 and figure 10 of HRN as configurations, on synthetic faces alone, which stand for photos without labels too.

All rows stand on one face analyser, which is the base's whole. Their normals are measured in the photo; the paper
measures scans of FaceScape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lineament.methods.hrn.analyser import Analyser
from lineament.methods.hrn.coefficients import FEATURES
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.model import HRN
from lineament.methods.hrn.predictor import Details, estimated
from lineament.methods.hrn.recipe import steps_of
from lineament.networks.weight_files import load_weights
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of

_ANALYSER, _RETOUCHING = "analyser", "retouching"
_PLAIN: Mapping[str, Any] = {"contour": 0.0, "mid": 0.0, "high": 0.0, "adversarial": 0.0, "retouching_steps": 0}
_CONTOUR: Mapping[str, Any] = {name: value for name, value in _PLAIN.items() if name != "contour"}
_PRIORS: Mapping[str, Any] = {"retouching_steps": 0}


class HRNStudy:
    """The table's rows, each with what those before it have."""

    title = "HRN, table 3 in small"
    table = None
    rows: Mapping[str, dict[str, Any]] = {
        "base": {},
        "+ hierarchical": dict(_PLAIN),
        "+ contour": dict(_CONTOUR),
        "+ priors": dict(_PRIORS),
        "+ de-retouching": {},
        "deformation alone": {"detail": False},
        "displacement alone": {"deformation": False},
    }
    published: Mapping[str, str] = {}
    paper = "FaceScape"

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """The analyser and, where the row has it, de-retouching, which rows share; then the row's maps."""
        base: HRNTrainConfig = shared.of(HRNTrainConfig, "maps", steps, perceptual=0.0)
        base = replace(base, analyser_steps=steps, analyser_batch_size=shared.batch_size, retouching_steps=steps)
        base = replace(base, charts=shared.output / "charts")
        first, second, _ = steps_of(base)
        if row == "base":
            return [first]
        changes = self.rows[row]
        before = [first] if changes.get("retouching_steps") == 0 else [first, second]
        retouching = None if len(before) == 1 else second.weights
        config = replace(base, output=shared.output / folder_of(row), analyser=first.weights, retouching=retouching)
        return [*before, *steps_of(replace(config, **changes))]

    def normals(self, weights: Path, row: str) -> Normals:
        """The finest level's."""
        if row == "base":
            analyser = load_weights(weights, Analyser)
            return _normals(lambda image: (analyser(image), None), analyser.config.crop_size, None)
        model = load_weights(weights, HRN)

        def details(position: Any, texture: Any, seen: Any, features: Any) -> tuple[Any, Any]:
            more = {} if features is None else {FEATURES: torch.from_numpy(features)}
            maps = model.details(*(torch.from_numpy(each) for each in (position, texture, seen)), **more)
            return maps.deformation.numpy(), maps.displacement.numpy()

        return _normals(model.analysed, model.config.analyser_size, details)


_Analysed = tuple[Mapping[str, Tensor], Tensor | None]


def _normals(network: Callable[[Tensor], _Analysed], size: int, details: Details | None) -> Normals:
    """Photos [B, 3, S, S] to normals, by a network of coefficients and features, and one of maps."""

    def analyse(image: Any) -> dict[str, Any]:
        found, features = network(torch.from_numpy(image))
        more = {} if features is None else {FEATURES: features.numpy()}
        return {name: values.numpy() for name, values in found.items()} | more

    def run(image: Tensor) -> Tensor:
        crops = np.rint(255.0 * image.clamp(0.0, 1.0).permute(0, 2, 3, 1).numpy()).astype(np.uint8)
        found = estimated(crops, size, analyse, details, 0 if details is None else 2)
        return torch.from_numpy(found.normals[-1]).permute(0, 3, 1, 2)

    return run
