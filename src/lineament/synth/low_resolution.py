# SPDX-License-Identifier: Apache-2.0
"""Faces that fill few pixels: photos blurred, shrunk, compressed and enlarged again (L2R, section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.options import check_options
from lineament.synth.degrade import gaussian_blur
from lineament.synth.jpeg import jpeg

SIDE_STEP = 8
"""Pixels that the sides of shrunk pictures differ by."""


@dataclass(frozen=True)
class LowResolution:
    """How pictures of a whole crop are degraded; the defaults are L2R's, whose inputs have 32² pixels."""

    side_low: int = 32
    """Smallest side of the shrunk picture, pixels."""
    side_high: int = 32
    """Largest side, pixels."""
    blur: float = 1.0
    """Largest sigma of the Gaussian blur before the picture is shrunk, pixels of the shrunk picture."""
    smoothing: float = 0.5
    """Share of pictures that are smoothed after they were shrunk, by means of three by three pixels weighed by how much
    each is like the middle one."""
    compressed: float = 0.0
    """Share of pictures that are compressed as JPEG after they were shrunk, which L2R does not say."""
    unchanged: float = 0.0
    """Share of pictures that are left as they are."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        "side_low": f"[{SIDE_STEP}, 4096]",
        "side_high": f"[{SIDE_STEP}, 4096]",
        "blur": "[0, 4]",
        **dict.fromkeys(("smoothing", "compressed", "unchanged"), "[0, 1]"),
    }

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS, prefix="degrade.")
        if self.side_low > self.side_high:
            raise UsageError(f"side_low must not be above side_high, but is {self.side_low} > {self.side_high}")


@torch.no_grad()
def low_resolution(image: Tensor, config: LowResolution, generator: torch.Generator) -> Tensor:
    """Degrade pictures.

    Args:
        image: [B, 3, S, S] in [0, 1].
        config: How.
        generator: Where the chance comes from, on the pictures' device.

    Returns:
        [B, 3, S, S] in [0, 1], enlarged again bicubically. Nothing has moved.
    """

    def uniform() -> Tensor:
        return torch.rand(len(image), generator=generator, device=image.device)

    size = image.shape[-1]
    steps = (config.side_high - config.side_low) // SIDE_STEP + 1
    sides = config.side_low + SIDE_STEP * (uniform() * steps).long()
    blur, smooth, pressed = config.blur * uniform(), uniform() < config.smoothing, uniform() < config.compressed
    quality = 30.0 + 60.0 * uniform()
    kept = (uniform() < config.unchanged) | (sides >= size)
    result = image.clone()
    for side in sides[~kept].unique().tolist():
        rows = ((sides == side) & ~kept).nonzero()[:, 0]
        small = gaussian_blur(image[rows], blur[rows] * size / side)
        small = F.interpolate(small, (side, side), mode="area")
        small = torch.where(smooth[rows, None, None, None], smoothed(small), small)
        small = torch.where(pressed[rows, None, None, None], jpeg(small, quality[rows], subsampled=True), small)
        result[rows] = F.interpolate(small, (size, size), mode="bicubic", align_corners=False).clamp(0.0, 1.0)
    return result


def smoothed(image: Tensor, spread: float = 0.1) -> Tensor:
    """A bilateral filter of three by three pixels (Tomasi and Manduchi 1998).

    Args:
        image: [B, 3, H, W].
        spread: Sigma of the difference, mean over the channels, at which a neighbour still counts.
    """
    height, width = image.shape[2:]
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    total, weights = torch.zeros_like(image), torch.zeros_like(image[:, :1])
    for down in range(3):
        for right in range(3):
            other = padded[:, :, down : down + height, right : right + width]
            likeness = torch.exp(-0.5 * ((other - image).mean(1, keepdim=True) / spread).square())
            total, weights = total + likeness * other, weights + likeness
    return total / weights
