# SPDX-License-Identifier: Apache-2.0
"""How DF²Net is trained: one recipe, which learns one of the three networks and holds those before it still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import UsageError, WeightsError
from lineament.methods.df2net import losses
from lineament.methods.df2net.config import STEPS, DF2NetTrainConfig, NetworkName
from lineament.methods.df2net.model import DF2Net
from lineament.methods.df2net.parts import pixels
from lineament.methods.hffne.model import HFFNE
from lineament.models.albedo.model import AlbedoNetwork
from lineament.networks.unet import Pix2PixUNet
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.colour import decode_srgb
from lineament.render.light_fit import normals_of_depth
from lineament.training.augment import varied
from lineament.training.batch import Batch, centred, concatenated
from lineament.training.config import DEPTH_LABELS
from lineament.training.data import batches, photo_batches
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, adam, weighted
from lineament.training.validation import angular_errors
from lineament.weights import weights_path
from lineament.weights.file import read_method

ALBEDO = "face-albedo"
"""Weights of the albedo network that ship."""


_MOMENTUM = 0.9  # of stochastic gradient descent


class DF2NetRecipe:
    """One step of the schedule."""

    def __init__(self, config: DF2NetTrainConfig, step: NetworkName, before: Path | None = None) -> None:
        """Build the networks.

        Args:
            config: The training, as this step sees it (`DF2NetTrainConfig.of`).
            step: Which network learns.
            before: Weights of the step before; none for the first.

        Raises:
            UsageError: A step that needs photos has none.
            WeightsError: Weights that are missing or do not fit.
        """
        if step != "dense" and config.render_share < 1.0 and not (config.photos or config.detailed):
            raise UsageError(f"the step {step} learns from photos: name some with --photos")
        self.config, self.learns = config, step
        self.name: str = config.model
        self.model = DF2Net(config.network())
        # The training as its data sees it: D-Net alone learns at the resolution at which it sees crops.
        scale = self.model.config.dense_scale if step == "dense" else 1
        self.seen = replace(config, size=config.size // scale)
        self.before = before
        for name in STEPS:
            self.model.get_submodule(name).requires_grad_(name == step)
        self.model.train()
        self.albedo: AlbedoNetwork | None = None
        if step != "dense":
            self.albedo = load_weights(config.albedo or weights_path(ALBEDO), AlbedoNetwork).requires_grad_(False)

    def start(self) -> None:
        """Take the networks before from their weights, and the first ones from a file, if one is named."""
        path = self.before or self.config.init
        if path is not None and read_method(path) == HFFNE.FORMAT.name:
            coarse = load_weights(path, HFFNE).coarse.unet
            if not isinstance(coarse, Pix2PixUNet):
                raise WeightsError(f"the coarse network in {path} is no U-Net that D-Net could start from")
            self.model.dense.adopt(coarse)
        elif path is not None:
            known = load_weights(path, DF2Net)
            if replace(known.config, crop_size=self.model.config.crop_size) != self.model.config:
                raise WeightsError(f"{path} is of another configuration than the one that is asked for")
            self.model.load_state_dict(known.state_dict())
        if (
            self.learns == "finer"
            and self.config.refinement == "stacked"
            and self.model.config.finer_channels == self.model.config.channels
        ):
            self.model.finer.load_state_dict(self.model.fine.state_dict())

    def auxiliary(self) -> dict[str, nn.Module]:
        """The frozen albedo network, where shading is compared."""
        return {} if self.albedo is None else {"albedo": self.albedo}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """For the network that learns."""
        config = self.config
        if config.optimizer == "adam":
            return {"model": adam(self.model, config.learning_rate, config.weight_decay)}
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return {"model": torch.optim.SGD(learned, config.learning_rate, _MOMENTUM, weight_decay=config.weight_decay)}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """What the step learns from (table 1); the validation is always on renders."""
        config = self.seen
        if split == "validation":
            yield from batches(config, split, first, device, DEPTH_LABELS)
            return
        chosen, share = config.photos, config.photo_share if config.photos else 0.0
        if self.learns != "dense":
            chosen = (self.learns == "finer" and config.detailed) or config.photos or config.detailed
            share = 1.0 - config.render_share
        real = round(share * config.batch_size)
        sources: list[Iterator[Batch]] = []
        if real < config.batch_size:
            renders = replace(config, batch_size=config.batch_size - real)
            sources.append(batches(renders, split, first, device, DEPTH_LABELS))
        if real > 0:
            photos = photo_batches(config, chosen, real, first, device, ("depth",))
            # Their albedo is not known.
            sources.append(photo.with_labels(albedo=torch.zeros_like(photo.image)) for photo in photos)
        yield from map(concatenated, zip(*sources, strict=True))

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the network that learns."""
        moved, seen = varied(batch, self.seen, step)
        loss, norm, parts = learners["model"].descend(
            lambda: weighted(self.losses(moved, seen, autocast), self.weights)
        )
        return {"loss": loss, "gradient_norm": norm, **parts}

    @property
    def weights(self) -> Mapping[str, float]:
        """Each loss's weight in this step."""
        weights = {**losses.WEIGHTS[self.learns], "nor": self.config.normal_weight}
        return {**weights, "sh": self.config.shading_weight} if self.learns == "finer" else weights

    def losses(self, batch: Batch, seen: Tensor, autocast: torch.autocast) -> dict[str, Tensor]:
        """The step's losses on a batch of which the networks see ``seen``."""
        model, face = self.model, batch["face"]
        with autocast:
            if self.learns == "dense":
                depth = centred(model.dense.small(seen), face)
                return {
                    "rec": losses.depth_loss(depth, batch["depth"], face),
                    "nor": losses.normal_loss(depth, batch["depth"], face),
                }
            fine = model.fine(seen, model.dense(seen).detach())
            depth, guide, known = fine, batch["depth"], batch.known
            if self.learns == "finer":
                depth, guide = model.finer(seen, fine.detach()), torch.where(known, guide, fine.detach())
        assert self.albedo is not None
        with torch.no_grad():
            albedo = torch.where(known, batch["albedo"], decode_srgb(self.albedo(batch.image)))
        depth, guide = centred(depth, face), centred(guide, face)
        parts = {
            "rec": losses.depth_loss(depth, guide, face),
            "sh": losses.shading_loss(depth, guide, batch.light, albedo, face),
        }
        if self.config.render_share:
            parts["nor"] = losses.normal_loss(depth, guide, face & known)
        return parts

    def validate(self, model: DF2Net, device: torch.device, sheet: Path) -> dict[str, float]:
        """Angular error of the normals of depth up to the network that learns, on people kept from training."""
        known = STEPS[: STEPS.index(self.learns) + 1]

        def measured() -> Iterator[Batch]:
            for batch in islice(self.batches("validation", 0, device), self.config.validation_batches):
                normals, face = normals_of_depth(pixels(batch["depth"])), losses.interior(batch["face"])
                yield Batch(batch.image, {"normals": normals, "face": face})

        def estimate(batch: Batch) -> tuple[list[Tensor], Batch]:
            if self.learns == "dense":
                depths = [model.dense.small(batch.image)]
            else:
                output = model(batch.image)
                depths = [getattr(output, name) for name in known]
            return [normals_of_depth(pixels(depth)) for depth in depths], batch

        errors = angular_errors(measured(), estimate, sheet)
        return {f"validation_error_{name}": error for name, error in zip(known, errors, strict=True)}

    def save(self, model: DF2Net, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights of all networks, those that have not learned yet among them."""
        save_weights(model, path, metadata)


def steps_of(config: DF2NetTrainConfig) -> list[Step]:
    """The three networks, one after the other."""
    steps: list[Step] = []
    for name in STEPS:
        before = steps[-1].weights if steps else None
        steps.append(_step(config.of(name), name, before))
    return steps


def _step(config: DF2NetTrainConfig, name: NetworkName, before: Path | None) -> Step:
    return Step(config.model, config, lambda: DF2NetRecipe(config, name, before))


TRAINING = Training(DF2NetTrainConfig, steps_of)
