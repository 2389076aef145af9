# SPDX-License-Identifier: Apache-2.0
"""L2R's section 3: the proxy, Unsup3D, whose networks find depth, albedo, light and view without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.methods.l2r.camera import FARTHEST, NEAREST, PROXY_SIZE
from lineament.methods.l2r.method import PROXY_WEIGHTS
from lineament.methods.l2r.warp import canonical_points, surface_normals
from lineament.networks.blocks import full_precision
from lineament.weights.schema import WeightsFormat

_BORDER = 0.7 * FARTHEST + 0.3 * NEAREST  # distance of the outermost columns, so that a face does not end in a wall


@dataclass(frozen=True)
class ProxyConfig:
    """The networks' size; the defaults are Unsup3D's."""

    width: int = 64
    """Channels of the first layers of Φ^d, Φ^a and Φ^σ; Φ^ω and Φ^l have half as many."""
    latent: int = 256
    """Numbers that an encoder-decoder squeezes a face into."""
    crop_size: int = PROXY_SIZE


@dataclass(frozen=True)
class Factors:
    """The intrinsic factors of faces."""

    distance: Tensor
    """d [B, 1, s, s] canonical, `NEAREST` to `FARTHEST`."""
    albedo: Tensor
    """a [B, 3, s, s] canonical, in [0, 1]."""
    light: Tensor
    """l [B, 4] in [-1, 1], as `lineament.methods.l2r.warp.shaded` takes it."""
    view: Tensor
    """ω [B, 6] in [-1, 1], as `lineament.methods.l2r.warp.viewed` takes it."""

    @property
    def points(self) -> Tensor:
        """D^uv [B, 3, s, s]."""
        return canonical_points(self.distance)

    @property
    def normals(self) -> Tensor:
        """n [B, 3, s, s] of d."""
        return surface_normals(self.points)


class Proxy(nn.Module):
    """Φ^d, Φ^a, Φ^ω and Φ^l."""

    FORMAT: ClassVar[WeightsFormat] = PROXY_WEIGHTS
    CONFIG: ClassVar[type] = ProxyConfig

    bump: Tensor

    def __init__(self, config: ProxyConfig) -> None:
        super().__init__()
        self.config = config
        self.depth = EncoderDecoder(config.width, config.latent, 1)
        self.albedo = EncoderDecoder(config.width, config.latent, 3)
        self.view = FactorEncoder(config.width // 2, 6)
        self.light = FactorEncoder(config.width // 2, 4)
        self.register_buffer("bump", _bump(PROXY_SIZE), persistent=False)
        last = self.depth.decoder[-1]
        assert isinstance(last, nn.Conv2d)
        with torch.no_grad():
            last.weight *= 0.01  # what random layers say is rougher by far than any face

    def forward(self, image: Tensor) -> Factors:
        """Find the factors of photos [B, 3, 64, 64] in [0, 1]."""
        image = 2.0 * image - 1.0
        albedo, view, light = self.albedo(image), self.view(image), self.light(image)
        with full_precision(image):
            distance = distance_of(self.bump + self.depth(image))
            return Factors(distance, 0.5 + 0.5 * albedo.float().tanh(), light.float(), view.float())


def _bump(size: int) -> Tensor:
    """[1, 1, S, S]: a convex start (as Pan et al. 2020 have it), since shading alone fits a hollow face as well."""
    line = (torch.arange(size) + 0.5) * (2.0 / size) - 1.0
    y, x = torch.meshgrid(line, line, indexing="ij")
    return 0.8 * torch.exp(-0.5 * ((x / 0.4).square() + (y / 0.5).square()))[None, None]


def distance_of(depth: Tensor) -> Tensor:
    """Distances [B, 1, s, s] of what Φ^d says, nearer where it is larger; their mean is the middle of the range."""
    depth = depth - depth.mean((2, 3), keepdim=True)
    share = 0.5 - 0.5 * depth.tanh()
    inner = NEAREST + (FARTHEST - NEAREST) * share
    margin = max(1, depth.shape[-1] // 32)
    return F.pad(inner[..., margin:-margin], (margin, margin), value=_BORDER)


class EncoderDecoder(nn.Module):
    """Φ^d and Φ^a: down to one vector and up again."""

    def __init__(self, width: int, latent: int, out_channels: int) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(latent, 8 * width, 4, 1, 0, bias=False),
            nn.ReLU(),
            nn.Conv2d(8 * width, 8 * width, 3, 1, 1, bias=False),
            nn.ReLU(),
            *twice_the_size(8 * width, 4 * width),
            *same_size(4 * width, 4 * width),
            *twice_the_size(4 * width, 2 * width),
            *same_size(2 * width, 2 * width),
            *twice_the_size(2 * width, width),
            *same_size(width, width),
            nn.Upsample(scale_factor=2, mode="nearest"),
            *same_size(width, width),
            *same_size(width, width),
            nn.Conv2d(width, out_channels, 5, 1, 2, bias=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, 64, 64] to [B, out, 64, 64] of any range."""
        _, code = self.encoder(image)
        out: Tensor = self.decoder(code[:, :, None, None])
        return out


class Encoder(nn.Module):
    """The half of Φ^d and Φ^a that looks; ARN's encoders have it, too."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.channels = (width, 2 * width, 4 * width, 8 * width)
        """Of the maps at a half, a quarter, an eighth and a sixteenth."""
        layers: list[nn.Module] = []
        for inside, outside in zip((3, *self.channels[:3]), self.channels, strict=True):
            layer: list[nn.Module] = [nn.Conv2d(inside, outside, 4, 2, 1, bias=False)]
            if outside < self.channels[3]:
                layer.append(_norm(outside))
            layers.append(nn.Sequential(*layer, nn.LeakyReLU(0.2)))
        self.levels = nn.ModuleList(layers)
        self.last = nn.Sequential(nn.Conv2d(self.channels[3], latent, 4, 1, 0, bias=False), nn.ReLU())

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """[B, 3, 64, 64] to the maps at 32, 16, 8 and 4 pixels, and the vector [B, latent]."""
        maps: list[Tensor] = []
        for level in self.levels:
            image = level(image)
            maps.append(image)
        return maps, self.last(image).flatten(1)


class FactorEncoder(nn.Module):
    """Φ^ω and Φ^l: down to a few numbers."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip(
            (3, width, 2 * width, 4 * width), (width, 2 * width, 4 * width, 8 * width), strict=True
        ):
            layers += [nn.Conv2d(inside, outside, 4, 2, 1, bias=False), nn.ReLU()]
        layers += [nn.Conv2d(8 * width, 8 * width, 4, 1, 0, bias=False), nn.ReLU(), nn.Conv2d(8 * width, count, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, 64, 64] to [B, count] in [-1, 1]."""
        numbers: Tensor = self.layers(image).flatten(1).tanh()
        return numbers


class Confidence(nn.Module):
    """Φ^σ: how far a picture may be from its reconstruction, plain and flipped; only training asks for it.

    For pictures larger than 64 pixels enlargements and convolutions follow (L2R, section 5).
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        latent = 2 * width
        self.encoder = Encoder(width, latent)
        self.deep = nn.Sequential(
            nn.ConvTranspose2d(latent, 8 * width, 4, 1, 0, bias=False),
            nn.ReLU(),
            *twice_the_size(8 * width, 4 * width),
            *twice_the_size(4 * width, 2 * width),
        )
        self.features = nn.Conv2d(2 * width, 2, 3, 1, 1, bias=False)
        shallow = [*twice_the_size(2 * width, width), *twice_the_size(width, width)]
        for _ in range((size // PROXY_SIZE).bit_length() - 1):
            shallow += [nn.Upsample(scale_factor=2, mode="nearest"), *same_size(width, width)]
        self.colours = nn.Sequential(*shallow, nn.Conv2d(width, 2, 5, 1, 2, bias=False))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Photos [B, 3, 64, 64] in [0, 1] to σ and σ' of the picture's colours, [B, 2, S, S], and of its features,
        [B, 2, 16, 16].
        """
        _, code = self.encoder(2.0 * image - 1.0)
        deep = self.deep(code[:, :, None, None])
        return F.softplus(self.colours(deep).float()), F.softplus(self.features(deep).float())


def _norm(channels: int) -> nn.Module:
    """Group norm of four channels a group."""
    return nn.GroupNorm(max(1, channels // 4), channels)


def same_size(inside: int, outside: int) -> list[nn.Module]:
    """A 3×3 convolution with group norm."""
    return [nn.Conv2d(inside, outside, 3, 1, 1, bias=False), _norm(outside), nn.ReLU()]


def twice_the_size(inside: int, outside: int) -> list[nn.Module]:
    """A 4×4 transposed convolution with group norm."""
    return [nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=False), _norm(outside), nn.ReLU()]
