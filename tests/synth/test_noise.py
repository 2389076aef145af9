# SPDX-License-Identifier: Apache-2.0
"""The noise bank: moments, periodicity, seams, spectra, fading of what is too fine."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lineament.errors import InputError  # noqa: E402
from lineament.synth.noise import KINDS, NoiseBank  # noqa: E402
from lineament.synth.random import SampleRandom  # noqa: E402

BANK = NoiseBank(seed=1, size=128)


def grid(side: int, span: float, batch: int = 1):
    axis = (torch.arange(side) + 0.5) / side * span
    return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).expand(batch, -1, -1, -1)


@pytest.mark.parametrize("kind", KINDS)
def test_fields_have_zero_mean_and_unit_variance(kind):
    whole = BANK._atlas[kind][0, 0, 1:129, 1:129]
    assert abs(whole.mean()) < 1e-4
    assert abs(whole.std() - 1) < 1e-3
    # At one texel to the pixel, interpolation costs some of the variance of the finest fields.
    sampled = BANK.sample(kind, grid(128, 1.0, 6), SampleRandom(0, range(6)), "x")
    assert sampled.shape == (6, 1, 128, 128)
    assert abs(sampled.mean()) < 0.25
    assert 0.55 < sampled.std() < 1.15


@pytest.mark.parametrize("kind", KINDS)
def test_fields_repeat_without_a_seam(kind):
    whole = BANK._atlas[kind][0, 0, 1:129, 1:129]
    inside = (whole[:, 1:] - whole[:, :-1]).square().mean(0)
    assert (whole[:, 0] - whole[:, -1]).square().mean() < 1.5 * inside.max() + 1e-6
    inside = (whole[1:] - whole[:-1]).square().mean(1)
    assert (whole[0] - whole[-1]).square().mean() < 1.5 * inside.max() + 1e-6


@pytest.mark.parametrize("shift", [1.0, -3.0])
def test_coordinates_wrap(shift):
    random = SampleRandom(0, range(3))
    here = BANK.sample("streaks", grid(32, 0.25, 3), random, "x")  # streaks are not turned: period 1 in both axes
    valid = BANK.sample("streaks", grid(32, 0.25, 3) + shift, random, "x")
    assert torch.allclose(here, valid, atol=2e-3)


def test_interpolation_is_continuous_across_the_tile_border():
    line = torch.linspace(0.0, 2.0, 4096)
    coordinates = torch.stack([line, torch.full_like(line, 0.3)], -1)[None, None].expand(1, 2, -1, -1)
    value = BANK.sample("fractal", coordinates, SampleRandom(9, [3]), "x")[0, 0, 0]
    step = (value[1:] - value[:-1]).abs()
    assert step.max() < 0.25  # 16 pixels to the texel; neighbouring texels differ by less than 4


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_pure_functions_of_their_index(kind):
    coordinates = grid(24, 0.3, 4) * torch.tensor([1.0, 2.0, 5.0, 30.0])[:, None, None, None]
    together = BANK.sample(kind, coordinates, SampleRandom(5, [3, 8, 1, 9]), "x")
    alone = BANK.sample(kind, coordinates[2:3], SampleRandom(5, [1]), "x")
    assert torch.equal(together[2:3], alone)
    assert torch.equal(NoiseBank(seed=1, size=128)._atlas[kind], BANK._atlas[kind])


def test_coordinates_may_lie_in_memory_in_any_order():
    random, planes = SampleRandom(5, range(2)), grid(16, 0.3, 2).movedim(-1, 1).contiguous()
    ordered = BANK.sample("pores", planes.movedim(1, -1).contiguous(), random, "x")
    assert torch.equal(BANK.sample("pores", planes.movedim(1, -1), random, "x"), ordered)


def test_samples_names_and_seeds_differ():
    random = SampleRandom(0, range(2))
    first = BANK.sample("fractal", grid(32, 0.5, 2), random, "x")
    assert (first[0] - first[1]).abs().mean() > 0.1
    assert (first - BANK.sample("fractal", grid(32, 0.5, 2), random, "y")).abs().mean() > 0.1
    assert not torch.equal(NoiseBank(seed=2, size=128)._atlas["pores"], BANK._atlas["pores"])


def test_detail_finer_than_a_pixel_fades():
    random = SampleRandom(0, range(4))
    near = BANK.sample("pores", grid(64, 0.5, 4), random, "x").std()
    far = BANK.sample("pores", grid(64, 16.0, 4), random, "x").std()
    assert near > 0.7
    assert far < 0.25 * near


def test_coordinates_that_stand_still_do_not_sharpen_or_blur_the_rest():
    random = SampleRandom(0, [0])
    moving = grid(64, 8.0)
    held = moving.clone()
    held[:, :20] = 0.0
    whole, part = (BANK.sample("fractal", c, random, "x") for c in (moving, held))
    assert torch.equal(whole[:, :, 20:], part[:, :, 20:])


def test_streaks_run_along_the_second_coordinate():
    field = BANK.sample("streaks", grid(128, 0.5, 4), SampleRandom(0, range(4)), "x")
    across = (field[..., 1:] - field[..., :-1]).square().mean()
    along = (field[..., 1:, :] - field[..., :-1, :]).square().mean()
    assert across > 10 * along


def test_smooth_is_smoother_than_fractal():
    def roughness(kind):
        field = BANK.sample(kind, grid(128, 1.0, 2), SampleRandom(0, range(2)), "x")
        return (field[..., 1:] - field[..., :-1]).square().mean()

    assert roughness("fractal") > 5 * roughness("smooth")


def test_unknown_kinds_and_sizes_are_refused():
    with pytest.raises(InputError, match="perlin"):
        BANK.sample("perlin", grid(8, 1.0), SampleRandom(0, [0]), "x")
    with pytest.raises(InputError, match="100"):
        NoiseBank(size=100)
