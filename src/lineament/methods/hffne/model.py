# SPDX-License-Identifier: Apache-2.0
"""HFFNE's networks (Wang, Wang, Guo and Zhang 2022, "Towards High-Fidelity Face Normal Estimation", section 3).

The paper's symbols and where they are here: the pre-trained network is ``CoarseNormals``, E_R is ``ExemplarEncoder``
(equation 1), E_I is ``FaceEncoder`` (equation 2), D_N is ``NormalDecoder`` (equation 3), F is the ``modulation`` of
its levels (equations 4 to 7), R is ``exemplar``, z is ``vector``. Photos are seen in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.methods.hffne.encoders import SLOPE, ExemplarEncoder, FaceEncoder, Injection, Layout
from lineament.methods.hffne.method import COARSE_WEIGHTS, WEIGHTS, coarse_levels
from lineament.networks.blocks import keep_variance
from lineament.networks.encoder import EncoderName
from lineament.networks.modulation import AdaptiveInstanceNorm, ModulatedConv2d
from lineament.networks.normals import unit_normals
from lineament.networks.unet import Pix2PixUNet, PyramidUNet, check_images
from lineament.render.colour import grey
from lineament.weights.schema import WeightsFormat

Modulation = Literal["stylegan2", "adain", "none"]
CoarseName = Literal["pix2pix", EncoderName]
"""What the coarse network is: pix2pix's U-Net, or a decoder over the encoder of this name."""

_FIRST_SLOPES = 0.1  # of the untrained normals
_COARSE_DECODER = (96, 64, 48, 24, 16)  # channels over an encoder
_KERNELS = (3, 3, 5, 5)  # of the modulated convolutions, from the deepest level to the shallowest


@dataclass(frozen=True)
class CoarseConfig:
    """Size of the coarse network."""

    levels: int = 8
    """Depth of the U-Net: crops must be multiples of 2 ** levels."""
    width: int = 64
    """Channels of its first level."""
    network: CoarseName = "pix2pix"
    """The U-Net of these levels and width, or an encoder by name, which has its own."""
    crop_size: int = 256
    """Side of the crop, pixels, that the weights were trained for."""

    def __post_init__(self) -> None:
        if self.crop_size % self.multiple:
            raise UsageError(f"crops must be multiples of {self.multiple} pixels, not {self.crop_size}")

    @property
    def multiple(self) -> int:
        """Sides of crops are multiples of this."""
        return int(2 ** coarse_levels(self.network, self.levels))


@dataclass(frozen=True)
class HFFNEConfig:
    """Sizes of all networks, and how the exemplar joins the face."""

    coarse_levels: int = 8
    """Depth of the coarse U-Net."""
    coarse_width: int = 64
    """Channels of its first level."""
    coarse_network: CoarseName = "pix2pix"
    """The coarse network: pix2pix's U-Net of these levels and width, or an encoder by name, which has its own."""
    vgg_width: float = 1.0
    """Width of the VGG-19 before the exemplar encoder; 1.0 is the original."""
    face_channels: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    """Channels of the face encoder E_I at 1/2 to 1/32; at 1/1 to 1/16 in the code's layout."""
    vector: int = 512
    """Length of z, the exemplar's description."""
    injection: Injection = "modulation"
    """How the exemplar joins the face: A1 (concatenated at the skips), A2 (its features at the bottleneck), A3 (as a
    vector that modulates the decoder)."""
    modulation: Modulation = "stylegan2"
    """How A3's vector acts: modulated convolutions, AdaIN, or concatenated to the features ("w/o modulation")."""
    crop_size: int = 256
    """Side of the crop, pixels, that the weights were trained for."""
    layout: Layout = "text"
    """Second stage as the paper's text has it, or as the authors' code: E_I from the full resolution on, transposed
    convolutions up, more layers in E_R."""

    def __post_init__(self) -> None:
        self.coarse()
        if self.layout not in ("text", "code"):
            raise UsageError(f"layout must be text or code, not {self.layout!r}")
        if self.injection not in ("skips", "bottleneck", "modulation"):
            raise UsageError(f"injection must be skips, bottleneck or modulation, not {self.injection!r}")
        if self.modulation not in ("stylegan2", "adain", "none"):
            raise UsageError(f"modulation must be stylegan2, adain or none, not {self.modulation!r}")

    def coarse(self) -> CoarseConfig:
        """The coarse network's part."""
        return CoarseConfig(self.coarse_levels, self.coarse_width, self.coarse_network, self.crop_size)


def hffne(crop_size: int = 256) -> HFFNEConfig:
    """The paper's size."""
    return HFFNEConfig(face_channels=(64, 128, 256, 512, 1024), layout="code", crop_size=crop_size)


def hffne_s(crop_size: int = 128, coarse_network: CoarseName = "efficientnet-lite0") -> HFFNEConfig:
    """The small size; 5.4 M parameters in configuration A1, of which 3.8 M are the coarse network's."""
    return HFFNEConfig(
        coarse_levels=6,
        coarse_width=16,
        coarse_network=coarse_network,
        vgg_width=0.25,
        face_channels=(16, 32, 64, 128, 128),
        vector=128,
        crop_size=crop_size,
    )


@dataclass(frozen=True)
class HFFNEOutput:
    """What the networks say of a batch of crops."""

    coarse: Tensor
    """[B, 3, H, W] unit normals in the camera frame, of the first stage."""
    refined: Tensor
    """The same of the second."""


class CoarseNormals(nn.Module):
    """Stage one: the coarse normal of a photo, by pix2pix's generator or by a decoder over a pretrained encoder."""

    FORMAT: ClassVar[WeightsFormat] = COARSE_WEIGHTS
    CONFIG: ClassVar[type] = CoarseConfig

    def __init__(self, config: CoarseConfig) -> None:
        super().__init__()
        self.config = config
        self.unet: nn.Module
        if config.network == "pix2pix":
            self.unet = Pix2PixUNet(1, 3, config.levels, config.width)
        else:
            self.unet = PyramidUNet(config.network, 3, _COARSE_DECODER)

    def forward(self, image: Tensor) -> Tensor:
        """Unit normals [B, 3, H, W] of photos [B, 3, H, W] in [0, 1].

        Raises:
            UsageError: Sides that are no multiples of ``config.multiple``.
        """
        check_images(image, self.config.multiple)
        seen = grey(image)
        if self.config.network == "pix2pix":
            return unit_normals(self.unet(2.0 * seen - 1.0))
        return unit_normals(self.unet(seen.expand(-1, 3, -1, -1)))


class HFFNE(nn.Module):
    """Both stages: the frozen coarse network, and the exemplar-based one that refines."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = HFFNEConfig

    def __init__(self, config: HFFNEConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse = CoarseNormals(config.coarse()).requires_grad_(False)
        self.face_encoder = FaceEncoder(config.face_channels, config.layout)
        self.exemplar_encoder: ExemplarEncoder | None = None
        if config.injection != "skips":
            self.exemplar_encoder = ExemplarEncoder(config.vgg_width, config.vector, config.injection, config.layout)
        self.decoder = NormalDecoder(config)
        self.train()

    def train(self, mode: bool = True) -> HFFNE:
        """Switch the second stage's mode; the coarse network always stays as it is in use."""
        super().train(mode)
        self.coarse.eval()
        return self

    def refine(self, image: Tensor, exemplar: Tensor) -> Tensor:
        """Stage two, φ(I, R): fine normals from a photo and any coarse normals.

        Args:
            image: [B, 3, H, W] in [0, 1].
            exemplar: [B, 3, H, W] normals, zero where there are none.

        Returns:
            [B, 3, H, W] unit normals in the camera frame.
        """
        features = self.face_encoder(2.0 * grey(image) - 1.0)
        described = exemplar if self.exemplar_encoder is None else self.exemplar_encoder(exemplar)
        return unit_normals(self.decoder(features, described))

    def forward(self, image: Tensor, exemplar: Tensor | None = None) -> HFFNEOutput:
        """Estimate normals.

        Args:
            image: [B, 3, H, W] in [0, 1]; sides that are multiples of 32 and of the coarse network's.
            exemplar: [B, 3, H, W] normals to refine instead of the coarse network's.
        """
        with torch.no_grad():
            coarse = self.coarse(image)
        return HFFNEOutput(coarse, self.refine(image, coarse if exemplar is None else exemplar))

    def run_stages(self, image: Tensor, stages: int) -> None:
        """Do the work of so many stages after the first, to measure its cost."""
        if stages:
            self(image)
        else:
            self.coarse(image)


class NormalDecoder(nn.Module):
    """D_N: four levels up from f_5, each joined by a skip, and a last step, in the text's layout from 1/2 to 1/1."""

    def __init__(self, config: HFFNEConfig) -> None:
        super().__init__()
        channels = config.face_channels
        self.injection = config.injection
        self.layout: Layout = config.layout
        if config.injection == "bottleneck":
            self.join = nn.Conv2d(channels[4] + config.vector, channels[4], 1)
        vector = config.vector if config.injection == "modulation" else 0
        auxiliary = 3 if config.injection == "skips" else 0
        self.levels = nn.ModuleList(
            DecoderLevel(
                channels[i + 1],
                channels[i] // 4 + auxiliary,
                channels[i],
                kernel,
                vector,
                config.modulation,
                config.layout,
            )
            for i, kernel in zip((3, 2, 1, 0), _KERNELS, strict=True)
        )
        to_normals = nn.Conv2d(channels[0], 3, 3, 1, 1)
        self.last = nn.Sequential(nn.Conv2d(channels[0], channels[0], 3, 1, 1), nn.LeakyReLU(SLOPE), to_normals)
        keep_variance(self, SLOPE)
        # All normals start near the viewer's direction: where tanh is saturated nothing is learned any more.
        assert to_normals.bias is not None
        with torch.no_grad():
            to_normals.weight.mul_(_FIRST_SLOPES)
            to_normals.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))

    def forward(self, features: Sequence[Tensor], described: Tensor) -> Tensor:
        """Decode.

        Args:
            features: f_1 to f_5.
            described: z [B, vector] (A3), features [B, vector, H/32, W/32] (A2) or the exemplar [B, 3, H, W] (A1).

        Returns:
            [B, 3, H, W] of any range.
        """
        x = features[4]
        if self.injection == "bottleneck":
            if described.shape[2:] != x.shape[2:]:
                described = F.interpolate(described, x.shape[2:], mode="bilinear", align_corners=False)
            x = self.join(torch.cat([x, described], dim=1))
        for level, feature in zip(self.levels, features[3::-1], strict=True):
            skip = feature[:, : feature.shape[1] // 4]
            if self.injection == "skips":
                small = F.interpolate(described, feature.shape[2:], mode="bilinear", align_corners=False)
                skip = torch.cat([skip, small], dim=1)
            x = level(x, skip, described)
        out: Tensor = self.last(upsampled(x) if self.layout == "text" else x)
        return out


class DecoderLevel(nn.Module):
    """Up, joined by a skip, two convolutions, the modulation F, and a shortcut beside them."""

    def __init__(
        self, inside: int, skip: int, outside: int, kernel: int, vector: int, modulation: Modulation, layout: Layout
    ) -> None:
        """Make a level; ``vector`` 0 leaves the modulation out."""
        super().__init__()
        self.up: nn.Module | None = None
        if layout == "code":
            self.up, inside = nn.ConvTranspose2d(inside, inside // 2, 2, 2), inside // 2
        self.modulation: Modulation | None = modulation if vector else None
        entering = inside + skip + (vector if self.modulation == "none" else 0)
        self.convolutions = nn.Sequential(
            nn.Conv2d(entering, outside, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(outside, outside, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
        )
        self.modulated: nn.Module
        if self.modulation == "stylegan2":
            self.modulated = ModulatedConv2d(outside, outside, kernel, vector)
        else:
            self.modulated = nn.Conv2d(outside, outside, kernel, 1, kernel // 2)
        if self.modulation == "adain":
            self.normalisation = AdaptiveInstanceNorm(outside, vector)
        self.activation = nn.LeakyReLU(SLOPE)
        self.shortcut = nn.Conv2d(entering, outside, 1, bias=False)

    def forward(self, x: Tensor, skip: Tensor, z: Tensor) -> Tensor:
        """[B, inside, h, w], [B, skip, 2h, 2w] and z [B, vector] to [B, outside, 2h, 2w]."""
        x = torch.cat([upsampled(x) if self.up is None else self.up(x), skip], dim=1)
        if self.modulation == "none":
            x = torch.cat([x, z[:, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)
        y = self.convolutions(x)
        y = self.modulated(y, z) if self.modulation == "stylegan2" else self.modulated(y)
        if self.modulation == "adain":
            y = self.normalisation(y, z)
        out: Tensor = (self.activation(y) + self.shortcut(x)) / math.sqrt(2.0)
        return out


def upsampled(x: Tensor) -> Tensor:
    """Twice the resolution, bilinear."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def small_network() -> HFFNE:
    """The small size with random weights."""
    return HFFNE(hffne_s())


def paper_network() -> HFFNE:
    """The paper's size with random weights."""
    return HFFNE(hffne())
