# SPDX-License-Identifier: Apache-2.0
"""How HRN's face analyser is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lineament.methods.hrn import losses
from lineament.methods.hrn.analyser import Analyser
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.data import FACE_COUNT, compared_vertices, photo_crops, shaped_batches
from lineament.methods.hrn.model import HRN
from lineament.networks.encoder import start_encoder
from lineament.networks.weight_files import load_weights
from lineament.render.morphable import MorphableFace
from lineament.render.raster import vertex_normals
from lineament.rig import load_rig
from lineament.rig.model import LANDMARK_COUNT
from lineament.training.batch import Batch
from lineament.training.recipe import SingleNetworkRecipe
from lineament.weights.file import read_method

_NORMALS = 30.0  # brings 1 - cos to that order
_COLOUR = 20.0  # brings the difference of colours to the order of the shape's millimetres


class AnalyserRecipe(SingleNetworkRecipe):
    """Binds the face analyser to its data and losses."""

    config: HRNTrainConfig

    def __init__(self, config: HRNTrainConfig) -> None:
        """Build the network.

        Raises:
            WeightsError: ImageNet weights that do not fit.
        """
        super().__init__(Analyser(config.network().analyser), config)
        start_encoder(self.model.analyser.encoder, self.model.config.encoder, config.start)
        rig = load_rig()
        self.weights = {
            "shape": 1.0,
            "aligned": config.aligned,
            "places": config.landmark,
            "photometric": _COLOUR * config.photometric,
            "albedo": _COLOUR * config.albedo,
            "photo_landmarks": config.landmark,
            "photo_photometric": _COLOUR * config.photometric,
            "photo_normals": _NORMALS * config.normal,
            "regularisation": config.regularisation,
        }
        self.whole = MorphableFace.of(rig)
        self.compared = compared_vertices(rig)
        self.face = self.whole.at(self.compared)
        self.triangles = torch.from_numpy(rig.weld()[rig.faces])

    def start(self) -> None:
        """Take the first weights from a file, if one is named."""
        if self.config.analyser_init is not None:
            self.model.load_state_dict(load_analyser(self.config.analyser_init).state_dict())

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Crops with the shapes in them; for training, photos beside them, their labels' names after ``photo_``."""
        faces = shaped_batches(self.config, split, first, device)
        if split != "train" or not self.config.photos:
            yield from faces
            return
        for batch, photos in zip(faces, photo_crops(self.config, first, device), strict=False):
            named = {f"photo_{name}": value for name, value in photos.labels.items()}
            yield batch.with_labels(photo_image=photos.image, **named)

    def losses(self, model: Analyser, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """All parts of the loss, by name."""
        count, photos = len(batch), "photo_image" in batch.labels
        image = torch.cat([batch.image, batch["photo_image"]]) if photos else batch.image
        with autocast:
            answer = model(Batch(image, {}).in_layout(self.config.channels_last).image)
        found = {name: values[:count] for name, values in answer.items()}
        face = self._face(batch.image.device)
        vertices, places = losses.placed(found, face, self.config.size)
        skin = face.skin(found["albedo"])
        parts = {
            "shape": losses.vertex_loss(vertices, batch["vertices"]),
            "aligned": losses.aligned_vertex_loss(vertices, batch["vertices"]),
            "places": losses.place_loss(places, batch["places"]),
            "photometric": losses.photometric_loss(found, skin, batch, batch["places"], batch["vertex_normals"]),
            "albedo": losses.albedo_loss(skin, batch["reflectance"]),
            "regularisation": losses.regularisation_loss(found),
        }
        if photos:
            parts |= self._photo_losses({name: values[count:] for name, values in answer.items()}, batch)
        return parts

    def _photo_losses(self, found: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """What the photos say of their coefficients: landmarks, colours, normals."""
        labels = {name: batch[f"photo_{name}"] for name in ("landmarks", "visible", "normals", "skin")}
        photos = Batch(batch["photo_image"], labels)
        device = photos.image.device
        self._face(device)
        vertices, places = losses.placed(found, self.whole, self.config.size)
        normals = vertex_normals(vertices, self.triangles.to(device))[:, self.compared]
        places = places[:, self.compared]
        skin, marks = self.face.skin(found["albedo"]), places[:, :LANDMARK_COUNT]
        return {
            "photo_landmarks": losses.landmark_loss(marks, photos["landmarks"], photos["visible"]),
            "photo_photometric": losses.photometric_loss(found, skin, photos, places, normals),
            "photo_normals": losses.normal_loss(normals, places, photos["normals"]),
        }

    @torch.no_grad()
    def validate(self, model: Analyser, device: torch.device, sheet: Path) -> dict[str, float]:
        """Errors on people kept from training; for comparison, the face's with the mean head's identity."""
        gathered: list[dict[str, float]] = []
        marks = LANDMARK_COUNT + FACE_COUNT
        for number, batch in enumerate(islice(self.batches("validation", 0, device), self.config.validation_batches)):
            found = model(batch.image)
            face = self._face(device)
            vertices, places = losses.placed(found, face, self.config.size)
            mean_head = found | {"identity": torch.zeros_like(found["identity"])}
            of_mean, _ = losses.placed(mean_head, face, self.config.size)
            truth = batch["vertices"][:, :marks]
            skin = face.skin(found["albedo"])
            colour = losses.photometric_loss(found, skin, batch, batch["places"], batch["vertex_normals"])
            gathered.append(
                {
                    "albedo": float(losses.albedo_loss(skin, batch["reflectance"])),
                    "colour": float(colour),
                    "shape_mm": float(losses.vertex_loss(vertices, batch["vertices"])),
                    "face_mm": float(losses.aligned_vertex_loss(vertices[:, :marks], truth)),
                    "mean_identity_face_mm": float(losses.aligned_vertex_loss(of_mean[:, :marks], truth)),
                    "places_per_cent": 100.0 * float((places - batch["places"]).norm(dim=-1).mean()),
                }
            )
            if number == 0:
                write_sheet(sheet, batch, places)
        return {f"validation_{name}": float(np.mean([g[name] for g in gathered])) for name in gathered[0]}

    def _face(self, device: torch.device) -> MorphableFace:
        """The compared vertices' model on a device."""
        if self.face.mean.device != device:
            self.face, self.whole = self.face.to(device), self.whole.to(device)
        return self.face


def load_analyser(path: Path) -> Analyser:
    """The face analyser of a weights file, its own or the whole method's.

    Raises:
        WeightsError: The file cannot be read or does not fit.
    """
    if read_method(path) == Analyser.FORMAT.name:
        return load_weights(path, Analyser)
    whole = load_weights(path, HRN)
    alone = Analyser(whole.config.analyser)
    alone.analyser = whole.analyser
    return alone.eval()


def write_sheet(path: Path, batch: Batch, places: Tensor, columns: int = 8) -> None:
    """Write a PNG: crops with the places of the vertices as they are estimated, and as they are."""
    import cv2

    from lineament.images.write import write_png

    size = batch.image.shape[-1]
    rows = []
    for points in (places, batch["places"]):
        pictures = (255 * batch.image[:columns]).byte().permute(0, 2, 3, 1).cpu().numpy().copy()
        for picture, own in zip(pictures, points[:columns].tolist(), strict=True):
            for number, (x, y) in enumerate(own):
                colour = (255, 60, 60) if number < LANDMARK_COUNT else (80, 255, 120)
                cv2.circle(picture, (round(x * size), round(y * size)), 0, colour, -1)
        rows.append(np.concatenate(list(pictures), axis=1))
    write_png(path, np.concatenate(rows, axis=0))
