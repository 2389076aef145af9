# SPDX-License-Identifier: Apache-2.0
"""Degraded pictures: what is smooth stays, what is fine goes, and chance repeats."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.synth.low_resolution import LowResolution, low_resolution, smoothed


def degraded(image: Tensor, seed: int = 0, **options: float) -> Tensor:
    return low_resolution(image, LowResolution(**options), torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


def test_a_picture_of_one_colour_stays_as_it_is() -> None:
    flat = torch.full((3, 3, 64, 64), 0.4)
    assert torch.allclose(degraded(flat, compressed=0.0), flat, atol=1e-4)
    assert torch.allclose(degraded(flat, compressed=1.0), flat, atol=0.02)


def test_pixels_are_lost_and_means_are_not() -> None:
    torch.manual_seed(0)
    image = torch.rand(4, 3, 64, 64)
    small = degraded(image, side_low=16, side_high=16, smoothing=0.0)
    assert small.std() < 0.5 * image.std()
    assert torch.allclose(small.mean((2, 3)), image.mean((2, 3)), atol=0.02)
    # Nothing is left that 16² pixels do not hold: shrunk and enlarged again it is itself.
    again = F.interpolate(F.interpolate(small, (16, 16), mode="area"), (64, 64), mode="bicubic", align_corners=False)
    assert (again - small).abs().mean() < 0.02


def test_nothing_moves() -> None:
    image = torch.zeros(1, 1, 64, 64).expand(1, 3, 64, 64).clone()
    image[..., 20:28, 36:44] = 1.0
    small = degraded(image, side_low=32, side_high=32)
    weight = small[0, 0] / small[0, 0].sum()
    line = torch.arange(64) + 0.5
    assert float((weight.sum(1) * line).sum()) == pytest.approx(24.0, abs=0.1)
    assert float((weight.sum(0) * line).sum()) == pytest.approx(40.0, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 1.0))
def test_chance_repeats_and_shares_hold(seed: int, unchanged: float) -> None:
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))
    options = {"side_low": 8, "side_high": 24, "unchanged": unchanged}
    first = degraded(image, seed, **options)
    assert torch.equal(first, degraded(image, seed, **options))
    assert first.min() >= 0
    assert first.max() <= 1
    if unchanged == 1.0:
        assert torch.equal(first, image)


def test_smoothing_keeps_edges_and_takes_noise() -> None:
    torch.manual_seed(1)
    step = torch.zeros(1, 3, 16, 16)
    step[..., 8:] = 1.0
    noisy = step + 0.03 * torch.randn_like(step)
    found = smoothed(noisy)
    assert (found - step).std() < 0.6 * (noisy - step).std()
    assert float((found[..., 8] - found[..., 7]).mean()) > 0.9


def test_sides_in_order() -> None:
    with pytest.raises(UsageError, match="side_low"):
        LowResolution(side_low=64, side_high=32)
    with pytest.raises(UsageError, match="smoothing"):
        LowResolution(smoothing=2.0)
