# SPDX-License-Identifier: Apache-2.0
"""DF²Net on ONNX Runtime (no torch): depth of three networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor
from lineament.methods.df2net.method import METHOD


class DF2NetPredictor(Predictor):
    """Stage 0 is D-Net's answer, stage 1 F-Net's, stage 2 Fr-Net's."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {part: (f"{part}.",) for part in ("dense", "fine", "finer")}

    @property
    def multiple(self) -> int:
        """D-Net's U-Net halves what it sees of the crop once per level."""
        return int(2 ** self.config["levels"] * self.config["dense_scale"])

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; 0 to 2 stages of depth, no exemplars."""
        stages = self.MOST_STAGES if stages is None else stages
        self.check(crops, stages, exemplars)
        given = {"image": as_input(crops)}
        batch, side = crops.shape[:2]
        depths: list[NDArray[np.float32]] = []
        for part in list(self.GRAPHS)[: stages + 1]:
            (depth,) = self._graphs[part].run(given, [(batch, 1, side, side)])
            given["depth"] = depth
            depths.append(depth[:, 0])
        return Prediction(depths=tuple(depths))
