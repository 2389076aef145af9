# SPDX-License-Identifier: Apache-2.0
"""Light from rendered spheres and faces, and normals of depth, against what they were made with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lineament.geometry import depth_to_normals
from lineament.render.light_fit import _solved, fit_light, normals_of_depth
from lineament.render.shading import spherical_harmonics_shading


def sphere(size: int = 64) -> tuple[Tensor, Tensor]:
    """Normals [1, 3, S, S] of a sphere's front, and where it is."""
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(-line, line, indexing="ij")
    mask = x.square() + y.square() < 0.9
    z = (1 - x.square() - y.square()).clamp_min(0.05).sqrt()
    return torch.stack([x, y, z])[None] * mask, mask[None, None]


def lit_sphere() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """A picture of a sphere with a patterned albedo, its albedo, normals and mask, and its light [1, 9, 3]."""
    torch.manual_seed(0)
    normals, mask = sphere()
    light = torch.tensor([1.2, 0.15, 0.25, -0.1, 0.02, -0.03, 0.04, 0.01, -0.02])[None, :, None] * torch.tensor(
        [1.0, 0.8, 0.6]
    )
    albedo = 0.3 + 0.2 * torch.rand(1, 3, 64, 64)
    return albedo * spherical_harmonics_shading(normals, light), albedo, normals, mask, light


def test_the_light_of_a_sphere_is_found() -> None:
    image, albedo, normals, mask, light = lit_sphere()
    assert torch.allclose(fit_light(image, albedo, normals, mask), light, atol=5e-3)


def test_shadows_and_gloss_do_not_bend_the_light() -> None:
    image, albedo, normals, mask, light = lit_sphere()
    corrupted = image.clone()
    corrupted[..., 40:50, 20:44] *= 0.2  # a cast shadow
    corrupted[..., 18:24, 26:34] = 1.0  # a highlight, saturated
    corrupted[..., 5:9, :] = 0.0
    found = fit_light(corrupted, albedo, normals, mask)
    plain = fit_light(corrupted * 0 + corrupted, albedo, normals, mask & (corrupted == image).all(1, keepdim=True))
    assert (found - light).abs().max() < 0.06
    assert (plain - light).abs().max() < 0.02


def test_pictures_of_a_batch_do_not_know_each_other() -> None:
    image, albedo, normals, mask, light = lit_sphere()
    two = [torch.cat([x, x.flip(-1)]) for x in (image, albedo, mask)]
    both = fit_light(two[0], two[1], torch.cat([normals, normals]), two[2])
    assert torch.allclose(both[:1], fit_light(image, albedo, normals, mask), atol=1e-5)
    empty = fit_light(image, albedo, normals, torch.zeros_like(mask))
    assert torch.allclose(empty, torch.zeros_like(light))


def test_the_gradient_of_the_solution() -> None:
    torch.manual_seed(1)
    basis, weight = torch.randn(2, 9, 40).double(), torch.rand(2, 3, 40).double()
    colour, light = (torch.rand(2, 3, 40).double().requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda c, image: _solved(basis, c, image, weight), (colour, light))


def test_normals_of_depth_are_those_of_geometry() -> None:
    depth = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 1, 9, 12))).float().cumsum(-1)
    found = normals_of_depth(depth).permute(0, 2, 3, 1).numpy()
    for one, other in zip(found, depth[:, 0].numpy(), strict=True):
        assert np.allclose(one, depth_to_normals(other), atol=1e-5)
    plane = torch.arange(10.0).expand(1, 1, 10, 10) * 0.5  # nearer to the right
    assert torch.allclose(normals_of_depth(plane)[0, :, 4, 4], torch.tensor([-0.5, 0.0, 1.0]) / 1.25**0.5)


def test_the_light_of_a_synthetic_face_explains_its_shading() -> None:
    from lineament.rig import load_rig
    from lineament.synth import Generator, SynthConfig
    from lineament.synth.batch import MaskClass

    batch = Generator(SynthConfig(size=96, seed=3, glasses=0.0, covered=0.0), load_rig()).batch([1, 2])
    skin = batch.mask == int(MaskClass.SKIN)
    image = batch.albedo * spherical_harmonics_shading(batch.normals, batch.light).clamp_min(0.0)
    image = 0.6 * image / image.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
    light = fit_light(image, batch.albedo, batch.normals, skin)
    again = batch.albedo * spherical_harmonics_shading(batch.normals, light)
    error = ((again - image).abs() * skin).sum() / (image * skin).sum()
    assert float(error) == pytest.approx(0.0, abs=0.05)
