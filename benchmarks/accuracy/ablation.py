# SPDX-License-Identifier: Apache-2.0
"""What each part of the synthesis and of the training is worth:
``python benchmarks/accuracy/ablation.py --root YALEB --init WEIGHTS``.

Every row goes on from the same weights, for the same number of steps, on as many faces of the same seeds, with one
thing changed. Measured are real faces (Extended Yale B, lights within 35°, at the padding of `lineament evaluate
yaleb`) and synthetic people that no row saw, made with everything on. Small numbers on purpose: the order of the rows
is what counts. Rows that are done already are not repeated; ``--rows`` takes some of them. With ``--photos FOLDER``
one more row learns from real photos without labels.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.protocols.yaleb import evaluate_yaleb
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.systems.system import NormalsSystem
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import CasFNERecipe, validate
from lineament.networks.weight_files import load_weights
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.write import write_dataset
from lineament.training.loop import train

FULL = SynthConfig(size=128, seed=900, frontal=0.8, roll=15.0, pitch=30.0, span_low=0.48, span_high=0.75)
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "everything on": ({}, {}),
    "everything on, another seed": ({"seed": 901}, {"seed": 1}),
    "no tight and padded crops, no recolouring": ({}, {"augment": False}),
    "no camera": ({"degrade": DegradeConfig.none()}, {}),
    "no wrinkles, folds, pores": ({"detail": 0.0}, {}),
    "no glasses, hats, hands": ({"glasses": 0.0, "hats": 0.0, "covered": 0.0}, {}),
    "no hair": ({"hair": 0.0}, {}),
    "no expressions": ({"expression": 0.0}, {}),
    "identities of the model's Gaussian, symmetric": ({"heavy_tails": 0.0, "asymmetry": 0.0}, {}),
    "no random deformation": ({"deformation": 0.0}, {}),
    "no lids, lips, philtrum, chin furrow": ({"features": 0.0}, {}),
    "no spread of profile and curvature": ({"profile": 0.0, "curvature": 0.0}, {}),
    "people who differ hardly more than the scans": (
        {"heavy_tails": 0.0, "asymmetry": 0.1, "deformation": 0.3, "profile": 1.5, "curvature": 0.4, "stretch": 0.35},
        {},
    ),
    "no translucency, no sheen, smooth environment": ({"translucency": 0.0, "sheen": 0.0, "panels": 0.0}, {}),
    "heads turned any way": ({"frontal": 0.3, "roll": 30.0}, {}),
    "no likelihood": ({}, {"losses": ("rec", "tv")}),
    "likelihood alone": ({}, {"losses": ("likelihood", "tv")}),
    "cosine instead of angle": ({}, {"reconstruction": "cosine"}),
    "the model's own average head": ({"mean_depth": 1.04, "mean_profile": 0.0, "mean_curvature": 0.0}, {}),
}
"""Name of a row, what it changes in the faces, what it changes in the training."""


def main() -> None:
    """Train and measure every row, then print the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--init", type=Path, required=True, help="weights from which every row goes on")
    parser.add_argument("--folder", type=Path, default=Path("ablation"), help="for faces, trainings and what is done")
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="ROW", default=list(ROWS), help="by name")
    parser.add_argument("--faces", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = arguments.folder / "results.json"
    done: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    dataset = YaleB(arguments.root)
    if "start" not in done:
        done["start"] = measure(load_weights(arguments.init, CasFNE), dataset)
    for number, (name, (faces, training)) in enumerate(ROWS.items()):
        if name not in arguments.rows:
            continue
        if name not in done:
            done[name] = measure(trained(arguments, number, name, faces, training), dataset)
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(done, indent=1))
    table = Table(
        title="What each part is worth",
        columns=("row", "real °", "synthetic °"),
        rows=tuple((name, row["real"], row["synthetic"]) for name, row in done.items()),
        notes=(f"{arguments.steps} steps of 32 of {arguments.faces} faces at {FULL.size} pixels, half resolution.",),
    )
    report([table], arguments.output)


def trained(
    arguments: argparse.Namespace, number: int, name: str, faces: dict[str, Any], training: dict[str, Any]
) -> CasFNE:
    """The network that a row's faces and training give."""
    synth = replace(FULL, **faces)
    folder = arguments.folder / f"faces-{'full' if synth == FULL else number}"
    write_dataset(folder, arguments.faces, synth, pictures=("image", "normals", "mask"))
    config = CasFNETrainConfig(
        output=arguments.folder / f"run-{number}",
        data=(folder,),
        init=(arguments.init,),
        size=synth.size,
        stages=0,
        half=True,
        batch_size=32,
        steps=arguments.steps,
        learning_rate=4e-4,
        warmup=20,
        ema=0.99,
        losses=("rec", "likelihood", "tv"),
        reconstruction="angle",
        validate_every=arguments.steps,
        validation_batches=1,
        threads=arguments.threads,
    )
    config = replace(config, **training)
    return load_weights(train(CasFNERecipe(config), config), CasFNE)


@torch.no_grad()
def measure(model: CasFNE, dataset: YaleB) -> dict[str, Any]:
    """Mean angular errors in degrees: of real people, each and all, and of synthetic ones."""
    size, framing = FULL.size, Framing()

    def normals(sample: Sample) -> list[NDArray[np.float32]]:
        picture = framing.apply(sample.image, size)
        image = torch.from_numpy(np.stack([picture, picture[:, ::-1]])).permute(0, 3, 1, 2).float() / 255.0
        first, second = model.at_half_resolution(image).normals[0]
        both = first + second.flip(-1) * torch.tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
        full = F.interpolate(both[None], (size, size), mode="bilinear")[0].permute(1, 2, 0).numpy()
        height, width = sample.image.shape[:2]
        return [framing.undo(full, height, width)]

    result = evaluate_yaleb(dataset, NormalsSystem("ablation", normals))
    config = CasFNETrainConfig(Path(), size=size, stages=0, half=True, losses=("rec",), seed=990, validation_batches=25)
    synthetic = validate(model, config, torch.device("cpu"), None)["validation_error_stage_0"]
    people = {subject.subject: subject.stages[0].mean for subject in result.subjects}
    return {"real": result.mean(0), "synthetic": synthetic, "people": people}


if __name__ == "__main__":
    main()
