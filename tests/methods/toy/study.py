# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lineament.methods.toy.model import Toy  # type: ignore[import-not-found]
from lineament.methods.toy.recipe import ToyTrainConfig, steps_of

from lineament.networks.weight_files import load_weights
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of


class ToyStudy:
    title = "Toy's kernels"
    table = None
    rows: Mapping[str, dict[str, Any]] = {"1": {"kernel": 1}, "9": {}}
    published: Mapping[str, str] = {}
    paper = ""

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        return steps_of(replace(shared.of(ToyTrainConfig, folder_of(row), steps), **self.rows[row]))

    def normals(self, weights: Path, row: str) -> Normals:
        return load_weights(weights, Toy)
