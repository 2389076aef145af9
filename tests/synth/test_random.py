# SPDX-License-Identifier: Apache-2.0
"""Counter-based random numbers: purity, moments, uniformity, independence of names and samples."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from lineament.synth.random import SampleRandom  # noqa: E402

MANY = range(20_000)


def draws(random: SampleRandom) -> list:
    return [
        random.uniform("a", -2.0, 3.0, shape=(2, 3)),
        random.normal("b", shape=(4,)),
        random.bernoulli("c", 0.3),
        random.choice("d", (0.2, 0.5, 0.3)),
        random.log_uniform("e", 0.1, 10.0),
        random.pixels("f", (3, 5, 7)),
        random.pixels("g", (1, 4, 4), "uniform"),
    ]


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(-(2**70), 2**70),
    indices=st.lists(st.integers(0, 2**63), min_size=1, max_size=6),
    row=st.integers(0, 5),
)
def test_a_sample_does_not_depend_on_its_neighbours(seed, indices, row):
    row %= len(indices)
    together = SampleRandom(seed, indices)
    alone = SampleRandom(seed, [indices[row]])
    for many, one, chosen in zip(draws(together), draws(alone), draws(together.select([row])), strict=True):
        assert torch.equal(many[row], one[0])
        assert torch.equal(chosen, one)


def test_select_takes_tensors_in_any_order():
    whole, part = SampleRandom(3, range(5)), SampleRandom(3, range(5)).select(torch.tensor([4, 1]))
    assert len(part) == 2
    assert torch.equal(part.normal("n"), whole.normal("n")[[4, 1]])


def test_uniform_is_uniform():
    sample = SampleRandom(0, MANY).uniform("u", shape=(4,))
    assert sample.min() >= 0
    assert sample.max() < 1
    counts = torch.histc(sample, bins=20, min=0.0, max=1.0)
    expected = sample.numel() / 20
    assert ((counts - expected).square() / expected).sum() < 43.8  # chi-squared, 19 degrees, p = 0.001


def test_normal_has_normal_moments():
    sample = SampleRandom(1, MANY).normal("n", shape=(4,)).double()
    assert abs(sample.mean()) < 0.015
    assert abs(sample.std() - 1) < 0.015
    assert abs((sample**3).mean()) < 0.05
    assert abs((sample**4).mean() - 3) < 0.15


def test_pixels_have_their_distributions_moments():
    random = SampleRandom(2, range(4))
    noise = random.pixels("p", (3, 128, 128)).double()
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert abs((noise**4).mean() - 3) < 0.1
    flat = random.pixels("p", (3, 128, 128), "uniform").double()
    assert abs(flat.mean() - 0.5) < 0.005
    assert abs(flat.var() - 1 / 12) < 0.001
    assert flat.min() > 0
    assert flat.max() < 1


def test_pixels_are_white():
    noise = SampleRandom(7, range(3)).pixels("p", (2, 128, 128))
    for shift, dim in ((1, 3), (2, 3), (1, 2), (64, 3), (1, 1), (1, 0)):
        assert abs((noise * noise.roll(shift, dim)).mean()) < 0.02, (shift, dim)


def test_other_names_seeds_and_indices_are_uncorrelated():
    first = SampleRandom(0, MANY)
    base = first.normal("a")
    for other in (first.normal("b"), SampleRandom(1, MANY).normal("a"), base.roll(1), first.normal("a ")):
        assert abs((base * other).mean()) < 0.03
    pair = first.normal("a", shape=(2,))
    assert abs((pair[:, 0] * pair[:, 1]).mean()) < 0.03


def test_choice_follows_its_weights():
    random = SampleRandom(4, MANY)
    share = torch.bincount(random.choice("k", (1.0, 0.0, 3.0)), minlength=3) / len(MANY)
    assert torch.allclose(share, torch.tensor([0.25, 0.0, 0.75]), atol=0.015)
    weights = torch.zeros(len(MANY), 4)
    owned = torch.arange(len(MANY)) % 4
    weights[torch.arange(len(MANY)), owned] = 2.0
    assert torch.equal(random.choice("own", weights), owned)


def test_bernoulli_and_log_uniform():
    random = SampleRandom(5, MANY)
    assert abs(random.bernoulli("b", 0.3).float().mean() - 0.3) < 0.015
    assert not random.bernoulli("b", 0.0).any()
    assert random.bernoulli("b", 1.0).all()
    value = random.log_uniform("l", 0.01, 100.0)
    assert value.min() >= 0.0099
    assert value.max() <= 100.1
    assert abs(value.log().mean()) < 0.1  # centred on 1, the geometric mean
