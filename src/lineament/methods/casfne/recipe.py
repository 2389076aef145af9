# SPDX-License-Identifier: Apache-2.0
"""How Cas-FNE is trained: model, discriminator, data and losses, as the training loop wants them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.methods.casfne import losses
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE, CasFNEConfig, CasFNEOutput, casfne, casfne_s
from lineament.networks.discriminator import PatchDiscriminator, adversarial_loss, discriminator_loss
from lineament.networks.encoder import start_encoder
from lineament.networks.weight_files import load_weights, mean_weights, save_weights
from lineament.training.augment import prepared
from lineament.training.batch import Batch
from lineament.training.data import batches
from lineament.training.parallel import constant, draw_number
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, adam, weighted
from lineament.training.relight import relit
from lineament.training.validation import angular_errors

DISCRIMINATOR_DECAY = 5e-4  # the paper's authors' weight decay of the discriminator's optimiser


def model_config(config: CasFNETrainConfig) -> CasFNEConfig:
    """The network's configuration that a training asks for."""
    if config.model == "casfne-s":
        size = casfne_s(config.encoder or "efficientnet-lite0")
    else:
        size = replace(casfne(), encoder=config.encoder or "resnet18")
    return replace(size, fusion=config.fusion, stages=config.stages, crop_size=config.size)


class CasFNERecipe:
    """Binds the network to its losses."""

    def __init__(self, config: CasFNETrainConfig) -> None:
        """Build the networks.

        Raises:
            WeightsError: ImageNet weights that do not fit.
        """
        self.config = config
        self.name: str = config.model
        self.model = CasFNE(model_config(config))
        start_encoder(self.model.encoder, self.model.config.encoder, config.start)
        self.discriminator: nn.Module | None = PatchDiscriminator() if "adv" in config.losses else None

    def start(self) -> None:
        """Take the first weights from files, if some are named."""
        if self.config.init:
            starts = [load_weights(path, CasFNE) for path in self.config.init]
            self.model.load_state_dict(mean_weights(starts))
            if self.config.stages > 0 and any(start.config.stages == 0 for start in starts):
                self.model.start_cascade()
        if self.config.freeze:
            self.model.freeze_initial()

    def auxiliary(self) -> dict[str, nn.Module]:
        """The discriminator, where there is one."""
        return {} if self.discriminator is None else {"discriminator": self.discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for the network and for the discriminator."""
        optimizers = {"model": adam(self.model, self.config.learning_rate, self.config.weight_decay)}
        if self.discriminator is not None:
            optimizers["discriminator"] = adam(self.discriminator, self.config.learning_rate, DISCRIMINATOR_DECAY)
        return optimizers

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Photos, normals and faces."""
        return batches(self.config, split, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the generator and, where there is one, of the discriminator."""
        config = self.config
        batch = prepared(relit(batch, config.relight, config.seed, draw_number(step)), config, step)

        def generated() -> tuple[Tensor, tuple[dict[str, Tensor], list[Tensor]]]:
            total, parts, normals = self.generator_loss(batch, autocast)
            return total, (parts, normals)

        loss, norm, (parts, normals) = learners["model"].descend(generated)
        values: dict[str, Tensor] = {"loss": loss, "gradient_norm": norm, **parts}
        if "discriminator" in learners:
            values["discriminator"], _, _ = learners["discriminator"].descend(
                lambda: (self.discriminator_loss(batch, normals, autocast), None)
            )
        return values

    def validate(self, model: CasFNE, device: torch.device, sheet: Path) -> dict[str, float]:
        """Angular error per stage."""
        return validate(model, self.config, device, sheet)

    def save(self, model: CasFNE, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights."""
        save_weights(model, path, metadata)

    def generator_loss(self, batch: Batch, autocast: torch.autocast) -> tuple[Tensor, dict[str, Tensor], list[Tensor]]:
        """Equation 8 on one batch.

        Returns:
            The total; its parts by name and every stage's normals [B, 3, H, W], both without gradient.
        """
        with autocast:
            output, batch = estimated(self.model, batch, self.config)
        truth, face = batch["normals"], batch["face"]
        parts = {"mask": losses.mask_loss(output.mask_logits, face)}
        if "rec" in self.config.losses:
            parts["rec"] = losses.reconstruction_loss(output.normals, truth, face, self.config.reconstruction)
        if "likelihood" in self.config.losses:
            parts["likelihood"] = losses.likelihood_loss(output.normals, output.concentrations, truth, face)
        if "tv" in self.config.losses:
            parts["tv"] = losses.total_variation_loss(output.normals)
        if self.discriminator is not None:
            with autocast, constant(self.discriminator):
                logits = [self.discriminator(n * face) for n in output.normals]
            parts["adv"] = adversarial_loss([each.float() for each in logits])
        total, shown = weighted(parts, losses.WEIGHTS)
        return total, shown, [n.detach() for n in output.normals]

    def discriminator_loss(self, batch: Batch, normals: Sequence[Tensor], autocast: torch.autocast) -> Tensor:
        """The discriminator's own loss on a batch and the normals that `generator_loss` gave for it."""
        assert self.discriminator is not None
        with autocast:
            real = self.discriminator(batch["normals"] * batch["face"])
            fake = [self.discriminator(n * batch["face"]) for n in normals]
        return discriminator_loss(real.float(), [each.float() for each in fake])


def estimated(model: CasFNE, batch: Batch, config: CasFNETrainConfig) -> tuple[CasFNEOutput, Batch]:
    """What the network says of a batch, and the batch, both at the resolution that the configuration trains."""
    if config.half:
        return model.at_half_resolution(batch.image), batch.at_half_resolution()
    return model(batch.image, config.stages), batch


def validate(model: CasFNE, config: CasFNETrainConfig, device: torch.device, sheet: Path | None) -> dict[str, float]:
    """Mean angular error in degrees, over face pixels of people kept from training, per stage."""

    def estimate(batch: Batch) -> tuple[list[Tensor], Batch]:
        output, batch = estimated(model, batch, config)
        return output.normals, batch

    source = islice(batches(config, "validation", 0, device), config.validation_batches)
    errors = angular_errors(source, estimate, sheet)
    return {f"validation_error_stage_{stage}": error for stage, error in enumerate(errors)}


def steps_of(config: CasFNETrainConfig) -> list[Step]:
    """The one step of a training."""
    return [Step(config.model, config, lambda: CasFNERecipe(config))]


TRAINING = Training(CasFNETrainConfig, steps_of)
