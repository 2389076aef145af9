# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE on ONNX Runtime (no torch). The cascade's graph is run as often as stages are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor, channels_last
from lineament.methods.casfne.method import METHOD
from lineament.weights import weights_path

_FEATURES = tuple(f"features{i}" for i in range(5))


class CasFNEPredictor(Predictor):
    """The initial block and the cascade."""

    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    TAKES_EXEMPLARS = METHOD.takes_exemplars
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "initial": ("encoder.", "initial_decoder."),
        "cascade": ("normal_encoder.", "fusion.", "cascade_decoder."),
    }

    @cached_property
    def usual_stages(self) -> int:
        """How many stages are run if nobody says otherwise."""
        trained: int = self.config["stages"]
        enough = METHOD.weights_stages
        return trained if enough is None or self.weights != weights_path(METHOD.weights) else min(trained, enough)

    def run(
        self,
        crops: NDArray[np.uint8],
        stages: int | None = None,
        exemplars: NDArray[np.float32] | None = None,
    ) -> Prediction:
        """See `Predictor.run`; 0 to 5 stages, no exemplars."""
        stages = self.usual_stages if stages is None else stages
        self.check(crops, stages, exemplars)
        # The last one is the mask's logits, which the runtime does not need: the parser's parse says where the face is.
        image = as_input(crops)
        batch, _, side, _ = image.shape
        shapes = [(batch, 3, side, side), (batch, 1, side, side)]  # of normals and of their concentration
        *features, normals, kappa, _ = self._graphs["initial"].run({"image": image}, [*(None,) * 5, *shapes, None])
        maps, kappas = [normals], [kappa]
        named = dict(zip(_FEATURES, features, strict=True))
        for _ in range(stages):
            normals, kappa = self._graphs["cascade"].run({**named, "previous": maps[-1]}, shapes)
            maps.append(normals)
            kappas.append(kappa)
        return Prediction(tuple(map(channels_last, maps)), tuple(k[:, 0] for k in kappas))
