# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from lineament.methods.toy.method import METHOD  # type: ignore[import-not-found]
from numpy.typing import NDArray

from lineament.inference.graphs import as_input
from lineament.inference.predictor import Prediction, Predictor, channels_last


class ToyPredictor(Predictor):
    FORMAT = METHOD.weights_format
    MOST_STAGES = METHOD.most_stages
    GRAPHS: ClassVar[Mapping[str, tuple[str, ...]]] = {"network": ("convolution.",)}

    def run(
        self, crops: NDArray[np.uint8], stages: int | None = None, exemplars: NDArray[np.float32] | None = None
    ) -> Prediction:
        self.check(crops, stages or 0)
        image = as_input(crops)
        (normals,) = self._graphs["network"].run({"image": image}, [image.shape])
        return Prediction((channels_last(normals),))
