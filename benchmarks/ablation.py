# SPDX-License-Identifier: Apache-2.0
"""What each part of the synthesis and of the training is worth: ``python benchmarks/ablation.py --root YALEB``.

Every row goes on from the same weights, for the same number of steps, on as many faces of the same seeds, with one
thing changed. Measured are real faces (Extended Yale B, lights within 35°, at the padding of `lineament evaluate
yaleb`) and synthetic people that no row saw, made with everything on. Small numbers on purpose: the order of the rows
is what counts. Rows that are done already are not repeated; ``--rows`` takes some of them. With ``--photos FOLDER``
(written by `lineament label`) one more row learns from real photos without labels.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lineament.datasets.labelled_folder import labelled_samples
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.protocols.yaleb import PADDING, evaluate_yaleb
from lineament.evaluation.systems.framing import FramedPredictor, Framing
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import CasFNERecipe, validate
from lineament.networks.weight_files import load_weights
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.write import write_dataset
from lineament.training.augment import augment
from lineament.training.batch import Batch
from lineament.training.labels import read_image
from lineament.training.loop import train
from lineament.training.schedule import AveragedModel

FULL = SynthConfig(size=128, seed=900, frontal=0.8, roll=15.0, pitch=30.0, span_low=0.48, span_high=0.75)
PHOTOS = "a mean teacher on real photos besides"
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "everything on": ({}, {}),
    "everything on, another seed": ({"seed": 901}, {"seed": 1}),
    "no tight and padded crops, no recolouring": ({}, {"augment": False}),
    "no camera": ({"degrade": DegradeConfig.none()}, {}),
    "no wrinkles, folds, pores": ({"detail": 0.0}, {}),
    "no glasses, hats, hands": ({"glasses": 0.0, "hats": 0.0, "covered": 0.0}, {}),
    "no hair": ({"hair": 0.0}, {}),
    "no expressions": ({"expression": 0.0}, {}),
    "identities of the model's Gaussian, symmetric": ({"tails": 0.0, "asymmetry": 0.0}, {}),
    "no random deformation": ({"deformation": 0.0}, {}),
    "no lids, lips, philtrum, chin furrow": ({"features": 0.0}, {}),
    "no spread of profile and roundness": ({"profile": 0.0, "roundness": 0.0}, {}),
    "people who differ hardly more than the scans": (
        {"tails": 0.0, "asymmetry": 0.1, "deformation": 0.3, "profile": 1.5, "roundness": 0.4, "stretch": 0.35},
        {},
    ),
    "no translucency, no sheen, smooth environment": ({"translucency": 0.0, "sheen": 0.0, "panels": 0.0}, {}),
    "heads turned any way": ({"frontal": 0.3, "roll": 30.0}, {}),
    "no likelihood": ({}, {"losses": ("rec", "tv")}),
    "likelihood alone": ({}, {"losses": ("likelihood", "tv")}),
    "cosine instead of angle": ({}, {"reconstruction": "cosine"}),
    PHOTOS: ({}, {}),
    "the model's own average head": ({"mean_depth": 1.04, "mean_profile": 0.0, "mean_roundness": 0.0}, {}),
}
"""Name of a row, what it changes in the faces, what it changes in the training."""


class TeacherRecipe(CasFNERecipe):
    """Learns besides from photos without labels (Tarvainen and Valpola 2017, "Mean teachers").

    The teacher is the average of the student's weights. It sees a photo and its mirror image as they are; the student
    sees the photo moved, cut and recoloured, and is to say what the teacher said, moved alike.
    """

    WEIGHT = 0.5

    def __init__(self, config: CasFNETrainConfig, crops: NDArray[np.uint8]) -> None:
        """Keep crops [N, S, S, 3]."""
        super().__init__(config)
        self.crops = crops
        self.draw = np.random.default_rng(config.seed)
        self.done = 0

    def generator_loss(self, batch: Batch, autocast: torch.autocast) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """The loss of labelled faces, and the same of photos that the teacher labels."""
        if self.done == 0:
            self.teacher = AveragedModel(self.model, 0.99)
        self.teacher.update(self.model, self.done)
        self.done += 1
        total, parts, predicted = super().generator_loss(batch, autocast)
        picked = self.draw.integers(0, len(self.crops), len(batch.image) // 2)
        image = torch.from_numpy(self.crops[picked]).permute(0, 3, 1, 2).float() / 255.0
        moved = augment(self.labelled(image, autocast), self.config.seed + 7, self.done)
        taught, _, _ = super().generator_loss(moved, autocast)
        return total + self.WEIGHT * taught, parts, predicted

    @torch.no_grad()
    def labelled(self, image: Tensor, autocast: torch.autocast) -> Batch:
        """Photos [B, 3, S, S] with the teacher's normals and faces."""
        with autocast:
            plain = self.teacher.model.at_half_resolution(image)
            mirrored = self.teacher.model.at_half_resolution(image.flip(-1))
        both = plain.normals[0] + mirrored.normals[0].flip(-1) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
        logits = plain.mask_logits + mirrored.mask_logits.flip(-1)
        both, logits = (F.interpolate(m, scale_factor=2, mode="bilinear") for m in (both, logits))
        return Batch(image, {"normals": F.normalize(both, dim=1) * (logits > 0), "face": logits > 0})


def main() -> None:
    """Train and measure every row, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--init", type=Path, required=True, help="weights from which every row goes on")
    parser.add_argument("--photos", type=Path, help="folder written by `lineament label`, for one more row")
    parser.add_argument("--output", type=Path, default=Path("ablation"))
    parser.add_argument("--rows", nargs="+", choices=ROWS, metavar="ROW", default=list(ROWS), help="by name")
    parser.add_argument("--faces", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = arguments.output / "results.json"
    done: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    dataset = YaleB(arguments.root)
    if "start" not in done:
        done["start"] = measure(load_weights(arguments.init, CasFNE), dataset)
    for number, (name, (faces, training)) in enumerate(ROWS.items()):
        if name not in arguments.rows or (name == PHOTOS and arguments.photos is None):
            continue
        if name not in done:
            done[name] = measure(trained(arguments, number, name, faces, training), dataset)
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(done, indent=1))
        print(f"| {name} | {done[name]['real']:.2f} | {done[name]['synthetic']:.2f} |", flush=True)


def trained(
    arguments: argparse.Namespace, number: int, name: str, faces: dict[str, Any], training: dict[str, Any]
) -> CasFNE:
    """The network that a row's faces and training give."""
    synth = replace(FULL, **faces)
    folder = arguments.output / f"faces-{'full' if synth == FULL else number}"
    write_dataset(folder, arguments.faces, synth, pictures=("image", "normals", "mask"))
    config = CasFNETrainConfig(
        output=arguments.output / f"run-{number}",
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
    if name == PHOTOS:
        samples = labelled_samples((arguments.photos,), "train", pictures=("image",))
        images = torch.stack([read_image(sample["files"]["image"], synth.size) for sample in samples])
        crops = (255.0 * images).round().byte().permute(0, 2, 3, 1).numpy()
        return load_weights(train(TeacherRecipe(config, crops), config), CasFNE)
    return load_weights(train(CasFNERecipe(config), config), CasFNE)


@torch.no_grad()
def measure(model: CasFNE, dataset: YaleB) -> dict[str, Any]:
    """Mean angular errors in degrees: of real people, each and all, and of synthetic ones."""
    size = FULL.size

    def predict(crop: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        picture = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
        image = torch.from_numpy(np.stack([picture, picture[:, ::-1]])).permute(0, 3, 1, 2).float() / 255.0
        first, second = model.at_half_resolution(image).normals[0]
        both = first + second.flip(-1) * torch.tensor([-1.0, 1.0, 1.0]).view(3, 1, 1)
        full = F.interpolate(both[None], (crop.shape[0], crop.shape[1]), mode="bilinear")
        return [F.normalize(full, dim=1)[0].permute(1, 2, 0).numpy()]

    result = evaluate_yaleb(dataset, FramedPredictor(predict, Framing(PADDING)), "ablation")
    config = CasFNETrainConfig(Path(), size=size, stages=0, half=True, losses=("rec",), seed=990, validation_batches=25)
    synthetic = validate(model, config, torch.device("cpu"), None)["validation_error_stage_0"]
    people = {subject.subject: subject.stages[0].mean for subject in result.subjects}
    return {"real": result.mean(0), "synthetic": synthetic, "people": people}


if __name__ == "__main__":
    main()
