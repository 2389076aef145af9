# SPDX-License-Identifier: Apache-2.0
"""The random deformation is the Gaussian process that it says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lineament.rig import Part, load_rig
from lineament.synth.deform import _SCALES, Deformation
from lineament.synth.person import RigTensors
from lineament.synth.random import SampleRandom

MIRROR = torch.tensor([-1.0, 1.0, 1.0])
EYES = torch.tensor([[30.0, 25.0, 80.0], [-30.0, 25.0, 80.0]])


def over(points: Tensor, part: Tensor | None = None, eye_line: float = 200.0) -> Deformation:
    part = torch.zeros(len(points), dtype=torch.int64) if part is None else part
    return Deformation.of(points, part, EYES, torch.full((len(points),), eye_line))


def samples(process: Deformation, count: int = 4000, halves: float = 0.0) -> Tensor:
    """Displacements [count, V, 3] of unit weights; ``halves`` is how far both halves agree."""
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(count, 2, 3, len(process.waves), generator=generator)
    weights[:, 1] = halves * weights[:, 0] + math.sqrt(1.0 - halves**2) * weights[:, 1]
    return process.displacement(weights)


def test_it_spreads_as_much_as_its_scales_say() -> None:
    moved = samples(over(torch.tensor([[40.0, -20.0, 90.0], [-10.0, 60.0, 95.0]])))
    expected = math.sqrt(sum(deviation**2 for _, deviation in _SCALES))
    assert moved.std(0).flatten().tolist() == pytest.approx([expected] * 6, rel=0.05)
    assert moved.mean(0).abs().max() < 0.2


def test_near_points_move_alike_and_far_ones_do_not() -> None:
    places = torch.tensor([[40.0, 0.0, 90.0], [41.0, 0.0, 90.0], [40.0, 12.0, 90.0], [40.0, -150.0, 20.0]])
    x = samples(over(places))[..., 0]
    near, middle, far = (torch.corrcoef(x[:, [0, other]].T)[0, 1].item() for other in (1, 2, 3))
    assert near > 0.98
    assert 0.5 < middle < 0.98
    assert abs(far) < 0.4  # of few waves, which never forget altogether


def test_halves_that_agree_are_mirror_images() -> None:
    place = torch.tensor([[35.0, -30.0, 90.0]])
    left, right = samples(over(torch.cat([place, place * MIRROR])), 8, halves=1.0).unbind(1)
    assert torch.allclose(left, right * MIRROR, atol=1e-4)
    left, right = samples(over(torch.cat([place, place * MIRROR])), 8).unbind(1)
    assert not torch.allclose(left, right * MIRROR, atol=0.1)


def test_eyeballs_and_edges_of_lids_move_as_a_whole() -> None:
    around = EYES[0] + 12.0 * torch.nn.functional.normalize(torch.randn(6, 3), dim=1)
    eyeball = torch.full((6,), int(Part.EYE_LEFT))
    for process in (over(around, eyeball), over(around, eye_line=0.0)):
        moved = samples(process, 4)
        assert torch.allclose(moved, moved[:, :1].expand_as(moved), atol=1e-4)


def test_people_differ_in_strength_and_none_leaves_the_model_alone() -> None:
    rig = RigTensors.of(load_rig(), torch.device("cpu"))
    people = SampleRandom(3, range(48))
    drawn = rig.deformation.draw(people, 1.0)
    strengths = drawn.flatten(1).std(1)
    assert strengths.max() > 3 * strengths.min()
    assert torch.equal(rig.deformation.draw(people.select([7]), 1.0), drawn[7:8])
    alike = torch.corrcoef(torch.stack([drawn[:, 0].flatten(), drawn[:, 1].flatten()]))[0, 1]
    assert alike == pytest.approx(0.95, abs=0.02)
    assert rig.deformation.displacement(rig.deformation.draw(people, 0.0)).abs().max() == 0.0
