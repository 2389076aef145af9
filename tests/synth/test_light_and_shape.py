# SPDX-License-Identifier: Apache-2.0
"""Shapes beyond the model's basis, folds by expression, and what light does to skin: on cases with known answers."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.light import sample_light
from lineament.synth.person import RigTensors, finished, shape_of
from lineament.synth.random import SampleRandom
from lineament.synth.shade import _mirrored, _socket, _spread
from lineament.synth.skin import Folds

SMALL = SynthConfig(size=96, glasses=0.0, hats=0.0, covered=0.0)


@pytest.fixture(scope="module")
def rig() -> RigTensors:
    return RigTensors.of(load_rig(), torch.device("cpu"))


def test_the_halves_of_a_face_differ_by_what_the_asymmetry_says(rig: RigTensors) -> None:
    identity, expression = torch.zeros(2, len(rig.identity)), torch.zeros(2, len(rig.expression))
    asymmetry = torch.zeros_like(identity)
    asymmetry[1, 3] = 0.5
    undeformed = torch.zeros(2, 2, 3, len(rig.deformation.waves))
    plain, lopsided = shape_of(rig, identity, asymmetry, expression, undeformed)
    assert torch.allclose(plain, rig.mean, atol=1e-4)
    offset = 0.5 * rig.identity[3].view(-1, 3)
    moved = lopsided - plain
    right, left = rig.mean[:, 0] > 75.0, rig.mean[:, 0] < -75.0
    assert torch.allclose(moved[right], offset[right], rtol=0.01, atol=1e-3)
    assert torch.allclose(moved[left], -offset[left], rtol=0.01, atol=1e-3)
    assert moved[rig.mean[:, 0].abs() < 0.01].abs().max() < 1e-3


def test_profile_and_roundness_move_points_along_the_line_of_sight_only() -> None:
    points = torch.tensor([[[0.0, 0.0, 5.0], [0.0, -40.0, 5.0], [30.0, 0.0, 5.0], [-90.0, 0.0, 5.0]]])
    stretch = torch.tensor([[1.1, 1.0, 2.0]])
    done = finished(points, stretch, torch.tensor([0.1]), torch.tensor([0.001]))
    assert torch.allclose(done[..., :2], points[..., :2] * stretch[:, None, :2])
    expected = torch.tensor([10.0, 14.0, 10.0 - 0.001 * 33.0**2, 10.0 - 0.001 * 65.0**2])  # the chin comes forward
    assert torch.allclose(done[0, :, 2], expected, atol=1e-4)


def test_folds_follow_their_expressions() -> None:
    names = ("browInnerUp_L", "browDown_L", "mouthSmile_L", "mouthSmile_R", "jawOpen")
    folds = Folds.of(torch.tensor([[0.5, 0.0, 0.2, 0.7, 0.0], [0.0, 0.9, 0.0, 0.0, 0.3]]), names)
    assert folds.forehead.tolist() == pytest.approx([0.5, 0.0])
    assert folds.frown.tolist() == pytest.approx([0.0, 0.9])
    assert folds.smile.tolist() == pytest.approx([0.7, 0.0])
    assert folds.mouth.tolist() == pytest.approx([0.0, 0.3])
    assert Folds.of(torch.rand(2, 1), ("tongueOut",)).smile.tolist() == [0.0, 0.0]


def test_light_in_skin_spreads_but_keeps_what_is_constant() -> None:
    camera = Generator(SMALL, load_rig()).batch([0]).camera
    skin = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    skin[..., 4:28, 4:28] = True
    scatter = torch.full((1, 1, 1, 1), 1.0)
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert torch.allclose(_spread(flat, skin, scatter, camera), flat, atol=1e-4)
    edge = flat * (torch.arange(32) < 16)
    spread = _spread(edge, skin, scatter, camera)
    assert torch.equal(spread[..., :3, :], edge[..., :3, :])  # not skin
    beyond = spread[0, :, 16, 17]  # red light travels farthest into the shadow
    assert beyond[0] > beyond[1] > beyond[2] > 0
    assert torch.allclose(_spread(edge, skin, 0.0 * scatter, camera), edge, atol=1e-3)


def test_an_environment_is_mirrored_more_at_grazing_angles() -> None:
    light = sample_light(SampleRandom(0, [0]))
    bright = dataclasses.replace(light, environment=torch.zeros(1, 9, 3).index_fill(1, torch.tensor([0]), 1.0))
    view = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    straight = _mirrored(view, view, bright)
    grazing = _mirrored(torch.tensor([0.97, 0.0, 0.243]).view(1, 3, 1, 1), view, bright)
    assert straight.min() > 0
    assert grazing.min() > 3 * straight.max()


def test_eyes_are_darkest_under_the_upper_lid() -> None:
    eyes = torch.zeros(1, 1, 96, 96, dtype=torch.bool)
    eyes[..., 40:52, 30:60] = True
    depth = _socket(eyes, 96)[0, 0]
    assert depth[40, 45] > depth[51, 45] > depth[46, 45]


def test_panels_make_environments_uneven() -> None:
    random = SampleRandom(3, range(64))
    smooth, panelled = sample_light(random, 0.0), sample_light(random, 1.0)
    assert torch.equal(smooth.direction, panelled.direction)

    def unevenness(environment: torch.Tensor) -> torch.Tensor:
        return (environment[:, 4:].abs().sum((1, 2)) / environment[:, 0].sum(1)).mean()

    assert unevenness(panelled.environment) > 1.3 * unevenness(smooth.environment)


def test_strengths_change_the_picture_and_not_the_labels() -> None:
    full = Generator(SMALL, load_rig()).batch(range(3))
    plain = dataclasses.replace(SMALL, translucency=0.0, sheen=0.0, panels=0.0)
    without = Generator(plain, load_rig()).batch(range(3))
    assert torch.equal(full.normals, without.normals)
    assert not torch.equal(full.image, without.image)
    neutral = Generator(dataclasses.replace(SMALL, expression=0.0), load_rig()).batch(range(3))
    assert neutral.expression.abs().max() == 0
    narrow = Generator(dataclasses.replace(SMALL, heavy_tails=0.0), load_rig()).batch(range(3))
    assert (narrow.identity.std() < full.identity.std()).item()
