# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2's generator (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN").

Layers have an equalised learning rate: weights of unit variance, scaled when they are used (Karras et al. 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.networks.blocks import full_precision
from lineament.networks.modulation import demodulation

_SLOPE = 0.2
_GAIN = math.sqrt(2.0)  # of a leaky ReLU, so that it keeps the variance
_EPSILON = 1e-8


def stage_sides(size: int) -> list[int]:
    """Sides of the stages' maps: 4, 8, … up to a power of two.

    Raises:
        UsageError: Another size, or one below 8.
    """
    if size < 8 or size & (size - 1):
        raise UsageError(f"StyleGAN2's pictures have a power of two of pixels a side, from 8 on, not {size}")
    return [4 * 2**number for number in range((size // 4).bit_length())]


def activated(x: Tensor) -> Tensor:
    """Leaky ReLU that keeps the variance."""
    return F.leaky_relu(x, _SLOPE) * _GAIN


class EqualisedLinear(nn.Module):
    """A fully connected layer with an equalised learning rate."""

    def __init__(self, inside: int, outside: int, bias: float = 0.0, rate: float = 1.0) -> None:
        """Make one whose learning rate is ``rate`` times that of others."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside) / rate)
        self.bias = nn.Parameter(torch.full((outside,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inside), rate

    def forward(self, x: Tensor) -> Tensor:
        """[B, in] to [B, out]."""
        return F.linear(x, self.gain * self.weight, self.rate * self.bias)


class EqualisedConv(nn.Module):
    """A convolution with an equalised learning rate that keeps the size."""

    def __init__(self, inside: int, outside: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        self.gain = 1.0 / math.sqrt(inside * kernel**2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] to [B, out, H, W]."""
        return F.conv2d(x, self.gain * self.weight, self.bias, padding=self.weight.shape[-1] // 2)


class Mapping(nn.Module):
    """The mapping network f: Z to W, fully connected layers that learn a hundred times more slowly."""

    def __init__(self, latent: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualisedLinear(latent, latent, rate=0.01) for _ in range(layers))

    def forward(self, z: Tensor) -> Tensor:
        """[B, latent] to [B, latent]."""
        with full_precision(z):
            x = z if z.dtype == torch.float64 else z.float()
            x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + _EPSILON)
            for layer in self.layers:
                x = activated(layer(x))
        return x


class StyleConv(nn.Module):
    """A convolution modulated by a style (equations 1 and 3), with noise, bias and activation.

    w'_ijk = s_i w_ijk, and w''_ijk = w'_ijk / √(Σ w'² + ε). The input scaled by s and the output by the demodulation is
    the same, and one convolution for the whole batch.
    """

    def __init__(self, inside: int, outside: int, code: int, enlarges: bool) -> None:
        super().__init__()
        self.style = EqualisedLinear(code, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outside, inside, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.gain = 1.0 / math.sqrt(inside * 9)
        self.enlarges = enlarges

    def forward(self, x: Tensor, code: Tensor, noise: bool | torch.Generator) -> Tensor:
        """[B, in, H, W] and [B, W] to [B, out, H', W'], at twice the side if it enlarges."""
        with full_precision(code):
            style = self.style(code.to(self.weight.dtype))
            weight = self.gain * self.weight
            scale = demodulation(style, weight)[:, :, None, None]
        x = x * style[:, :, None, None].to(x.dtype)
        if self.enlarges:
            x = blurred(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, gain=4.0)
        else:
            x = F.conv2d(x, weight, padding=1)
        x = x * scale.to(x.dtype)
        if noise is not False:
            chance = noise if isinstance(noise, torch.Generator) else None
            shape = (len(x), 1, *x.shape[2:])
            x = x + self.noise_strength * torch.randn(shape, generator=chance, device=x.device, dtype=x.dtype)
        return activated(x + self.bias[:, None, None].to(x.dtype))  # or it would make maps of bf16 fp32


class ToRGB(nn.Module):
    """Features to colours: a modulated 1×1 convolution without demodulation."""

    def __init__(self, inside: int, code: int) -> None:
        super().__init__()
        self.style = EqualisedLinear(code, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inside, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.gain = 1.0 / math.sqrt(inside)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """[B, in, H, W] and [B, W] to [B, 3, H, W]."""
        style = self.style(code)[:, :, None, None].to(x.dtype)
        return F.conv2d(x * style, self.gain * self.weight, self.bias)


class Stage(nn.Module):
    """All that happens at one resolution: two style convolutions, of which the first enlarges, and its colours.

    The first stage, at 4², has one, and enlarges nothing.
    """

    def __init__(self, inside: int, outside: int, code: int, enlarges: bool) -> None:
        super().__init__()
        self.in_channels, self.out_channels = inside, outside
        first = [StyleConv(inside, outside, code, True)] if enlarges else []
        self.convolutions = nn.ModuleList([*first, StyleConv(outside if enlarges else inside, outside, code, False)])
        self.colours = ToRGB(outside, code)

    def forward(self, x: Tensor, code: Tensor, noise: bool | torch.Generator = False) -> Tensor:
        """Features [B, in, H, W] to [B, out, H', W']; noise comes from a generator, from torch's own, or is none."""
        for convolution in self.convolutions:
            x = convolution(x, code, noise)
        return x

    def drop_unused(self, colours: bool) -> None:
        """Forget what a frozen stage that runs without noise does not need: how strong that is, and its colours."""
        for convolution in self.convolutions:
            convolution.register_parameter("noise_strength", None)
        if colours:
            del self.colours

    def rgb(self, x: Tensor, code: Tensor, picture: Tensor | None = None) -> Tensor:
        """The stage's colours [B, 3, H', W'] added to those of the stage before, which are enlarged."""
        colours: Tensor = self.colours(x, code)
        return colours if picture is None else colours + enlarged(picture)


class Synthesis(nn.Module):
    """The synthesis network g with skips to the picture."""

    def __init__(self, size: int, code: int, channels: Sequence[int]) -> None:
        super().__init__()
        sides = stage_sides(size)
        if len(channels) != len(sides):
            raise UsageError(f"pictures of {size} pixels take {len(sides)} stages, not {len(channels)}")
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        entering = (channels[0], *channels[:-1])
        self.stages = nn.ModuleList(
            Stage(inside, outside, code, number > 0)
            for number, (inside, outside) in enumerate(zip(entering, channels, strict=True))
        )

    def forward(self, codes: Tensor, noise: bool | torch.Generator = True) -> Tensor:
        """Codes [B, n, W], one per stage, to pictures [B, 3, S, S] of about [-1, 1]."""
        x: Tensor = self.constant.expand(codes.shape[0], -1, -1, -1)  # not len(): a graph takes any batch
        picture: Tensor | None = None
        for number, stage in enumerate(self.stages):
            assert isinstance(stage, Stage)
            x = stage(x, codes[:, number], noise)
            picture = stage.rgb(x, codes[:, number], picture)
        assert picture is not None
        return picture


class Generator(nn.Module):
    """Mapping and synthesis."""

    def __init__(self, size: int, latent: int, mapping_layers: int, channels: Sequence[int]) -> None:
        """Make one with random weights; ``channels`` of the stages' maps, the first stage's first."""
        super().__init__()
        self.size, self.latent = size, latent
        self.mapping = Mapping(latent, mapping_layers)
        self.synthesis = Synthesis(size, latent, channels)

    @property
    def stages(self) -> int:
        """n."""
        return len(self.synthesis.stages)

    def codes(self, z: Tensor, other: Tensor | None = None, first: Tensor | None = None) -> Tensor:
        """w of latents [B, Z] for every stage, [B, n, W]; from the stages ``first`` [B] on those of other latents."""
        codes: Tensor = self.mapping(z)[:, None].expand(-1, self.stages, -1)
        if other is None or first is None:
            return codes
        mixed = self.mapping(other)[:, None].expand(-1, self.stages, -1)
        late = torch.arange(self.stages, device=z.device)[None, :] >= first[:, None]
        return torch.where(late[..., None], mixed, codes)

    def forward(self, z: Tensor, noise: bool | torch.Generator = True) -> Tensor:
        """Latents [B, Z] to pictures [B, 3, S, S] of about [-1, 1]."""
        pictures: Tensor = self.synthesis(self.codes(z), noise)
        return pictures


def blurred(x: Tensor, padding: int, gain: float = 1.0, stride: int = 1) -> Tensor:
    """Maps [B, C, H, W] filtered by [1, 3, 3, 1] both ways (Zhang 2019), zeros around them.

    Args:
        x: The maps.
        padding: Rows and columns of zeros at each side.
        gain: Of the filter's sum.
        stride: Which rows and columns of the result are kept.
    """
    taps = x.new_tensor([1.0, 3.0, 3.0, 1.0]) * (math.sqrt(gain) / 8.0)
    channels = int(x.shape[1])  # a graph's exporter asks for kernels of known shape
    kernel = (taps[:, None] * taps).expand(channels, 1, 4, 4)
    filtered = F.conv2d(x, kernel, padding=padding, groups=channels)
    # With a stride, such a convolution's gradient takes a CPU ten times as long in bf16 as without.
    return filtered if stride == 1 else filtered[:, :, ::stride, ::stride]


def enlarged(picture: Tensor) -> Tensor:
    """A picture at twice the side, by the same filter."""
    batch, channels, height, width = picture.shape
    spread = picture.new_zeros(batch, channels, height, 2, width, 2)
    spread[:, :, :, 0, :, 0] = picture
    padded = F.pad(spread.view(batch, channels, 2 * height, 2 * width), (2, 1, 2, 1))
    return blurred(padded, 0, gain=4.0)
