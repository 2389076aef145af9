# SPDX-License-Identifier: Apache-2.0
"""A bank of tileable noise fields: made once, then sampled anywhere for the cost of one texture look-up."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.errors import InputError
from lineament.synth.random import SampleRandom

KINDS = ("smooth", "fractal", "pores", "wrinkle", "streaks")
"""smooth: broad clouds, amplitude 1/f². fractal: detail at every size, amplitude 1/f. pores: 32 by 32 bumps
to a tile with furrows between them, positive on the bumps. wrinkle: a net of thin ridges, positive on the
ridges. streaks: fine strands along the second coordinate."""

_CELLS = 32
_LEVELS = 6


class NoiseBank:
    """Fields of zero mean and unit variance on a torus, each with its pyramid of halved copies.

    The pyramid (Williams 1983, "Pyramidal parametrics") keeps fields that are seen from afar from aliasing:
    detail finer than a pixel fades out.
    """

    def __init__(self, seed: int = 0, size: int = 512, device: torch.device | str = "cpu") -> None:
        """Make the fields.

        Args:
            seed: Another seed gives other fields.
            size: Side of a tile in texels; a power of two, at least 128.
            device: Where the fields are kept.

        Raises:
            InputError: If the size is not such a number.
        """
        if size < 128 or size & (size - 1):
            raise InputError(f"a noise tile's side must be a power of two of at least 128 texels, not {size}")
        self.size = size
        self.device = torch.device(device)
        source = torch.Generator().manual_seed(seed)
        self._atlas = {kind: _atlas(_FIELDS[kind](size, source)).to(self.device) for kind in KINDS}

    def sample(self, kind: str, coordinates: Tensor, random: SampleRandom, name: str) -> Tensor:
        """Look a field up, for each sample at a place, turn and reflection of its own.

        Args:
            kind: One of ``KINDS``.
            coordinates: [B, H, W, 2] in tiles; any range. The field has period 1 in the turned frame.
            random: The samples' random numbers.
            name: Names the place: one name, one place. "streaks" are reflected but never turned.

        Returns:
            [B, 1, H, W], of zero mean and unit variance where a pixel covers no more than a texel; detail
            that a pixel cannot show is averaged away.

        Raises:
            InputError: If the kind is unknown.
        """
        if kind not in self._atlas:
            raise InputError(f"unknown noise kind {kind!r}; known are {', '.join(KINDS)}")
        batch, height, width, _ = coordinates.shape
        atlas = self._atlas[kind]
        draw = random.uniform(f"{name}/place", shape=(5,))
        angle = draw[:, 2] * (0.0 if kind == "streaks" else 2.0 * math.pi)
        mirror = torch.where(draw[:, 3:] < 0.5, -1.0, 1.0)  # [B, 2]
        cosine, sine = torch.cos(angle), torch.sin(angle)
        turn = torch.stack([cosine, -sine, sine, cosine], dim=-1).view(batch, 2, 2) * mirror[:, :, None]

        texels = self.size / 2.0 ** self._level(coordinates)  # [B] side of the chosen copy
        # Copies lie below each other, each with a ring of one texel: the tops are 0, N + 2, N + N/2 + 4, ...
        top = 2.0 * (self.size - texels) + 2.0 * torch.log2(self.size / texels) + 1.0
        origin = torch.stack([torch.ones_like(top), top], dim=-1)  # [B, 2]
        rows, columns = atlas.shape[-2:]
        span = 2.0 * texels[:, None] / torch.tensor([columns, rows], device=self.device)  # [B, 2]
        start = 2.0 * origin / torch.tensor([columns, rows], device=self.device) - 1.0
        grid = torch.empty(batch, height, width, 2, device=self.device)
        x, y = coordinates.to(torch.float32).unbind(-1)
        for axis in range(2):
            tile = torch.addcmul(draw[:, axis, None, None], x, turn[:, axis, 0, None, None])
            tile.addcmul_(y, turn[:, axis, 1, None, None])
            tile.sub_(tile.floor())
            grid[..., axis] = torch.addcmul(start[:, axis, None, None], tile, span[:, axis, None, None])
        # One texture for all samples: their rows are laid below each other.
        field = F.grid_sample(atlas, grid.reshape(1, batch * height, width, 2), align_corners=False)
        return field.view(batch, 1, height, width)

    def _level(self, coordinates: Tensor) -> Tensor:
        """The copy whose texel comes nearest to the typical pixel, [B] whole numbers as float32."""
        height, width = coordinates.shape[1:3]
        step = max(1, min(height, width) // 20)
        here = coordinates[:, : height - 1 : step, : width - 1 : step]
        right, below = (
            coordinates[:, : height - 1 : step, 1::step],
            coordinates[:, 1::step, : width - 1 : step],
        )
        squared = 0.5 * ((right - here).square().sum(-1) + (below - here).square().sum(-1)).flatten(1)
        # Coordinates stand still outside an object, which says nothing about its pixels.
        squared = torch.where(squared > 0, squared, torch.nan).nanmedian(dim=1).values.nan_to_num(0.0)
        footprint = self.size * squared.to(torch.float32).sqrt()
        return torch.log2(footprint.clamp_min(1.0)).round().clamp_max(_LEVELS - 1)


def _atlas(field: Tensor) -> Tensor:
    """A field [N, N] above its halved copies, each with a ring of wrapped texels, [1, 1, R, N + 2]."""
    field = (field - field.mean()) / field.std()
    copies = []
    copy = field.to(torch.float32)[None, None]
    width = field.shape[-1] + 2
    for _ in range(_LEVELS):
        ringed = F.pad(copy, (1, 1, 1, 1), mode="circular")
        copies.append(F.pad(ringed, (0, width - ringed.shape[-1])))
        copy = F.avg_pool2d(copy, 2)
    return torch.cat(copies, dim=2)


def _frequencies(size: int) -> tuple[Tensor, Tensor]:
    """Cycles per tile along the columns and the rows, for ``torch.fft.rfft2``: [1, N / 2 + 1] and [N, 1]."""
    across = torch.fft.rfftfreq(size, 1.0 / size, dtype=torch.float64)
    down = torch.fft.fftfreq(size, 1.0 / size, dtype=torch.float64)
    return across[None], down[:, None]


def _shaped(size: int, amplitude: Tensor, source: torch.Generator) -> Tensor:
    """White noise filtered to an amplitude spectrum [N, N / 2 + 1], unit variance, [N, N] float64."""
    white = torch.randn(size, size, generator=source, dtype=torch.float64)
    spectrum = torch.fft.rfft2(white) * amplitude
    spectrum[0, 0] = 0.0
    field: Tensor = torch.fft.irfft2(spectrum, s=(size, size))
    return field / field.std()


def _radius(size: int) -> Tensor:
    across, down = _frequencies(size)
    return torch.sqrt(across**2 + down**2).clamp_min(1.0)


def _smooth(size: int, source: torch.Generator) -> Tensor:
    radius = _radius(size)
    return _shaped(size, radius**-2.0 * torch.exp(-((radius / 24.0) ** 2)), source)


def _fractal(size: int, source: torch.Generator) -> Tensor:
    radius = _radius(size)
    return _shaped(size, radius**-1.0 * torch.exp(-((radius / (0.35 * size)) ** 2)), source)


def _pores(size: int, source: torch.Generator) -> Tensor:
    """Bumps of uneven height round jittered points, furrows between them (after Worley 1996), on a torus."""
    place = torch.rand(_CELLS, _CELLS, 2, generator=source, dtype=torch.float64) * 0.9 + 0.05
    height = 0.6 + 0.8 * torch.rand(_CELLS, _CELLS, generator=source, dtype=torch.float64)
    axis = (torch.arange(size, dtype=torch.float64) + 0.5) * (_CELLS / size)  # in cells
    cell = axis.floor().long()
    bumps = torch.full((size, size), -torch.inf, dtype=torch.float64)
    for row in range(-1, 2):
        for column in range(-1, 2):
            rows, columns = (cell + row) % _CELLS, (cell + column) % _CELLS
            point = place[rows[:, None], columns[None, :]]  # [N, N, 2] within its cell
            across = (cell + column)[None, :] + point[..., 0] - axis[None, :]
            down = (cell + row)[:, None] + point[..., 1] - axis[:, None]
            cone = height[rows[:, None], columns[None, :]] - 1.1 * (across**2 + down**2 + 0.01).sqrt()
            bumps = torch.maximum(bumps, cone)
    return bumps


def _wrinkle(size: int, source: torch.Generator) -> Tensor:
    """Zero crossings of band-passed noise as ridges of three sizes (after Musgrave's ridged multifractal)."""
    radius = _radius(size)
    total = torch.zeros(size, size, dtype=torch.float64)
    for centre, weight in ((6.0, 1.0), (13.0, 0.7), (28.0, 0.45)):
        band = _shaped(size, torch.exp(-((torch.log(radius / centre) / 0.35) ** 2)), source)
        total += weight * torch.exp(-band.abs() / 0.22)
    return total


def _streaks(size: int, source: torch.Generator) -> Tensor:
    """Strands along the rows' direction: many frequencies across, few along."""
    across, down = _frequencies(size)
    band = (
        across.clamp_min(1.0) ** -0.4 * torch.exp(-((across / 90.0) ** 2)) * (1.0 - torch.exp(-((across / 10.0) ** 2)))
    )
    return _shaped(size, band * torch.exp(-((down / 3.5) ** 2)), source)


_FIELDS = {"smooth": _smooth, "fractal": _fractal, "pores": _pores, "wrinkle": _wrinkle, "streaks": _streaks}
