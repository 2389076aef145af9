# SPDX-License-Identifier: Apache-2.0
"""HRN's networks (Lei et al. 2023, "A Hierarchical Representation Network for Accurate and Detailed Face Reconstruction
from In-The-Wild Images", section 3).

The face analyser gives the coarse mesh M_0 (`lineament.methods.hrn.analyser`). From its position map P and the photo's
texture T on it, a first pix2pix network gives the deformation map, which makes it M_1; a second one, from M_1's
position map, the re-aligned texture T' and the deformation map, gives the displacement map, which makes it M_2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.methods.hrn.analyser import AnalyserConfig, FaceAnalyser
from lineament.methods.hrn.chart import differences, slopes
from lineament.methods.hrn.coefficients import SCALES
from lineament.methods.hrn.flow import reversal_flow, shifted
from lineament.methods.hrn.method import WEIGHTS
from lineament.networks.blocks import full_precision
from lineament.networks.encoder import EncoderName, Pyramid
from lineament.networks.unet import Pix2PixUNet
from lineament.render.vectors import cross, unit
from lineament.rig.face_chart import border_fade
from lineament.rig.posing import DISTANCE, FOCAL
from lineament.weights.schema import WeightsFormat

CHART = 256
"""Texels along a side of position map, texture and displacement map."""
DEFORMATION = 64
"""Texels along a side of the deformation map."""
UNIT = 100.0
"""Millimetres of the model's unit in the paper, in which its camera stands 10 away."""
_MAPS = 0.1  # both maps are multiplied by it and by a learned number


@dataclass(frozen=True)
class HRNConfig:
    """Size of the networks."""

    encoder: EncoderName = "resnet50"
    hidden: int = 0
    """See `AnalyserConfig`."""
    analyser_size: int = 224
    """Side of the crop that the face analyser sees, pixels."""
    crop_size: int = 224
    """Side of the crop that the texture is taken from, pixels."""
    deformation_levels: int = 6
    """How often the first pix2pix network halves its maps of 64 texels."""
    deformation_width: int = 64
    """Channels of its first level."""
    displacement_levels: int = 8
    """How often the second one halves its maps of 256 texels."""
    displacement_width: int = 64
    first_deformation: float = 0.01
    """The learned number that multiplies the deformation map, before training."""
    first_displacement: float = 0.01
    """And the displacement map's."""
    feature_channels: int = 0
    """Channels that each scale of the analyser's features gives to the maps' networks, at the places where the mesh's
    texels are seen; the networks then see the mesh's normals, too. 0: neither, as in the paper."""

    def __post_init__(self) -> None:
        for size in (self.analyser_size, self.crop_size):
            if size % 32:
                raise UsageError(f"crops must be multiples of 32 pixels, not {size}")
        for side, levels in ((DEFORMATION, self.deformation_levels), (CHART, self.displacement_levels)):
            if side % 2**levels:
                raise UsageError(f"a map of {side} texels cannot be halved {levels} times")

    @property
    def analyser(self) -> AnalyserConfig:
        """Size of the face analyser."""
        return AnalyserConfig(self.encoder, self.hidden, self.analyser_size)


def hrn(crop_size: int = 224) -> HRNConfig:
    """The paper's size."""
    return HRNConfig(analyser_size=crop_size, crop_size=crop_size)


def hrn_s(crop_size: int = 256) -> HRNConfig:
    """The small size."""
    return HRNConfig(
        "efficientnet-lite0",
        256,
        analyser_size=min(128, crop_size),
        crop_size=crop_size,
        deformation_levels=5,
        deformation_width=18,
        displacement_levels=6,
        displacement_width=12,
        first_deformation=0.1,
        first_displacement=0.03,
        feature_channels=16,
    )


@dataclass(frozen=True)
class DetailMaps:
    """What the maps' networks say of B meshes, on the face's chart."""

    deformation: Tensor
    """[B, 3, 64, 64] mm, camera frame: M_1 is M_0 plus this."""
    displacement: Tensor
    """[B, 1, 256, 256] mm along M_1's normals."""
    slope: Tensor
    """[B, 3, 256, 256]: M_2's normals are M_1's minus this (`lineament.methods.hrn.chart.detailed_normals`)."""
    texture: Tensor
    """[B, 3, 256, 256] T', the texture re-aligned to M_1."""
    seen: Tensor
    """[B, 1, 256, 256] how much of it the photo shows, 0 to 1."""


class HRN(nn.Module):
    """All networks of the method."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = HRNConfig

    fade: Tensor
    coarse_fade: Tensor

    def __init__(self, config: HRNConfig) -> None:
        super().__init__()
        self.config = config
        self.analyser = FaceAnalyser(config.analyser).eval()  # frozen, however the whole is made: see `train`
        normals, features = (3, len(SCALES) * config.feature_channels) if config.feature_channels else (0, 0)
        self.deformation = Pix2PixUNet(6 + normals + features, 3, config.deformation_levels, config.deformation_width)
        self.displacement = Pix2PixUNet(9 + normals, 1, config.displacement_levels, config.displacement_width)
        self.squeezes = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(self.analyser.encoder.channels[scale], config.feature_channels, 1, bias=False),
                nn.BatchNorm2d(config.feature_channels),
            )
            for scale in (SCALES if config.feature_channels else ())
        )
        self.alpha = nn.Parameter(torch.tensor(config.first_deformation))
        self.beta = nn.Parameter(torch.tensor(config.first_displacement))
        self.register_buffer("fade", torch.from_numpy(border_fade(CHART))[None, None], persistent=False)
        self.register_buffer("coarse_fade", torch.from_numpy(border_fade(DEFORMATION))[None, None], persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Coefficients of crops [B, 3, S, S] in [0, 1], S being ``config.analyser_size``.

        Raises:
            UsageError: Another shape.
        """
        return self.analysed(image)[0]

    def analysed(self, image: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """As `forward`, and what `details` takes of the analyser's features, if anything."""
        scales = self.analyser.pyramid(image)
        return self.analyser.of_pyramid(scales), self.squeezed(scales)

    def squeezed(self, scales: Pyramid) -> Tensor | None:
        """Features [B, C, S/4, S/4] of all scales that the maps' networks see; None if they see none."""
        if not self.squeezes:
            return None
        size = scales[SCALES[0]].shape[-2:]
        return torch.cat(
            [
                F.interpolate(squeeze(scales[scale]), size, mode="bilinear", align_corners=False)
                for scale, squeeze in zip(SCALES, self.squeezes, strict=True)
            ],
            dim=1,
        )

    def features(self, image: Tensor) -> Tensor | None:
        """What `details` takes of the analyser's features of crops [B, 3, S, S] of any size; no gradient reaches it."""
        if not self.squeezes:
            return None
        size = self.config.analyser_size
        with torch.no_grad():
            scales = self.analyser.pyramid(F.interpolate(image, (size, size), mode="bilinear", align_corners=False))
        return self.squeezed(scales)

    def train(self, mode: bool = True) -> HRN:
        """As of every module, but for the analyser, which is frozen: its norms keep their statistics."""
        super().train(mode)
        self.analyser.eval()
        return self

    def details(self, position: Tensor, texture: Tensor, seen: Tensor, features: Tensor | None = None) -> DetailMaps:
        """Deformation and displacement of coarse meshes.

        Args:
            position: [B, 3, 256, 256] mm, M_0 on its chart as the assumed camera sees it (`placed_pixels`).
            texture: [B, 3, 256, 256] in [0, 1], the photo on it, inpainted.
            seen: [B, 1, 256, 256] where the photo shows it, 0 to 1.
            features: [B, C, s, s] of the whole crop, as `analysed` gives them.
        """
        factor = CHART // DEFORMATION
        place, small = (F.avg_pool2d(each, factor) for each in (_about_middle(position), texture))
        shown = [place, 2.0 * small - 1.0]
        if features is not None:
            with full_precision(position):
                middles = F.avg_pool2d(position, factor)
                shown += [surface_normals(middles), sampled_at(features.float(), placed_pixels(middles))]
        coarse = self.deformation(torch.cat(shown, dim=1))
        with full_precision(position):
            deformation = UNIT * _MAPS * self.alpha * coarse.float() * self.coarse_fade
            wide = widened(deformation)
            deformed = position + wide
            flow = reversal_flow(placed_pixels(position), placed_pixels(deformed))
            aligned = shifted(torch.cat([texture, seen], dim=1), flow)
        texture, seen = aligned[:, :3], aligned[:, 3:]
        shown = [_about_middle(deformed), 2.0 * texture - 1.0, wide / UNIT]
        if features is not None:
            with full_precision(position):
                shown.append(surface_normals(deformed))
        fine = self.displacement(torch.cat(shown, dim=1))
        with full_precision(position):
            displacement = UNIT * _MAPS * self.beta * fine.float() * self.fade * seen
            slope = slopes(deformed, displacement)
        return DetailMaps(deformation, displacement, slope, texture, seen)

    def run_stages(self, image: Tensor, stages: int) -> None:
        """Do the networks' work on crops [B, 3, S, S], to measure its cost; the maps' networks run together."""
        _, features = self.analysed(F.interpolate(image, self.config.analyser_size, mode="bilinear"))
        if stages:
            maps = image.new_zeros(len(image), 7, CHART, CHART)
            self.details(maps[:, :3], maps[:, 3:6], maps[:, 6:], features)


def placed_pixels(position: Tensor) -> Tensor:
    """Where the assumed camera sees places [B, 3, S, S] mm on the chart: [B, 2, S, S] in 256ths of the crop's side.

    Frame: that of `lineament.render.morphable.posed`, the camera 1000 mm before the origin.
    """
    x, y, z = position.split(1, dim=1)
    scale = FOCAL / (DISTANCE - z).clamp_min(20.0)
    return CHART * torch.cat([0.5 + scale * x, 0.5 - scale * y], dim=1)


def widened(deformation: Tensor) -> Tensor:
    """A deformation map [B, 3, 64, 64] at the texels of the other maps, [B, 3, 256, 256]."""
    return F.interpolate(deformation, scale_factor=CHART / DEFORMATION, mode="bilinear", align_corners=False)


def surface_normals(position: Tensor) -> Tensor:
    """Unit normals [B, 3, S, S] of a surface of which places [B, 3, S, S] are known on the chart."""
    across, down = differences(position)
    return unit(cross(down, across))


def sampled_at(features: Tensor, places: Tensor) -> Tensor:
    """Features [B, C, s, s] of a crop at places [B, 2, S, S] in 256ths of its side, [B, C, S, S]."""
    grid = (places * (2.0 / CHART) - 1.0).permute(0, 2, 3, 1)
    return F.grid_sample(features, grid, align_corners=False, padding_mode="border")


def _about_middle(position: Tensor) -> Tensor:
    """Positions in the model's unit, from their mean on."""
    return (position - position.mean((2, 3), keepdim=True)) / UNIT


def small_network() -> HRN:
    """The small size with random weights."""
    return HRN(hrn_s())


def paper_network() -> HRN:
    """The paper's size with random weights."""
    return HRN(hrn())
