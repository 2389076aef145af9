# SPDX-License-Identifier: Apache-2.0
"""Table 3 of HFFNE, and its unpaired exemplars (table 1), as configurations.

All rows refine the normals of one coarse network, but those of the Iter experiment: these stopped its training
earlier, after 1/100 and half of its steps, as the paper did after 1 and 50 of 100 thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineament.methods.hffne.config import HFFNETrainConfig
from lineament.methods.hffne.model import HFFNE
from lineament.methods.hffne.recipe import coarse_step, refining_step
from lineament.networks.weight_files import load_weights
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of


class HFFNEStudy:
    """The tables' rows."""

    title = "HFFNE, table 3 in small"
    table = "hffne-table3"
    rows: Mapping[str, dict[str, Any]] = {
        "Iter1k": {},
        "Iter50k": {},
        "A1": {"injection": "skips"},
        "A2": {"injection": "bottleneck"},
        "without modulation": {"modulation": "none"},
        "AdaIN": {"modulation": "adain"},
        "unpaired": {"paired": False},
        "A3": {},
    }
    published: Mapping[str, str] = {"A3": "Iter100k / A3 / StyleGAN2"}
    paper = "Photoface after 200 000 and 150 000 steps of 8"
    starts: Mapping[str, float] = {"Iter1k": 0.01, "Iter50k": 0.5}
    """Share of the coarse network's steps that a row's own coarse network has had."""

    def __init__(self, perceptual: float = 0.02) -> None:
        """Choose the weight of the perceptual loss, by default the one of the weights that ship."""
        self.perceptual = perceptual

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """The coarse network, shared by rows that stop it at the same step, then the row's stage two."""
        share = self.starts.get(row, 1.0)
        own = max(1, round(share * steps))
        coarse = coarse_step(shared.of(HFFNETrainConfig, f"coarse-{round(100 * share)}", own))
        base: HFFNETrainConfig = shared.of(HFFNETrainConfig, folder_of(row), steps, perceptual=self.perceptual)
        return [coarse, refining_step(replace(base, **self.rows[row]), coarse.weights)]

    def normals(self, weights: Path, row: str) -> Normals:
        """The refined normals."""
        model = load_weights(weights, HFFNE)
        return lambda image: model(image).refined
