# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lineament.methods.spec import Method
from lineament.weights.schema import CROP, WeightsFormat, Whole

WEIGHTS = WeightsFormat("toy", {"kernel": Whole(1, 31), "crop_size": CROP})
METHOD = Method(
    name="toy",
    summary="one convolution",
    weights_format=WEIGHTS,
    network="lineament.methods.toy.model:Toy",
    training="lineament.methods.toy.recipe:TRAINING",
    graphs="lineament.methods.toy.graphs:graphs",
    title="Toy",
    paper="None",
    gives="normals",
    stages=("convolution",),
    most_stages=0,
    weights="toy",
    sizes={"toy": "lineament.methods.toy.model:network"},
    predictor="lineament.methods.toy.predictor:ToyPredictor",
    study="lineament.methods.toy.study:ToyStudy",
)
