# SPDX-License-Identifier: Apache-2.0
"""DF²Net's networks (Zeng, Peng and Qiao 2019, "DF²Net: A Dense-Fine-Finer Network for Detailed 3D Face
Reconstruction", section 3).

D-Net is ``DenseNetwork`` (section 3.3), F-Net is ``FineNetwork`` (3.4), Fr-Net is ``FinerNetwork`` (3.5). Depth is a
share of the crop's side, larger is nearer, zero at the face's mean: in that unit a face fits into tanh's range at
any resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.methods.df2net.finer import EncoderFinerNetwork
from lineament.methods.df2net.method import WEIGHTS
from lineament.methods.df2net.parts import SMALL, convolution, seen_of
from lineament.networks.blocks import eval_frozen, full_precision
from lineament.networks.unet import Pix2PixUNet, check_images
from lineament.render.colour import LUMA
from lineament.weights.schema import WeightsFormat

Refinement = Literal["finer", "plain", "stacked"]
DenseEnd = Literal["transposed", "convolutions"]
FinerLayout = Literal["columns", "encoder"]


@dataclass(frozen=True)
class DF2NetConfig:
    """Sizes of the three networks."""

    levels: int = 8
    """Depth of D-Net's U-Net: crops must be multiples of 2 ** levels."""
    width: int = 64
    """Channels of its first level."""
    channels: tuple[int, int, int] = (16, 32, 64)
    """Channels of F-Net's hypercolumn at full, half and quarter resolution."""
    finer_channels: tuple[int, int, int] = (16, 32, 64)
    """Channels of Fr-Net's hypercolumns, or of the second F-Net."""
    dense_scale: int = 1
    """How many times smaller D-Net sees the crop: its depth is the wide shape, which needs few pixels."""
    refinement: Refinement = "finer"
    """The last network: Fr-Net, Fr-Net without its multi-resolution blocks, or a second F-Net (section 4.1)."""
    crop_size: int = 512
    """Side of the crop, pixels, that the weights were trained for."""
    dense_end: DenseEnd = "transposed"
    """D-Net's end: pix2pix's transposed convolution, or one to ``width`` channels and three 3×3 convolutions at full
    resolution, as in the authors' code. A stride-2 transposed convolution treats even and odd pixels differently, and
    with nothing behind it leaves a pattern of two pixels in the depth."""
    finer_layout: FinerLayout = "columns"
    """Fr-Net of a hypercolumn at each resolution (ours), or, as drawn in figure 2, of one encoder from the full
    resolution down to a quarter and blocks that come back up with its skips."""

    def __post_init__(self) -> None:
        if self.dense_scale < 1:
            raise UsageError(f"dense_scale must be at least 1, not {self.dense_scale}")
        if self.crop_size % self.multiple:
            raise UsageError(f"crops must be multiples of {self.multiple} pixels, not {self.crop_size}")
        if self.refinement not in ("finer", "plain", "stacked"):
            raise UsageError(f"refinement must be finer, plain or stacked, not {self.refinement!r}")
        if self.dense_end not in ("transposed", "convolutions"):
            raise UsageError(f"dense_end must be transposed or convolutions, not {self.dense_end!r}")
        if self.finer_layout not in ("columns", "encoder"):
            raise UsageError(f"finer_layout must be columns or encoder, not {self.finer_layout!r}")

    @property
    def multiple(self) -> int:
        """Sides of crops are multiples of this: D-Net's U-Net halves what it sees once per level."""
        return int(2**self.levels * self.dense_scale)


def df2net(crop_size: int = 512) -> DF2NetConfig:
    """The paper's size."""
    return DF2NetConfig(dense_end="convolutions", finer_layout="encoder", crop_size=crop_size)


def df2net_s(crop_size: int = 256) -> DF2NetConfig:
    """The small size, about 2 M parameters; D-Net at half the resolution, F-Net with half the channels."""
    return DF2NetConfig(levels=6, width=16, channels=(8, 16, 32), dense_scale=2, crop_size=crop_size)


@dataclass(frozen=True)
class DF2NetOutput:
    """Depth [B, 1, H, W] of every network, as shares of the side."""

    dense: Tensor
    fine: Tensor
    finer: Tensor


class DF2Net(nn.Module):
    """All three networks, one after the other."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = DF2NetConfig

    def __init__(self, config: DF2NetConfig) -> None:
        super().__init__()
        self.config = config
        self.dense = DenseNetwork(config)
        self.fine = FineNetwork(config.channels)
        self.finer = refining_network(config)

    def train(self, mode: bool = True) -> DF2Net:
        """Switch the mode of what learns; frozen networks stay as they are in use, their normalisation with them."""
        super().train(mode)
        eval_frozen(self)
        return self

    def forward(self, image: Tensor) -> DF2NetOutput:
        """Depth of photos [B, 3, H, W] in [0, 1]; H and W multiples of ``config.multiple``.

        Raises:
            UsageError: Another shape.
        """
        check_images(image, self.config.multiple)
        dense = self.dense(image)
        fine = self.fine(image, dense)
        return DF2NetOutput(dense, fine, self.finer(image, fine))

    def run_stages(self, image: Tensor, stages: int) -> None:
        """Do the work of so many stages after the first, to measure its cost."""
        depth = self.dense(image)
        for network in (self.fine, self.finer)[:stages]:
            depth = network(image, depth)


class DenseNetwork(nn.Module):
    """D-Net: a U-Net from the photo to depth."""

    def __init__(self, config: DF2NetConfig) -> None:
        super().__init__()
        ends_in_one = config.dense_end == "transposed"
        self.unet = Pix2PixUNet(3, 1 if ends_in_one else config.width, config.levels, config.width)
        self.scale = config.dense_scale
        self.end: nn.Module = nn.Identity() if ends_in_one else _dense_end(config.width)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, H, W] in [0, 1] to depth [B, 1, H, W]."""
        if self.scale == 1:
            return self.small(image)
        depth = self.small(F.avg_pool2d(image, self.scale))
        # Bicubic: where bilinear depth has creases, its normals have steps.
        return F.interpolate(depth, image.shape[2:], mode="bicubic", align_corners=False)

    def small(self, image: Tensor) -> Tensor:
        """The same of a photo as the network sees it, 1 / ``dense_scale`` of the crop's resolution."""
        features = self.unet.features(2.0 * image - 1.0)
        with full_precision(image):
            return torch.tanh(self.end(self.unet.last(features.float())))

    def adopt(self, unet: Pix2PixUNet) -> None:
        """Start from a U-Net of the same size that sees grey photos and says something else, normals for instance.

        Its first filters are dealt out to the colours by luma; the last layer stays as it is.

        Raises:
            UsageError: Another size.
        """
        known = {name: value for name, value in unet.state_dict().items() if not name.startswith("last.")}
        known["downs.0.weight"] = known["downs.0.weight"] * known["downs.0.weight"].new_tensor(LUMA)[:, None, None]
        own = self.unet.state_dict()
        if any(name not in own or own[name].shape != value.shape for name, value in known.items()):
            raise UsageError("the U-Net to start from is of another size")
        self.unet.load_state_dict(own | known)


class Hypercolumn(nn.Module):
    """Features at full, half and quarter resolution, for 1×1 convolutions over all of them (Hariharan et al. 2015)."""

    def __init__(self, inside: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(convolution(entering, leaving), convolution(leaving, leaving))
            for entering, leaving in zip((inside, *channels[:-1]), channels, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, inside, H, W] to features, each [B, channels, H / 2ⁱ, W / 2ⁱ]."""
        columns: list[Tensor] = []
        for number, scale in enumerate(self.scales):
            x = scale(F.avg_pool2d(x, 2) if number else x)
            columns.append(x)
        return columns


class ColumnConvolution(nn.Conv2d):
    """A 1×1 convolution of a hypercolumn, as if its features stood side by side at full resolution.

    It is linear as enlarging is: each resolution is convolved where it is, and the results are enlarged and added.
    """

    def __init__(self, channels: Sequence[int], outside: int) -> None:
        super().__init__(sum(channels), outside, 1)
        self.of_columns = tuple(channels)

    def forward(self, columns: Sequence[Tensor]) -> Tensor:  # type: ignore[override]
        """Features, each [B, channels, H / 2ⁱ, W / 2ⁱ], to [B, outside, H, W]."""
        weights = self.weight.split(self.of_columns, dim=1)
        seen = F.conv2d(columns[0], weights[0], self.bias)
        for column, weight in zip(columns[1:], weights[1:], strict=True):
            smaller = F.conv2d(column, weight)
            seen = seen + F.interpolate(smaller, seen.shape[2:], mode="bilinear", align_corners=False)
        return seen


class FineNetwork(nn.Module):
    """F-Net: depth and photo, each in features of its own, through a hypercolumn to depth."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        half = channels[0] // 2
        self.of_photo, self.of_depth = convolution(3, half), convolution(3, half)
        self.hypercolumn = Hypercolumn(2 * half, channels)
        self.last = _to_depth(channels)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        """A photo [B, 3, H, W] and depth [B, 1, H, W] to depth [B, 1, H, W]."""
        with full_precision(image):
            seen = torch.cat([self.of_photo(2.0 * image - 1.0), self.of_depth(seen_of(depth))], dim=1)
            return torch.tanh(self.last(self.hypercolumn(seen)))


class FinerNetwork(nn.Module):
    """Fr-Net: the same at a quarter, half and full of the resolution, and a residual onto the depth that came in.

    Each resolution sees the photo averaged down to it, the depth so far, and the features of the one before.
    """

    def __init__(self, channels: Sequence[int], multi_resolution: bool) -> None:
        """Make it; without ``multi_resolution`` the full resolution is the only one."""
        super().__init__()
        half = channels[0] // 2
        self.resolutions = (4, 2, 1) if multi_resolution else (1,)
        self.of_photo = nn.ModuleList(convolution(3, half) for _ in self.resolutions)
        self.of_depth = nn.ModuleList(convolution(3, half) for _ in self.resolutions)
        self.hypercolumns = nn.ModuleList(
            Hypercolumn(2 * half + (0 if number == 0 else channels[0]), channels)
            for number in range(len(self.resolutions))
        )
        self.carried = nn.ModuleList(ColumnConvolution(channels, channels[0]) for _ in self.resolutions[:-1])
        self.last = nn.ModuleList(_to_depth(channels) for _ in self.resolutions)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        """A photo [B, 3, H, W] and depth [B, 1, H, W] to depth [B, 1, H, W]."""
        with full_precision(image):
            return depth + self.residual(image, depth)

    def residual(self, image: Tensor, depth: Tensor) -> Tensor:
        """What is added to depth [B, 1, H, W]."""
        residual, features = depth.new_zeros(len(depth), 1, 1, 1), None
        for number, share in enumerate(self.resolutions):
            photo, known = (F.avg_pool2d(x, share) if share > 1 else x for x in (image, depth))
            residual = F.interpolate(residual, known.shape[2:], mode="bicubic", align_corners=False)
            columns = [self.of_photo[number](2.0 * photo - 1.0), self.of_depth[number](seen_of(known + residual))]
            if features is not None:
                columns.append(F.interpolate(features, known.shape[2:], mode="bilinear", align_corners=False))
            seen = self.hypercolumns[number](torch.cat(columns, dim=1))
            residual = residual + SMALL * self.last[number](seen)
            if number < len(self.carried):
                features = self.carried[number](seen)
        return residual


def refining_network(config: DF2NetConfig) -> nn.Module:
    """The last network that a configuration asks for."""
    if config.refinement == "stacked":
        return FineNetwork(config.finer_channels)
    kind = FinerNetwork if config.finer_layout == "columns" else EncoderFinerNetwork
    return kind(config.finer_channels, config.refinement == "finer")


def matched(config: DF2NetConfig, size: int) -> DF2NetConfig:
    """The configuration with its last network widened to ``size`` parameters, that ablations differ in kind alone."""
    for half in range(2, 65):
        wide = replace(config, finer_channels=(2 * half, 4 * half, 8 * half))
        with torch.device("meta"):
            network = refining_network(wide)
        if sum(parameter.numel() for parameter in network.parameters()) >= size:
            return wide
    raise UsageError(f"no channels give the last network {size} parameters")


def _dense_end(width: int) -> nn.Sequential:
    """D-Net's three 3×3 convolutions at full resolution, [B, width, H, W] to [B, 1, H, W]."""
    layers: list[nn.Module] = [nn.BatchNorm2d(width)]
    for inside, outside in ((width, width), (width, width // 2)):
        layers += [nn.ReLU(), nn.Conv2d(inside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(width // 2, 1, 3, 1, 1))


def _to_depth(channels: Sequence[int]) -> nn.Sequential:
    """1×1 convolutions from a hypercolumn to one channel."""
    inside = sum(channels)
    return nn.Sequential(ColumnConvolution(channels, inside // 2), nn.LeakyReLU(0.2), nn.Conv2d(inside // 2, 1, 1))


def small_network() -> DF2Net:
    """The small size with random weights."""
    return DF2Net(df2net_s())


def paper_network() -> DF2Net:
    """The paper's size with random weights."""
    return DF2Net(df2net())
