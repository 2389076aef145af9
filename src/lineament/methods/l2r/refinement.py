# SPDX-License-Identifier: Apache-2.0
"""L2R's section 4.2: the geometry refining network (GRN)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.methods.l2r.proxy import same_size
from lineament.methods.l2r.warp import canonical_points, surface_normals
from lineament.networks.blocks import full_precision
from lineament.networks.encoder import EncoderName, pyramid_encoder
from lineament.networks.unet import Pix2PixUNet, PyramidDecoder

RefiningEncoder = Literal["pix2pix", EncoderName]
"""GRN's network: pix2pix's U-Net, or an encoder with a decoder over it."""
_DEEPEST = 0.05  # units by which depth may differ from the proxy's: a quarter of canonical depth's range
_HIGHEST = 0.01  # units of the displacement map


@dataclass(frozen=True)
class Refined:
    """The refined shape, canonical."""

    distance: Tensor
    """d [B, 1, S, S], the pure depth."""
    displacement: Tensor | None
    """m [B, 3, S, S] units along each axis of the normal; None without a displacement map."""
    points: Tensor
    """D_r^uv [B, 3, S, S]."""
    concentration: Tensor | None
    """[B, 1, S, S] κ of the normals; None where nothing learned it."""

    @property
    def normals(self) -> Tensor:
        """n_r [B, 3, S, S]."""
        return surface_normals(self.points)


class GeometryRefinement(nn.Module):
    """An encoder-decoder from photo, normal proxy and restored texture to depth and displacement."""

    def __init__(
        self,
        encoder: RefiningEncoder,
        levels: int,
        width: int,
        textured: bool,
        displaced: bool,
        concentrated: bool,
    ) -> None:
        """Make the network.

        Args:
            encoder: pix2pix's U-Net, which sees all together; or an encoder that looks at the photo, what else is
                given joining at full resolution.
            levels: How often pix2pix's U-Net halves its maps.
            width: Channels of its first level, or of the layers at full resolution.
            textured: Whether it sees the restored texture.
            displaced: Whether it gives a displacement map.
            concentrated: Whether it says how concentrated its normals are.
        """
        super().__init__()
        self.textured, self.displaced = textured, displaced
        given = 6 if textured else 0
        self.features: UNetFeatures | PyramidFeatures
        if encoder == "pix2pix":
            self.features = UNetFeatures(6 + given, levels, width)
        else:
            self.features = PyramidFeatures(encoder, 3 + given, width)
        self.shape = self.features.head(1 + 3 * displaced)
        self.certainty = self.features.head(1) if concentrated else None

    def forward(
        self, image: Tensor, distance: Tensor, canonical: Tensor | None = None, original: Tensor | None = None
    ) -> Refined:
        """Refine a shape.

        Args:
            image: [B, 3, S, S] I in [0, 1].
            distance: [B, 1, s, s] d_o.
            canonical: [B, 3, S, S] the restored texture t_r.
            original: [B, 3, S, S] the same as the photo sees it.
        """
        size = image.shape[-1]
        if distance.shape[-1] != size:
            distance = F.interpolate(distance, (size, size), mode="bilinear", align_corners=False)
        given = [surface_normals(canonical_points(distance))]
        if self.textured:
            assert canonical is not None
            assert original is not None
            given += [2.0 * canonical - 1.0, 2.0 * original - 1.0]
        features = self.features(image, torch.cat(given, dim=1))
        with full_precision(image):
            found = self.shape(features.float())
            distance = distance - _DEEPEST * found[:, :1].tanh()
            points, displacement = canonical_points(distance), None
            if self.displaced:
                displacement = _HIGHEST * found[:, 1:4].tanh()
                points = points + displacement * surface_normals(points)  # equation 5
            kappa = None if self.certainty is None else 1.0 + F.softplus(self.certainty(features.float()))
        return Refined(distance, displacement, points, kappa)


class UNetFeatures(nn.Module):
    """pix2pix's U-Net up to its last layer."""

    def __init__(self, in_channels: int, levels: int, width: int) -> None:
        super().__init__()
        self.network = Pix2PixUNet(in_channels, 1, levels, width)
        self.network.last = nn.Sequential()  # the heads take its place
        self.channels = 2 * width

    def forward(self, image: Tensor, given: Tensor) -> Tensor:
        """[B, 3, S, S] in [0, 1] and [B, C, S, S] to [B, channels, S / 2, S / 2]."""
        return self.network.features(torch.cat([2.0 * image - 1.0, given], dim=1))

    def head(self, channels: int) -> nn.Module:
        """pix2pix's last layer, to maps of this many channels."""
        return nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(self.channels, channels, 4, 2, 1))


class PyramidFeatures(nn.Module):
    """An encoder's pyramid of the photo and a decoder over it; what else is given joins at full resolution."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: EncoderName, in_channels: int, width: int) -> None:
        super().__init__()
        self.encoder = pyramid_encoder(encoder)
        channels = (4 * width, 3 * width, 2 * width, width, width)
        self.decoder = PyramidDecoder(self.encoder.channels[4], self.encoder.channels[3::-1], channels, width)
        self.joined = nn.Sequential(
            *same_size(width + 3 + in_channels, width), *same_size(width, width), *same_size(width, width)
        )
        self.channels = width
        self.register_buffer("mean", torch.tensor(self.encoder.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, given: Tensor) -> Tensor:
        """[B, 3, S, S] in [0, 1] and [B, C, S, S] to [B, channels, S, S]."""
        pyramid = self.encoder((image - self.mean) / self.std)
        seen = self.decoder(pyramid[4], pyramid[3::-1])
        features: Tensor = self.joined(torch.cat([seen, 2.0 * image - 1.0, given], dim=1))
        return features

    def head(self, channels: int) -> nn.Module:
        """A last convolution to maps of this many channels, which says little at first."""
        last = nn.Conv2d(self.channels, channels, 3, 1, 1)
        with torch.no_grad():
            last.weight *= 0.1
        return last
