# SPDX-License-Identifier: Apache-2.0
"""How the parser is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lineament.models.parser.config import ParserTrainConfig
from lineament.models.parser.data import parser_batches
from lineament.models.parser.losses import WEIGHTS, agreement, losses
from lineament.models.parser.model import CLASSES, FaceParser, FaceParserConfig, ParserOutput, rotation_of
from lineament.networks.encoder import start_encoder
from lineament.networks.weight_files import load_weights
from lineament.training.batch import Batch
from lineament.training.plan import Step, Training
from lineament.training.recipe import SingleNetworkRecipe

_EYES = (36, 45)  # the outer corners


class FaceParserRecipe(SingleNetworkRecipe):
    """Binds the network to its data and losses."""

    weights = WEIGHTS
    config: ParserTrainConfig

    def __init__(self, config: ParserTrainConfig) -> None:
        """Build the network."""
        size = FaceParserConfig(config.encoder, config.width, crop_size=config.size)
        super().__init__(FaceParser(size), config)
        start_encoder(self.model.encoder, config.encoder, config.start)
        self.teacher = load_weights(config.init, FaceParser).eval() if config.photos and config.init else None

    def start(self) -> None:
        """Take the first weights from a file, if one is named."""
        if self.config.init is not None:
            self.model.load_state_dict(load_weights(self.config.init, FaceParser).state_dict())

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Crops with their labels, and photos without."""
        return parser_batches(self.config, split, first, device)

    def losses(self, model: FaceParser, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """All parts of the loss, by name."""
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        seen = batch.image if self.teacher is None else torch.cat([batch.image, batch["recoloured"]])
        with autocast:
            said: ParserOutput = model(seen.contiguous(memory_format=layout))
            parsing, of_photos = said.split(len(batch))
            with torch.no_grad():
                taught = self.teacher.to(seen.device)(batch["plain"]) if self.teacher is not None else None
        parts = losses(parsing, batch["landmarks"], batch["visible"], batch["rotation"], batch["parse"][:, 0])
        return parts if taught is None else {**parts, "agreement": agreement(of_photos, taught)}

    @torch.no_grad()
    def validate(self, model: FaceParser, device: torch.device, sheet: Path) -> dict[str, float]:
        """Errors on people kept from training."""
        gathered: list[dict[str, float]] = []
        for number, batch in enumerate(islice(self.batches("validation", 0, device), self.config.validation_batches)):
            parsing = model(batch.image)
            gathered.append(errors(parsing, batch))
            if number == 0:
                write_sheet(sheet, batch, parsing)
        return {f"validation_{name}": float(np.mean([g[name] for g in gathered])) for name in gathered[0]}


def errors(parsing: ParserOutput, batch: Batch) -> dict[str, float]:
    """What is wrong with a batch's parsing.

    Returns:
        landmarks: mean distance, per cent of the inter-ocular distance (between the eyes' outer corners in space, as
        long as they would look from the front), of landmarks in the crop; visible: the same of visible ones; seen:
        per cent of landmarks whose visibility is told right; pose: mean angle, degrees; parse: mean intersection over
        union of all classes that occur, per cent.
    """
    inside = ((batch["landmarks"] > 0) & (batch["landmarks"] < 1)).all(-1)
    ocular = (batch["landmarks"][:, _EYES[0]] - batch["landmarks"][:, _EYES[1]]).norm(dim=-1)
    # The axis between the eyes is foreshortened by its tilt towards the camera.
    ocular = ocular / (1.0 - batch["rotation"][:, 2, 0].square()).clamp_min(0.05).sqrt()
    away = 100.0 * (parsing.landmarks - batch["landmarks"]).norm(dim=-1) / ocular[:, None]
    relative = rotation_of(parsing.rotation) @ batch["rotation"].transpose(1, 2)
    cosine = 0.5 * (relative.diagonal(dim1=1, dim2=2).sum(1) - 1.0)
    found = parsing.parse.argmax(1)
    shares = []
    for number in range(CLASSES):
        here, valid = found == number, batch["parse"][:, 0] == number
        if valid.any():
            shares.append(100.0 * float((here & valid).sum()) / float((here | valid).sum()))
    return {
        "landmarks": float(away[inside].mean()),
        "visible": float(away[inside & batch["visible"]].mean()),
        "seen": 100.0 * float(((parsing.visibility > 0) == batch["visible"]).float().mean()),
        "pose": float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).mean()),
        "parse": float(np.mean(shares)),
    }


def write_sheet(path: Path, batch: Batch, parsing: ParserOutput, columns: int = 8) -> None:
    """Write a PNG: crops with their landmarks, predicted and true parses."""
    import cv2

    from lineament.annotations.parsing import colours_of
    from lineament.images.write import write_png

    size = batch.image.shape[-1]
    pictures = (255 * batch.image[:columns]).byte().permute(0, 2, 3, 1).cpu().numpy().copy()
    for picture, points, logits in zip(pictures, parsing.landmarks, parsing.visibility, strict=False):
        for (x, y), logit in zip((points * size).tolist(), logits.tolist(), strict=True):
            cv2.circle(picture, (round(x), round(y)), 1, (80, 255, 120) if logit > 0 else (255, 60, 60), -1)
    rows = [
        pictures,
        colours_of(parsing.parse[:columns].argmax(1).cpu().numpy().astype(np.uint8)),
        colours_of(batch["parse"][:, 0][:columns].cpu().numpy().astype(np.uint8)),
    ]
    write_png(path, np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0))


def steps_of(config: ParserTrainConfig) -> list[Step]:
    """The one step of a training."""
    return [Step(FaceParser.FORMAT.name, config, lambda: FaceParserRecipe(config))]


TRAINING = Training(ParserTrainConfig, steps_of)
