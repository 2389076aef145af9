# SPDX-License-Identifier: Apache-2.0
"""Backgrounds: range, purity, variety."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lineament.synth.background import _SCENES, background  # noqa: E402
from lineament.synth.noise import NoiseBank  # noqa: E402
from lineament.synth.random import SampleRandom  # noqa: E402

BANK = NoiseBank(seed=0, size=128)


def test_range_shape_and_finiteness():
    scenes = background(SampleRandom(0, range(64)), BANK, 32)
    assert scenes.shape == (64, 3, 32, 32)
    assert scenes.dtype == torch.float32
    assert torch.isfinite(scenes).all()
    assert scenes.min() >= 0
    assert scenes.max() <= 1


def test_a_background_does_not_depend_on_its_neighbours():
    together = background(SampleRandom(0, range(24)), BANK, 32)
    for index in (0, 7, 23):
        assert torch.equal(background(SampleRandom(0, [index]), BANK, 32)[0], together[index])


@pytest.mark.parametrize("number", range(len(_SCENES)))
def test_every_scene_paints_differing_pictures(number):
    paint = _SCENES[number][1]
    scenes = paint(SampleRandom(1, range(8)), BANK, 32)
    assert torch.isfinite(scenes).all()
    assert (scenes[1:] - scenes[:-1]).abs().flatten(1).mean(1).min() > 1e-3
    assert scenes.flatten(2).std(2).max() > 1e-3  # not flat


def test_shares_sum_to_one_and_dark_and_light_scenes_occur():
    assert abs(sum(share for share, _ in _SCENES) - 1) < 0.011
    mean = background(SampleRandom(0, range(200)), BANK, 32).mean((1, 2, 3))
    assert 0.05 < (mean < 0.1).float().mean() < 0.4
    assert 0.05 < (mean > 0.7).float().mean() < 0.4


def test_a_scene_is_the_same_at_every_size():
    random = SampleRandom(2, range(32))
    small = background(random, BANK, 32)
    large = torch.nn.functional.avg_pool2d(background(random, BANK, 64), 2)
    assert (small - large).abs().flatten(1).mean(1).median() < 0.03
