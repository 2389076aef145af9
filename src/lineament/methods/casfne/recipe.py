# SPDX-License-Identifier: Apache-2.0
"""How Cas-FNE is trained: model, discriminator and losses, as the training loop wants them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.methods.casfne import losses
from lineament.methods.casfne.model import CasFNE, CasFNEConfig, casfne, casfne_s
from lineament.networks.discriminator import PatchDiscriminator
from lineament.networks.resnet import load_imagenet_weights
from lineament.training.config import TrainConfig
from lineament.training.data import Batch


def model_config(config: TrainConfig) -> CasFNEConfig:
    """The network's configuration that a training asks for."""
    from dataclasses import replace

    size = casfne_s() if config.model == "casfne-s" else casfne()
    return replace(size, fusion=config.fusion, stages=config.stages, crop_size=config.size)


class CasFNERecipe:
    """Binds the network to its losses."""

    def __init__(self, config: TrainConfig) -> None:
        """Build the networks.

        Raises:
            WeightsError: ImageNet weights that do not fit.
        """
        self.config = config
        self.model = CasFNE(model_config(config))
        if config.imagenet is not None:
            load_imagenet_weights(self.model.encoder, config.imagenet)
        self.discriminator: nn.Module | None = PatchDiscriminator() if "adv" in config.losses else None

    def generator_loss(self, batch: Batch, autocast: torch.autocast) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Equation 8 on one batch.

        Returns:
            The total, its parts by name, and the last stage's normals [B, 3, H, W] (detached).
        """
        with autocast:
            output = self.model(batch.image, self.config.stages)
        parts = {"mask": losses.mask_loss(output.mask_logits, batch.face)}
        if "rec" in self.config.losses:
            parts["rec"] = losses.reconstruction_loss(
                output.normals, batch.normals, batch.face, self.config.reconstruction
            )
        if "tv" in self.config.losses:
            parts["tv"] = losses.total_variation_loss(output.normals)
        if self.discriminator is not None:
            with autocast:
                logits = [self.discriminator(n * batch.face) for n in output.normals]
            parts["adv"] = losses.adversarial_loss([each.float() for each in logits])
        total = torch.stack([losses.WEIGHTS[name] * part for name, part in parts.items()]).sum()
        self._predicted = [n.detach() for n in output.normals]
        return total, {name: part.detach() for name, part in parts.items()}, self._predicted[-1]

    def discriminator_loss(self, batch: Batch, autocast: torch.autocast) -> Tensor:
        """The discriminator's own loss on the predictions of the last `generator_loss`."""
        assert self.discriminator is not None
        with autocast:
            real = self.discriminator(batch.normals * batch.face)
            fake = [self.discriminator(n * batch.face) for n in self._predicted]
        return losses.discriminator_loss(real.float(), [each.float() for each in fake])
