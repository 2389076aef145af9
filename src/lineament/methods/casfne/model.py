# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE's network (Wang, Guo and Zhang, "Cas-FNE: Cascaded Face Normal Estimation", section III-B).

The paper's symbols and where they are here: E_f is ``encoder``, D_n is ``initial_decoder`` (equation 4), E_cn is
``normal_encoder``, D_cn is ``cascade_decoder`` (equation 3), z is ``prior``, t is ``stages``. E_cn and D_cn are one
set of weights for all stages. Our additions: a mask logit beside the initial normals, which says where the face is; a
concentration beside the normals of every stage, which says how sure they are (Bae, Budvytis and Cipolla 2021,
"Estimating and exploiting the aleatoric uncertainty in surface normal estimation"); and a head at half resolution,
from which the initial block can learn shapes at less cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.methods.casfne.method import WEIGHTS
from lineament.networks.blocks import eval_frozen
from lineament.networks.encoder import EncoderName, Pyramid, pyramid_encoder
from lineament.networks.modulation import AdaptiveInstanceNorm, channel_deviation
from lineament.networks.normals import unit_normals
from lineament.networks.unet import PyramidDecoder
from lineament.weights.schema import WeightsFormat

Fusion = Literal["cat", "adain", "fmm"]

MAX_STAGES = 5
_OUTPUTS = 4  # of a cascaded stage: a normal and its concentration
MIN_CONCENTRATION = 0.01
"""κ of a normal that could point anywhere: the floor that keeps the likelihood's gradient alive."""


@dataclass(frozen=True)
class CasFNEConfig:
    """The network's size and fusion."""

    width: float = 1.0
    """Width of the ResNet-18 encoder E_f; 1.0 is the original, and the only one that EfficientNet-Lite has."""
    decoder_channels: tuple[int, int, int, int, int] = (256, 256, 256, 256, 128)
    """Channels after each of a decoder's five transposed convolutions, deepest first."""
    normal_channels: int = 32
    """First width of the normal encoder E_cn (the paper's featdim); it grows to eight times that."""
    fusion: Fusion = "cat"
    """How the prior z joins the face's features: CAT, AdaIN or FMM."""
    stages: int = 2
    """Cascaded stages when the caller names none; the paper uses two."""
    crop_size: int = 256
    """Side of the crop, pixels, that the weights were trained for; any multiple of 32 runs."""
    encoder: EncoderName = "resnet18"
    """E_f; the paper's is ResNet-18."""
    layout: Literal["even", "code"] = "even"
    """Decoders of the same channels, ending in 3×3 convolutions; or, as in the authors' code, a cascade's decoder whose
    channels follow the normal encoder's. The paper's 1×1 convolutions end these."""

    def __post_init__(self) -> None:
        if self.fusion not in ("cat", "adain", "fmm"):
            raise UsageError(f"fusion must be cat, adain or fmm, not {self.fusion!r}")
        if self.layout not in ("even", "code"):
            raise UsageError(f"layout must be even or code, not {self.layout!r}")
        _check_stages(self.stages)

    @property
    def cascade_channels(self) -> tuple[int, int, int, int, int]:
        """Channels after each of D_cn's transposed convolutions, deepest first."""
        if self.layout == "even":
            return self.decoder_channels
        c = self.normal_channels
        return (8 * c, 4 * c, 2 * c, 2 * c, _OUTPUTS)


def casfne() -> CasFNEConfig:
    """The paper's size."""
    return CasFNEConfig(decoder_channels=(32, 32, 32, 32, 32), layout="code")


def casfne_s(encoder: EncoderName = "efficientnet-lite0") -> CasFNEConfig:
    """The small size, about 5.7 M parameters; ResNet-18 has half its width in it."""
    width, normal_channels = (0.5, 16) if encoder == "resnet18" else (1.0, 12)
    return CasFNEConfig(width, (128, 96, 48, 24, 16), normal_channels, encoder=encoder)


@dataclass(frozen=True)
class CasFNEOutput:
    """What the network says of a batch of crops."""

    normals: list[Tensor]
    """One [B, 3, H, W] of unit normals in the camera frame per stage, stage 0 (initial block) first."""
    concentrations: list[Tensor]
    """One [B, 1, H, W] of κ > 0 per stage: the larger, the surer the normal (`losses.likelihood_loss`)."""
    mask_logits: Tensor
    """[B, 1, H, W], positive on the face."""


class CasFNE(nn.Module):
    """The initial block and the shared-parameter cascade."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = CasFNEConfig

    mean: Tensor
    std: Tensor

    def __init__(self, config: CasFNEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = pyramid_encoder(config.encoder, config.width)
        channels, last_kernel = self.encoder.channels, 3 if config.layout == "even" else 1
        self.initial_decoder = PyramidDecoder(channels[4], channels[3::-1], config.decoder_channels, 5, last_kernel)
        self.coarse_head = nn.Conv2d(config.decoder_channels[3], 5, 3, 1, 1)
        self.normal_encoder = NormalEncoder(config.normal_channels)
        self.fusion: PriorFusion = _FUSIONS[config.fusion](channels[4], self.normal_encoder.out_channels)
        self.cascade_decoder = PyramidDecoder(
            self.fusion.out_channels, channels[3::-1], config.cascade_channels, _OUTPUTS, last_kernel
        )
        self.register_buffer("mean", torch.tensor(self.encoder.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.STD).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> CasFNE:
        """Switch the mode of what learns; a frozen initial block stays as it is in use."""
        super().train(mode)
        eval_frozen(self)
        return self

    def freeze_initial(self) -> None:
        """Hold the initial block still: the cascade alone learns."""
        for part in (self.encoder, self.initial_decoder, self.coarse_head):
            part.requires_grad_(False)
        self.train(self.training)

    def initial(self, image: Tensor) -> tuple[Pyramid, Tensor, Tensor, Tensor]:
        """The initial block (equation 4), stage 0.

        Args:
            image: [B, 3, H, W] RGB in [0, 1]; H and W multiples of 32.

        Returns:
            The face's features at five scales, normals [B, 3, H, W], concentrations and mask logits [B, 1, H, W].
        """
        features = self._features(image)
        decoded = self.initial_decoder(features[4], features[3::-1])  # [B, 5, H, W]
        return features, unit_normals(decoded[:, :3]), concentration(decoded[:, 4:]), decoded[:, 3:4].float()

    def at_half_resolution(self, image: Tensor) -> CasFNEOutput:
        """The initial block without its decoder's last layers: maps [B, …, H/2, W/2] from [B, 3, H, W].

        For training only. On a CPU those layers, of few channels at full resolution, are slow.
        """
        features = self._features(image)
        decoded = self.coarse_head(self.initial_decoder.up(features[4], features[3::-1], last=3))  # [B, 5, H/2, W/2]
        return CasFNEOutput([unit_normals(decoded[:, :3])], [concentration(decoded[:, 4:])], decoded[:, 3:4].float())

    def cascade(self, features: Pyramid, normals: Tensor) -> tuple[Tensor, Tensor]:
        """One cascaded stage (equation 3): normals [B, 3, H, W] refined; also their concentrations [B, 1, H, W]."""
        prior = self.normal_encoder(normals)  # z, [B, 8 · normal_channels, H/32, W/32]
        fused = self.fusion(features[4], prior)
        decoded = self.cascade_decoder(fused, features[3::-1])  # [B, 4, H, W]
        return unit_normals(decoded[:, :3]), concentration(decoded[:, 3:])

    def _features(self, image: Tensor) -> Pyramid:
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % 32 or image.shape[3] % 32:
            raise UsageError(f"images must be [B, 3, H, W] with H and W multiples of 32, not {tuple(image.shape)}")
        features: Pyramid = self.encoder((image - self.mean) / self.std)
        return features

    @torch.no_grad()
    def start_cascade(self) -> None:
        """Start the cascade's decoder as a copy of the initial one, deaf to the prior's channels.

        With CAT fusion every stage then repeats the initial block's normals, until training finds what to refine.
        """
        if self.config.cascade_channels != self.config.decoder_channels:
            raise UsageError("a cascade whose decoder has other channels than the initial one cannot start as its copy")
        known = self.initial_decoder.state_dict()
        own = self.cascade_decoder.state_dict()
        for name, value in own.items():
            given = known[name]
            if given.shape == value.shape:
                value.copy_(given)
            elif name.startswith("last"):  # the initial block's last layer has the mask in its fourth place
                value.copy_(given[[0, 1, 2, 4]])
            else:  # the first layer has the prior's channels besides
                value.zero_()
                value[: len(given)] = given

    def forward(self, image: Tensor, stages: int | None = None) -> CasFNEOutput:
        """Estimate normals.

        Args:
            image: [B, 3, H, W] RGB in [0, 1]; H and W multiples of 32.
            stages: Number of cascaded stages, 0 to 5; the configuration's by default.

        Returns:
            Normals and concentrations of every stage and the face's mask.

        Raises:
            UsageError: A wrong shape or number of stages.
        """
        stages = self.config.stages if stages is None else stages
        _check_stages(stages)
        features, initial, certainty, mask_logits = self.initial(image)
        normals, concentrations = [initial], [certainty]
        for _ in range(stages):
            refined, certainty = self.cascade(features, normals[-1])
            normals.append(refined)
            concentrations.append(certainty)
        return CasFNEOutput(normals, concentrations, mask_logits)

    def run_stages(self, image: Tensor, stages: int) -> None:
        """Do the work of so many stages after the first, to measure its cost."""
        self(image, stages)


class NormalEncoder(nn.Module):
    """E_cn: five stride-2 convolutions from normals [B, 3, H, W] to the prior z at 1/32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        c = channels
        self.out_channels = 8 * c
        self.layers = nn.Sequential(
            nn.Conv2d(3, c, 4, 2, 1),
            nn.LeakyReLU(0.2),
            *_down(c, 2 * c),
            *_down(2 * c, 4 * c),
            *_down(4 * c, 8 * c),
            nn.Conv2d(8 * c, 8 * c, 4, 2, 1),
        )

    def forward(self, normals: Tensor) -> Tensor:
        """Encode normals in [-1, 1]."""
        z: Tensor = self.layers(normals)
        return z


def _down(inside: int, outside: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)


class PriorFusion(nn.Module):
    """How the prior z joins the deepest features."""

    out_channels: int


class ConcatenationFusion(PriorFusion):
    """CAT, the paper's choice: features and prior side by side."""

    def __init__(self, feature_channels: int, prior_channels: int) -> None:
        super().__init__()
        self.out_channels = feature_channels + prior_channels

    def forward(self, features: Tensor, prior: Tensor) -> Tensor:
        """[B, F, h, w] and [B, P, h, w] to [B, F + P, h, w]."""
        return torch.cat([features, prior], dim=1)


class AdaptiveInstanceFusion(PriorFusion):
    """AdaIN (Huang and Belongie 2017): features take the channel statistics that the prior's statistics ask for."""

    def __init__(self, feature_channels: int, prior_channels: int) -> None:
        super().__init__()
        self.out_channels = feature_channels
        self.normalisation = AdaptiveInstanceNorm(feature_channels, 2 * prior_channels)

    def forward(self, features: Tensor, prior: Tensor) -> Tensor:
        """[B, F, h, w] and [B, P, h, w] to [B, F, h, w]."""
        described = torch.cat([prior.mean((2, 3)), channel_deviation(prior)[:, :, 0, 0]], dim=1)  # [B, 2P]
        fused: Tensor = self.normalisation(features, described)
        return fused


class FeatureModulationFusion(PriorFusion):
    """FMM: the prior predicts a scale and a shift for every place and channel of the features."""

    def __init__(self, feature_channels: int, prior_channels: int) -> None:
        super().__init__()
        self.out_channels = feature_channels
        self.shared = nn.Sequential(nn.Conv2d(prior_channels, feature_channels, 3, 1, 1), nn.LeakyReLU(0.2))
        self.scale = nn.Conv2d(feature_channels, feature_channels, 3, 1, 1)
        self.shift = nn.Conv2d(feature_channels, feature_channels, 3, 1, 1)

    def forward(self, features: Tensor, prior: Tensor) -> Tensor:
        """[B, F, h, w] and [B, P, h, w] to [B, F, h, w]."""
        guide = self.shared(prior)
        fused: Tensor = (1.0 + self.scale(guide)) * features + self.shift(guide)
        return fused


_FUSIONS: dict[Fusion, Callable[[int, int], PriorFusion]] = {
    "cat": ConcatenationFusion,
    "adain": AdaptiveInstanceFusion,
    "fmm": FeatureModulationFusion,
}


def concentration(raw: Tensor) -> Tensor:
    """Any number to a concentration κ > 0, in full precision: ELU + 1, as Bae et al. do."""
    return F.elu(raw.float()) + 1.0 + MIN_CONCENTRATION


def _check_stages(stages: int) -> None:
    if not 0 <= stages <= MAX_STAGES:
        raise UsageError(f"the number of stages must be 0 to {MAX_STAGES}, not {stages}")


def small_network() -> CasFNE:
    """The small size with random weights."""
    return CasFNE(casfne_s())


def paper_network() -> CasFNE:
    """The paper's size with random weights."""
    return CasFNE(casfne())
