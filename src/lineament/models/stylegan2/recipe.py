# SPDX-License-Identifier: Apache-2.0
"""How StyleGAN2 is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.models.stylegan2.config import StyleGAN2TrainConfig
from lineament.models.stylegan2.model import StyleGAN2
from lineament.models.stylegan2.sampling import grow, write_samples
from lineament.models.stylegan2.start_recipe import StartRecipe
from lineament.networks.stylegan2 import Generator
from lineament.networks.stylegan2_discriminator import (
    Discriminator,
    discriminator_loss,
    generator_loss,
    path_lengths,
    r1_penalty,
)
from lineament.networks.weight_files import save_weights
from lineament.training.augment import Draws
from lineament.training.batch import Batch
from lineament.training.data import unlabelled_batches
from lineament.training.parallel import constant, draw_number
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner

_DECAY = 0.99  # of Adam's second moment, for one step a batch
_PATH_DECAY = 0.99  # of the mean path length
_MOVED = 0.0625  # of the side, by which pictures are moved before the discriminator sees them


class PathMean(nn.Module):
    """The running mean a of equation 4, kept with the checkpoint."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))


class StyleGAN2Recipe:
    """Binds generator and discriminator to their losses."""

    def __init__(self, config: StyleGAN2TrainConfig, before: Path | None = None) -> None:
        """Build the networks; the generator starts from weights ``before``, or from those that are named."""
        self.config, self.before = config, before or config.init
        self.name: str = config.model
        size = config.network()
        self.model = StyleGAN2(size)
        self.discriminator = Discriminator(size.size, size.channels)
        self.path = PathMean()

    def start(self) -> None:
        """Take the generator from a file, if one is named."""
        if self.before is not None:
            grow(self.model, self.before)

    def auxiliary(self) -> dict[str, nn.Module]:
        """The discriminator, and the mean path length."""
        return {"discriminator": self.discriminator, "path": self.path}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam without momentum; where penalties come lazily, as many more steps of it are allowed for (appendix B)."""
        config = self.config
        found: dict[str, torch.optim.Optimizer] = {}
        for name, network, interval in (
            ("model", self.model, config.path_interval if config.path_weight else 0),
            ("discriminator", self.discriminator, config.gradient_interval if config.gamma else 0),
        ):
            share = interval / (interval + 1) if interval else 1.0
            found[name] = torch.optim.Adam(network.parameters(), config.learning_rate, (0.0, _DECAY**share))
        return found

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Pictures of synthetic faces, and photos besides."""
        config = self.config
        return unlabelled_batches(config, config.photos, config.photo_share, first, device)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step of the discriminator and of the generator, and their penalties where one is due."""
        config, device = self.config, batch.image.device
        draw = Draws(config.seed, draw_number(step), len(batch), device)
        real = 2.0 * batch.image - 1.0
        generator = self.model.generator
        with torch.no_grad(), autocast:
            fake = generator.synthesis(self._codes(generator, draw), draw.generator).float()

        def judged() -> tuple[Tensor, None]:
            shift = _shifts(draw, config.colour_shift)
            with autocast:
                both = [self.discriminator(_varied(picture, *shift)).float() for picture in (real, fake)]
            return discriminator_loss(*both), None

        values: dict[str, Tensor] = {}
        values["discriminator"], _, _ = learners["discriminator"].descend(judged)
        if config.gamma and step % config.gradient_interval == 0:
            shown = _varied(real, *_shifts(draw, config.colour_shift))
            weight = 0.5 * config.gamma * config.gradient_interval
            values["r1"], _, _ = learners["discriminator"].descend(
                lambda: (_of_all(self.discriminator, weight * r1_penalty(self.discriminator, shown)), None)
            )

        def made() -> tuple[Tensor, None]:
            with autocast:
                picture = generator.synthesis(self._codes(generator, draw), draw.generator)
                with constant(self.discriminator):
                    logits = self.discriminator(_varied(picture.float(), *_shifts(draw, config.colour_shift)))
            return generator_loss(logits.float()), None

        values["loss"], values["gradient_norm"], _ = learners["model"].descend(made)
        if config.path_weight and step % config.path_interval == 0:
            values["path"], _, _ = learners["model"].descend(
                lambda: (_of_all(self.model, self._path_penalty(draw)), None)
            )
        return values

    def _codes(self, generator: Generator, draw: Draws) -> Tensor:
        """w of random latents, some of them mixed."""
        z, other = (draw.noise(torch.empty(draw.count, generator.latent, device=draw.device)) for _ in range(2))
        first = 1 + (draw.uniform(0, 1) * (generator.stages - 1)).long()
        first = torch.where(draw.uniform(0, 1) < self.config.mixing, first, generator.stages)
        return generator.codes(z, other, first)

    def _path_penalty(self, draw: Draws) -> Tensor:
        """Equation 4 on half a batch, which moves the mean path length, too."""
        generator, count = self.model.generator, max(1, draw.count // 2)
        z = draw.noise(torch.empty(count, generator.latent, device=draw.device))
        lengths = path_lengths(generator.synthesis, generator.codes(z).contiguous(), draw.generator)
        self.path.mean.lerp_(lengths.detach().mean(), 1.0 - _PATH_DECAY)
        return self.config.path_weight * self.config.path_interval * (lengths - self.path.mean).square().mean()

    def validate(self, model: StyleGAN2, device: torch.device, sheet: Path) -> dict[str, float]:
        """Draw pictures of latents that stay the same."""
        write_samples(model, device, sheet)
        return {}

    def save(self, model: StyleGAN2, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged generator."""
        save_weights(model, path, metadata)


def _of_all(network: nn.Module, penalty: Tensor) -> Tensor:
    """A penalty that gives every weight of a network a gradient, zero where it does not depend on it.

    Several processes that train together expect one of the same weights in every step.
    """
    return penalty + 0.0 * torch.stack([parameter.sum() for parameter in network.parameters()]).sum()


def _shifts(draw: Draws, strength: float) -> tuple[Tensor, Tensor, Tensor] | tuple[()]:
    """How pictures are varied: mirrored where below zero, moved, brightened."""
    if not strength:
        return ()
    mirror = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    moved = torch.stack([draw.uniform(-2 * _MOVED, 2 * _MOVED) for _ in range(2)], dim=1)
    return mirror, moved, draw.uniform(-strength, strength)


def _varied(
    picture: Tensor, mirror: Tensor | None = None, moved: Tensor | None = None, shift: Tensor | None = None
) -> Tensor:
    """Pictures [B, 3, S, S] as the discriminator sees them (Zhao et al. 2020, "Differentiable Augmentation")."""
    if mirror is None or moved is None or shift is None:
        return picture
    one, zero = torch.ones_like(mirror), torch.zeros_like(mirror)
    rows = torch.stack([mirror, zero, moved[:, 0], zero, one, moved[:, 1]], dim=1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(picture.shape), align_corners=False)
    placed = F.grid_sample(picture, grid, padding_mode="zeros", align_corners=False)
    return placed + shift[:, None, None, None]


def steps_of(config: StyleGAN2TrainConfig) -> list[Step]:
    """The adversarial training, and its start before it, where one is asked for."""
    if not config.start_steps:
        return [Step(config.model, config, lambda: StyleGAN2Recipe(config))]
    first = config.start()
    start = Step(config.model, first, lambda: StartRecipe(first))
    return [start, Step(config.model, config, lambda: StyleGAN2Recipe(config, start.weights))]


TRAINING = Training(StyleGAN2TrainConfig, steps_of)
