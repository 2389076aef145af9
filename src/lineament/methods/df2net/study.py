# SPDX-License-Identifier: Apache-2.0
"""Section 4.1 of DF²Net as configurations: what stands in Fr-Net's place, with as many parameters.

Each row trains its own D-Net and F-Net first, from the same seed. The paper shows pictures of
them and no numbers; here the normals of depth are measured, on synthetic faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from lineament.methods.df2net.config import DF2NetTrainConfig
from lineament.methods.df2net.model import DF2Net, df2net_s, refining_network
from lineament.methods.df2net.parts import pixels
from lineament.methods.df2net.recipe import steps_of
from lineament.networks.weight_files import load_weights
from lineament.render.light_fit import normals_of_depth
from lineament.training.plan import Step
from lineament.training.study import Normals, Shared, folder_of


class DF2NetStudy:
    """The section's rows."""

    title = "DF²Net, section 4.1 in small"
    table = None
    rows: Mapping[str, dict[str, Any]] = {
        "two F-Nets": {"refinement": "stacked"},
        "without multi-resolution blocks": {"refinement": "plain"},
        "Fr-Net": {},
    }
    published: Mapping[str, str] = {}
    paper = "pictures alone"

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """A row's three networks, the last with Fr-Net's number of parameters; pictures of a multiple of 128 pixels."""
        size = sum(parameter.numel() for parameter in refining_network(df2net_s()).parameters())
        changed = self.rows[row]
        config: DF2NetTrainConfig = shared.of(
            DF2NetTrainConfig,
            folder_of(row),
            steps,
            fine_steps=steps,
            render_share=1.0,
            matched=size if changed else 0,
            **changed,
        )
        return steps_of(config)

    def normals(self, weights: Path, row: str) -> Normals:
        """Those of the last network's depth."""
        model = load_weights(weights, DF2Net)

        def of(image: Tensor) -> Tensor:
            return normals_of_depth(pixels(model(image).finer))

        return of
