# SPDX-License-Identifier: Apache-2.0
"""L2R's section 4.1: the albedo restoration network (ARN), a frozen StyleGAN2 steered by photo and albedo proxy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.methods.l2r.proxy import Encoder, same_size
from lineament.networks.stylegan2 import Generator, Mapping, Stage

GUIDED = 4
"""Stages of the generator that can be guided, 4² to 32²: k."""
_FIRST_PRIOR = 64  # pixels; the smallest of the priors p_1, …, p_m


class AlbedoRestoration(nn.Module):
    """From a degraded photo and its albedo proxy a_o to the restored albedo a_r."""

    def __init__(
        self,
        generator: Generator,
        size: int,
        width: int,
        latent: int,
        several_codes: bool,
        guided_stages: int,
        decoder_width: int,
    ) -> None:
        """Put the networks around a generator.

        Args:
            generator: StyleGAN2.
            size: Side of the restored albedo, pixels.
            width: Channels of the encoders' first layers.
            latent: Numbers that the style encoder gives.
            several_codes: Whether each stage of the generator has a style code of its own.
            guided_stages: How many first stages see the albedo proxy's features; 0 to 4.
            decoder_width: Channels of the prior decoder; 0 takes the generator's picture instead.
        """
        super().__init__()
        self.size = size
        self.generator = generator.synthesis
        stages = self._stages
        for stage in stages:
            stage.drop_unused(colours=decoder_width > 0)
        self.several_codes = several_codes
        code = generator.latent
        self.style = Encoder(width, latent)
        self.entry = nn.Linear(latent, code)
        self.mapping = Mapping(code, len(generator.mapping.layers))
        self.codes = nn.Linear(code, code * (len(stages) if several_codes else 1))
        guide = Encoder(width, latent)
        self.guide = guide.levels if guided_stages else nn.ModuleList()
        self.injections = nn.ModuleList(
            _injection(guide.channels[-1 - number], stages[number].out_channels) for number in range(guided_stages)
        )
        self.steps = nn.ModuleList()
        if decoder_width:
            entering = 0
            for number in self._priors:
                self.steps.append(nn.Sequential(*same_size(entering + stages[number].out_channels, decoder_width)))
                entering = decoder_width
            self.last = nn.Conv2d(decoder_width, 3, 3, 1, 1)

    @property
    def _stages(self) -> list[Stage]:
        return [stage for stage in self.generator.stages if isinstance(stage, Stage)]

    @property
    def _priors(self) -> Sequence[int]:
        """Numbers of the stages whose features are priors: those from 64² on."""
        sides = [4 * 2**number for number in range(len(self.generator.stages))]
        return [number for number, side in enumerate(sides) if side >= min(_FIRST_PRIOR, sides[-1])]

    def take_generator(self, trained: Generator) -> None:
        """Put a trained generator of the same size in the place of the own; the style codes start at its mean ones."""
        found, own = trained.synthesis.state_dict(), self.generator.state_dict()
        self.generator.load_state_dict({name: found[name] for name in own})
        self._centre_codes(trained)

    @torch.no_grad()
    def _centre_codes(self, generator: Generator, samples: int = 4096) -> None:
        chance = torch.Generator().manual_seed(0)
        middle = generator.mapping(torch.randn(samples, generator.latent, generator=chance)).mean(0)
        self.codes.bias.copy_(middle.repeat(len(self.codes.bias) // len(middle)))

    def forward(self, image: Tensor, albedo: Tensor) -> Tensor:
        """Restore the albedo.

        Args:
            image: [B, 3, 64, 64] I in [0, 1].
            albedo: [B, 3, 64, 64] a_o in [0, 1].

        Returns:
            [B, 3, S, S] a_r in [0, 1].
        """
        codes = self._codes(image)
        guidance = self._guidance(albedo)
        x = self.generator.constant.expand(image.shape[0], -1, -1, -1)
        picture: Tensor | None = None
        h: Tensor | None = None
        for number, stage in enumerate(self._stages):
            x = stage(x, codes[:, number], noise=False)
            if number < len(self.injections):
                x = self.injections[number](torch.cat([guidance[number], x], dim=1))
            if not len(self.steps):
                picture = stage.rgb(x, codes[:, number], picture)
            elif number >= self._priors[0]:
                prior = _at(x, min(self.size, x.shape[-1]))
                if h is not None:
                    prior = torch.cat([_at(h, prior.shape[-1]), prior], dim=1)
                h = self.steps[number - self._priors[0]](prior)
        if h is None:
            assert picture is not None
            return (0.5 + 0.5 * _at(picture, self.size).float()).clamp(0.0, 1.0)
        return torch.sigmoid(self.last(_at(h, self.size)).float())

    def _codes(self, image: Tensor) -> Tensor:
        """{c_i} [B, n, W]."""
        _, found = self.style(2.0 * image - 1.0)
        codes: Tensor = self.codes(self.mapping(self.entry(found)))
        stages = len(self.generator.stages)
        codes = codes.unflatten(1, (-1, self.entry.out_features))
        return codes if self.several_codes else codes.expand(-1, stages, -1)

    def _guidance(self, albedo: Tensor) -> list[Tensor]:
        """{g_i}: features of a_o at 4, 8, 16 and 32 pixels."""
        maps: list[Tensor] = []
        x = 2.0 * albedo - 1.0
        for level in self.guide:
            x = level(x)
            maps.append(x)
        return maps[::-1]


def _injection(guide: int, features: int) -> nn.Conv2d:
    """Conv([g_i, f_i]), which starts as one that lets f_i through: the generator's own features, which it knows."""
    convolution = nn.Conv2d(guide + features, features, 3, 1, 1)
    with torch.no_grad():
        convolution.weight[:, guide:] = 0.0
        convolution.weight[range(features), range(guide, guide + features), 1, 1] = 1.0
        convolution.weight[:, :guide] *= 0.1
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    return convolution


def _at(features: Tensor, size: int) -> Tensor:
    """Features at another size: enlarged bilinearly, or shrunk by averaging."""
    if features.shape[-1] == size:
        return features
    if features.shape[-1] > size:
        return F.avg_pool2d(features, features.shape[-1] // size)
    return F.interpolate(features, (size, size), mode="bilinear", align_corners=False)
