# SPDX-License-Identifier: Apache-2.0
"""Table I of Cas-FNE as configurations. "t = 2" is also CAT and all losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineament.methods.casfne.config import CasFNETrainConfig, LossName
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import steps_of
from lineament.networks.weight_files import load_weights
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of


class CasFNEStudy:
    """The table's rows."""

    title = "Cas-FNE, table I in small"
    table = "casfne-table1"
    losses: Sequence[LossName] = ("rec", "tv", "adv")
    rows: Mapping[str, dict[str, Any]] = {
        "Rec": {"losses": ("rec",)},
        "Rec+adv": {"losses": ("rec", "adv")},
        "Rec+tv": {"losses": ("rec", "tv")},
        "AdaIN": {"fusion": "adain"},
        "FMM": {"fusion": "fmm"},
        **{f"t = {stages}": {"stages": stages} for stages in range(6)},
    }
    published: Mapping[str, str] = {"t = 2": "t = 2 (Cas-FNE)"}
    paper = "Photoface after 500 000 steps of 8"

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """A row's training; the rows share nothing."""
        base: CasFNETrainConfig = shared.of(CasFNETrainConfig, folder_of(row), steps, losses=self.losses)
        return steps_of(replace(base, **self.rows[row]))

    def normals(self, weights: Path, row: str) -> Normals:
        """The last stage."""
        model, stages = load_weights(weights, CasFNE), self.rows[row].get("stages")
        return lambda image: model(image, stages).normals[-1]
