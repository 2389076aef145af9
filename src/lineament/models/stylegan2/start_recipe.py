# SPDX-License-Identifier: Apache-2.0
"""A start for StyleGAN2 in minutes: its generator learns first as the decoder of a variational autoencoder.

Adversarial training alone sees a hundred thousand pictures before its own look like faces. As a decoder (Kingma and
Welling 2014) the generator makes blurred faces of normal latents after a few thousand, which adversarial training then
sharpens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.models.features.model import FaceFeatures
from lineament.models.stylegan2.config import StyleGAN2TrainConfig
from lineament.models.stylegan2.model import StyleGAN2, StyleGAN2Config
from lineament.models.stylegan2.sampling import grow, write_samples
from lineament.networks.stylegan2 import EqualisedLinear
from lineament.networks.stylegan2_discriminator import ResidualTrunk
from lineament.networks.vgg import perceptual_distance
from lineament.networks.weight_files import load_weights, save_weights
from lineament.training.augment import Draws
from lineament.training.batch import Batch
from lineament.training.data import unlabelled_batches
from lineament.training.parallel import draw_number
from lineament.training.recipe import Learner, weighted
from lineament.weights import weights_path
from lineament.weights.schema import WeightsFormat

FEATURES = "face-features"
"""Weights of the features that the perceptual loss compares."""
_WEIGHTS: Mapping[str, float] = {"colours": 1.0, "features": 0.1, "divergence": 0.02}
_BLOCKS = 3  # of the features that the perceptual loss compares


class PictureEncoder(nn.Module):
    """From pictures to the mean and the logarithm of the variance of their latents, built as the discriminator is."""

    def __init__(self, size: StyleGAN2Config) -> None:
        super().__init__()
        self.trunk = ResidualTrunk(size.size, size.channels)
        self.last = EqualisedLinear(16 * size.channels[0], 2 * size.latent)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 3, S, S] in [-1, 1] to [B, latent] twice."""
        found = self.last(self.trunk(picture).flatten(1)).float()
        mean, spread = found.chunk(2, dim=1)
        return mean, spread.clamp(-10.0, 4.0)


class Autoencoder(nn.Module):
    """The generator as a decoder, and an encoder before it; it ships as the generator alone."""

    FORMAT: ClassVar[WeightsFormat] = StyleGAN2.FORMAT
    CONFIG: ClassVar[type] = StyleGAN2Config

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.decoder = StyleGAN2(config)
        self.encoder = PictureEncoder(config)


class StartRecipe:
    """Binds generator and encoder to the autoencoder's loss."""

    def __init__(self, config: StyleGAN2TrainConfig) -> None:
        """Build the networks."""
        self.config = config
        self.name: str = config.model
        self.model = Autoencoder(config.network())
        self.features = load_weights(weights_path(FEATURES), FaceFeatures).vgg.requires_grad_(False)

    def start(self) -> None:
        """Take the generator from a file, if one is named."""
        if self.config.init is not None:
            grow(self.model.decoder, self.config.init)

    def auxiliary(self) -> dict[str, nn.Module]:
        """The frozen features."""
        return {"features": self.features}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        return {"model": torch.optim.Adam(self.model.parameters(), self.config.learning_rate, (0.9, 0.99))}

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Pictures of synthetic faces, and photos besides."""
        config = self.config
        return unlabelled_batches(config, config.photos, config.photo_share, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step, on pictures half of which are mirrored."""
        draw = Draws(self.config.seed, draw_number(step), len(batch), batch.image.device)
        mirror = draw.uniform(0, 1)[:, None, None, None] < 0.5
        image = torch.where(mirror, batch.image.flip(-1), batch.image)

        def computed() -> tuple[Tensor, dict[str, Tensor]]:
            with autocast:
                mean, spread = self.model.encoder(2.0 * image - 1.0)
                z = mean + (0.5 * spread).exp() * draw.noise(mean)
                picture = 0.5 + 0.5 * self.model.decoder.generator(z, noise=False)
                features = perceptual_distance(self.features, picture, image, _BLOCKS)
            parts = {
                "colours": F.l1_loss(picture.float(), image),
                "features": features,
                "divergence": 0.5 * (mean.square() + spread.exp() - 1.0 - spread).mean(),
            }
            return weighted(parts, _WEIGHTS)

        loss, norm, parts = learners["model"].descend(computed)
        return {"loss": loss, "gradient_norm": norm, **parts}

    def validate(self, model: Autoencoder, device: torch.device, sheet: Path) -> dict[str, float]:
        """Draw pictures of latents that stay the same."""
        write_samples(model.decoder, device, sheet)
        return {}

    def save(self, model: Autoencoder, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged generator."""
        save_weights(model.decoder, path, metadata)
