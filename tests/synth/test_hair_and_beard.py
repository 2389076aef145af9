# SPDX-License-Identifier: Apache-2.0
"""Haircuts, beards, rims and shadows that real photos have: each lies where it should."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.beard import Beard, grown, sample_beard
from lineament.synth.hair import HairMesh, grow_hair, hair_texture
from lineament.synth.light import barred
from lineament.synth.noise import NoiseBank
from lineament.synth.person import RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.synth.skin import Surface

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rig() -> RigTensors:
    return RigTensors.of(load_rig(), CPU)


def test_beards_have_cuts(rig: RigTensors) -> None:
    marks = rig.mean[rig.landmarks]
    lip, chin, cheek = marks[51] * 0.5 + marks[33] * 0.5, marks[8], marks[4]
    places = torch.stack([lip, chin, cheek])  # over the lip, on the chin, on the jaw's side
    x, y = (places[:, axis].expand(4, 3)[:, None, :, None] for axis in (0, 1))
    beard = Beard(torch.zeros(4), torch.ones(4), torch.arange(4), torch.full((4, 3), 0.1))
    region = torch.ones_like(x)
    full, moustache, goatee, chinstrap = grown(x, y, region, beard, marks, torch.zeros_like(x))[:, 0, :, 0]
    assert full.tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert moustache.tolist() == pytest.approx([1.0, 0.0, 0.0], abs=0.05)
    assert goatee.tolist() == pytest.approx([1.0, 1.0, 0.0], abs=0.05)
    assert chinstrap.tolist() == pytest.approx([0.0, 1.0, 1.0], abs=0.05)
    nothing = dataclasses.replace(beard, density=torch.zeros(4))
    assert (grown(x, y, region, nothing, marks, torch.zeros_like(x)) == 0).all()


def test_beards_turn_grey_with_age() -> None:
    draws = SampleRandom(3, range(400), CPU)
    dark = torch.full((400, 3), 0.02)
    young, old = (sample_beard(draws, torch.full((400,), age), dark).colour.mean() for age in (0.0, 1.0))
    assert old > 2.0 * young
    assert (sample_beard(draws, torch.zeros(400), dark).density > 0).float().mean() == pytest.approx(0.2, abs=0.06)


def test_a_bald_crown_keeps_the_hair_above_the_ears(rig: RigTensors, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh, own = HairMesh.of(rig), SampleRandom(1, range(2), CPU)
    face = pose_faces(rig, SynthConfig(), SampleRandom(1, range(2), CPU), own)

    def level(crown: bool) -> torch.Tensor:
        chance = SampleRandom.bernoulli

        def told(self: SampleRandom, name: str, share: float) -> torch.Tensor:
            fixed = {"bald crown": crown, "has hair": True, "fringe": False, "receding": False, "hat": False}
            drawn = chance(self, name, share)
            return torch.full_like(drawn, fixed[name]) if name in fixed else drawn

        monkeypatch.setattr(SampleRandom, "bernoulli", told)
        grown_hair = grow_hair(mesh, rig, face, 1.0, 0.0, own).level
        monkeypatch.setattr(SampleRandom, "bernoulli", chance)
        return grown_hair

    x, y, z = mesh.rest.unbind(-1)
    top = (x.abs() < 30) & (y > rig.mean[rig.landmarks[27], 1] + 40) & (z > 0) & (mesh.hairline > 20)
    side = (x.abs() > 65) & (mesh.hairline > 20)
    with_hair, without = level(False), level(True)
    assert (with_hair[:, top] > 0).all()
    assert (without[:, top] < 0).all()
    assert torch.equal(with_hair[:, side], without[:, side])


def test_hair_has_white_strands_in_some_people_only() -> None:
    bank, size = NoiseBank(seed=0, size=128), 32
    rest = torch.rand(60, 3, size, size, generator=torch.Generator().manual_seed(0)) * 60.0
    strand = Surface(rest, rest[:, :2], {}, torch.ones(60, 1, size, size, dtype=torch.bool))
    relief, tone, salt = hair_texture(strand, SampleRandom(0, range(60), CPU), bank)
    assert relief.shape == tone.shape == salt.shape == (60, 1, size, size)
    assert ((tone >= 0.25) & (tone <= 2.0)).all()
    salted = salt.amax((1, 2, 3)) > 0
    assert 4 <= int(salted.sum()) <= 24
    assert (salt[salted].amin((1, 2, 3)) < salt[salted].amax((1, 2, 3))).all()


def test_bars_shade_their_share_of_photos() -> None:
    bank, draws = NoiseBank(seed=0, size=128), SampleRandom(0, range(40), CPU)
    assert (barred(draws, bank, 32, 0.0) == 1.0).all()
    shaded = barred(draws, bank, 32, 1.0)
    assert ((shaded >= 0.0) & (shaded <= 1.0)).all()
    assert (shaded.amin((1, 2, 3)) < 0.7).float().mean() > 0.9
    assert (shaded.amax((1, 2, 3)) == 1.0).float().mean() > 0.9


def test_some_glasses_have_no_lower_rim() -> None:
    generator = Generator(SynthConfig(size=128, seed=7, glasses=1.0, frontal=1.0, covered=0.0), load_rig())
    batch = generator.batch(range(24))
    frame = batch.mask[:, 0] == 7
    below = torch.arange(128)[None, :, None] > batch.landmarks[:, 36:48, 1].mean(1)[:, None, None] + 4.0
    shares = (frame & below).sum((1, 2)) / frame.sum((1, 2)).clamp_min(1)
    assert (shares < 0.12).any()
    assert (shares > 0.25).any()
