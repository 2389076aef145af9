# SPDX-License-Identifier: Apache-2.0
"""HFFNE on ONNX Runtime (no torch): the coarse network, and the one that refines its normals or anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor, channels_last
from lineament.methods.hffne.method import METHOD, coarse_levels


class HFFNEPredictor(Predictor):
    """Stage 0 is the coarse network's answer, stage 1 the refined one."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "coarse": ("coarse.",),
        "refine": ("face_encoder.", "exemplar_encoder.", "decoder."),
    }

    @property
    def multiple(self) -> int:
        """The coarse network halves the crop once per level, the face encoder five times."""
        return int(2 ** max(5, coarse_levels(self.config["coarse_network"], self.config["coarse_levels"])))

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; 0 or 1 stages. Exemplars take the coarse normals' place."""
        stages = 1 if stages is None else stages
        self.check(crops, stages, exemplars)
        image = as_input(crops)
        if exemplars is None:
            (coarse,) = self._graphs["coarse"].run({"image": image}, [image.shape])
        else:
            coarse = np.ascontiguousarray(exemplars.transpose(0, 3, 1, 2), dtype=np.float32)
        maps = [coarse]
        if stages:
            maps += self._graphs["refine"].run({"image": image, "exemplar": coarse}, [image.shape])
        return Prediction(tuple(map(channels_last, maps)))
