# SPDX-License-Identifier: Apache-2.0
"""L2R: the warp against closed forms, losses with known minima, parts that do what they claim, and steps that learn."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lineament.errors import UsageError, WeightsError
from lineament.methods.l2r import losses
from lineament.methods.l2r.camera import FARTHEST, HALF, NEAREST, PROXY_SIZE
from lineament.methods.l2r.config import L2RTrainConfig
from lineament.methods.l2r.measures import shown
from lineament.methods.l2r.model import L2R, l2r, l2r_s
from lineament.methods.l2r.predictor import Seen, rotation
from lineament.methods.l2r.proxy import Proxy, distance_of
from lineament.methods.l2r.recipe import L2RRecipe, steps_of
from lineament.methods.l2r.refinement import GeometryRefinement
from lineament.methods.l2r.rendering import rendered
from lineament.methods.l2r.warp import (
    canonical_points,
    coarse,
    rotation_of,
    shaded,
    surface_normals,
    turned,
    warp,
)
from lineament.models.stylegan2.model import StyleGAN2
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.vectors import dot
from lineament.training.batch import Batch
from lineament.training.plan import carry_out


def view_of(**numbers: float) -> Tensor:
    """A view by its parts, in degrees and units."""
    names = ("pitch", "yaw", "roll", "x", "y", "z")
    scale = (60.0, 60.0, 60.0, 0.1, 0.1, 0.1)
    return torch.tensor([[numbers.get(name, 0.0) / unit for name, unit in zip(names, scale, strict=True)]])


def plane(size: int = 32, distance: float = 1.0) -> Tensor:
    return canonical_points(torch.full((1, 1, size, size), distance))


def test_a_face_that_looks_straight_is_seen_as_it_is() -> None:
    seen = warp(plane(), torch.zeros(1, 6), 32)
    texture = torch.rand(1, 3, 32, 32)
    assert seen.seen.all()
    assert torch.allclose(seen.of(texture), texture, atol=1e-4)


@pytest.mark.parametrize(("yaw", "pitch"), [(20.0, 0.0), (-35.0, 0.0), (0.0, 25.0), (30.0, -15.0)])
def test_a_turned_plane_is_seen_where_its_formula_says(yaw: float, pitch: float) -> None:
    """A ray (x, y, -1) t meets the plane through (0, 0, -1) with the turned normal n at t = -n_z / (n · ray)."""
    view = view_of(yaw=yaw, pitch=pitch)
    seen = warp(plane(), view, 64)
    turn = rotation_of(view)[0]
    normal = turn @ torch.tensor([0.0, 0.0, 1.0])
    line = ((torch.arange(64) + 0.5) / 32 - 1.0) * HALF
    y, x = torch.meshgrid(-line, line, indexing="ij")
    rays = torch.stack([x, y, -torch.ones_like(x)], dim=-1)
    distance = -normal[2] / (rays @ normal)
    place = rays * distance[..., None] - torch.tensor([0.0, 0.0, -1.0])
    own = place @ turn  # turned back
    wanted = torch.stack([own[..., 0], -own[..., 1]], dim=-1) / HALF
    inside = seen.seen[0, 0]
    assert inside.float().mean() > 0.5
    assert torch.allclose(seen.source[0][inside], wanted[inside], atol=2e-4)
    shape = shown(plane(), surface_normals(plane()), view, seen)
    assert torch.allclose(shape.normals[0].permute(1, 2, 0)[inside], normal.expand(int(inside.sum()), 3), atol=1e-4)
    depth = (-distance + 1.0) / (2.0 * HALF)
    # Depth is sampled from texels' middles, so its error is that of a map of 32 texels.
    assert torch.allclose(shape.depth[0, 0][inside], depth[inside], atol=0.02)


def test_moving_aside_and_nearer() -> None:
    seen = warp(plane(), view_of(x=0.25 * HALF, z=0.05), 64)
    middle = seen.source[0, 32, 32]
    # A point at the middle of the picture is -0.25 HALF from the plane's middle; nearer, everything is larger.
    assert middle[0] == pytest.approx(-0.25 + 0.95 / 64, abs=1e-3)


def test_what_lies_behind_is_hidden_and_colours_follow_the_mesh() -> None:
    distance = torch.full((1, 1, 32, 32), 1.02)
    distance[..., 12:20, 12:20] = 0.98
    texture = torch.zeros(1, 1, 32, 32)
    texture[..., 12:20, 12:20] = 1.0
    straight = warp(canonical_points(distance), torch.zeros(1, 6), 64).of(texture)
    aside = warp(canonical_points(distance), view_of(yaw=40.0), 64).of(texture)
    assert aside[..., 32, 28:36].max() == pytest.approx(1.0, abs=1e-4)
    assert straight.sum() != aside.sum()


def test_the_warp_has_the_gradient_of_depth_and_view() -> None:
    """Finite differences of where the middle pixels look."""
    torch.manual_seed(0)
    distance = (1.0 + 0.01 * torch.rand(1, 1, 8, 8)).double().requires_grad_()
    view = view_of(yaw=15.0, pitch=5.0, x=0.005).double().requires_grad_()

    def looked(d: Tensor, v: Tensor) -> Tensor:
        return warp(canonical_points(d).float(), v.float(), 16).source[0, 6:10, 6:10].double()

    looked(distance, view).sum().backward()
    step = 1e-3
    for tensor in (view,):
        assert tensor.grad is not None
        for number in (1, 3):
            moved = tensor.detach().clone()
            moved[0, number] += step
            change = (looked(distance, moved) - looked(distance, tensor.detach())).sum() / step
            assert change.item() == pytest.approx(float(tensor.grad[0, number]), rel=0.05)


def test_normals_of_a_sphere_and_its_shading() -> None:
    size, radius = 64, 0.08
    line = ((torch.arange(size) + 0.5) * 2 / size - 1.0) * HALF
    y, x = torch.meshgrid(-line, line, indexing="ij")
    # The nearest meeting of a ray (x, y, -1) t with a sphere around (0, 0, -1.05).
    a, b, c = x**2 + y**2 + 1.0, -1.05 * torch.ones_like(x), 1.05**2 - radius**2
    root = (b**2 - a * c).clamp_min(0.0)
    inside = (b**2 - a * c) > 2e-3 * radius
    distance = torch.where(inside, (-b - root.sqrt()) / a, torch.ones_like(x))[None, None]
    points = canonical_points(distance)
    wanted = (points - torch.tensor([0.0, 0.0, -1.05]).view(1, 3, 1, 1)) / radius
    kept = -torch.nn.functional.max_pool2d(-inside[None, None].float(), 3, 1, 1) > 0
    angle = torch.rad2deg(torch.acos(dot(surface_normals(points), wanted).clamp(-1, 1)))
    assert angle[kept].mean() < 1.0
    lit = shaded(torch.ones(1, 3, size, size), wanted, torch.tensor([[-1.0, 1.0, 0.0, 0.0]]))
    assert torch.allclose(lit[:, :1], wanted[:, 2:].clamp_min(0.0), atol=1e-6)
    ambient = shaded(torch.ones(1, 3, size, size), wanted, torch.tensor([[1.0, -1.0, 0.5, 0.0]]))
    assert torch.allclose(ambient, torch.ones_like(ambient))


def test_numpy_and_torch_see_alike() -> None:
    torch.manual_seed(1)
    distance = 1.0 + 0.02 * torch.nn.functional.interpolate(torch.rand(1, 1, 4, 4), (32, 32), mode="bicubic")
    points, view = canonical_points(distance), view_of(yaw=25.0, pitch=-10.0, roll=8.0, x=0.01)
    assert np.allclose(rotation(view[0].numpy()), rotation_of(view)[0].numpy(), atol=1e-6)
    ours, theirs = warp(points, view, 48), Seen.of(points[0].numpy(), view[0].numpy(), 48)
    mask = ours.seen[0, 0].numpy()
    assert (mask == theirs.mask).mean() > 0.995
    both = mask & theirs.mask
    assert np.abs(0.5 * ours.source[0].numpy() + 0.5 - theirs.source)[both].max() < 1e-3
    normals = surface_normals(points)
    shape = shown(points, normals, view, ours)
    found, depth = theirs.shape(points[0].numpy(), normals[0].numpy(), view[0].numpy())
    assert (found * shape.normals[0].permute(1, 2, 0).numpy()).sum(-1)[both].min() > 0.999
    assert np.abs(depth - shape.depth[0, 0].numpy())[both].max() < 1e-2


def test_canonical_distances_keep_to_their_range() -> None:
    distance = distance_of(5.0 * torch.randn(2, 1, 64, 64))
    assert distance.min() >= NEAREST
    assert distance.max() <= FARTHEST
    assert torch.allclose(distance[..., :2], torch.full_like(distance[..., :2], 0.7 * FARTHEST + 0.3 * NEAREST))
    nearer = torch.zeros(1, 1, 64, 64)
    nearer[..., 20:40, 20:40] = 1.0
    found = distance_of(nearer)
    assert found[..., 30, 30] < found[..., 10, 10]


def test_equation_3_is_least_at_its_own_difference() -> None:
    difference, seen = torch.full((1, 1, 4, 4), 0.1), torch.ones(1, 1, 4, 4, dtype=torch.bool)
    best = math.sqrt(2.0) * 0.1
    values = [
        float(losses.likelihood_loss(difference, torch.full_like(difference, s), seen))
        for s in (0.9 * best, best, 1.1 * best)
    ]
    assert values[1] == min(values)
    assert values[1] == pytest.approx(1.0 + math.log(math.sqrt(2.0) * best), abs=1e-5)
    hidden = seen.clone()
    hidden[..., :2] = False
    far = torch.where(hidden, difference, 5.0)
    sigma = torch.full_like(difference, best)
    assert float(losses.likelihood_loss(far, sigma, hidden)) == pytest.approx(values[1], abs=1e-5)


def test_roughness_knows_slopes_from_bumps() -> None:
    ramp = torch.arange(8.0).expand(1, 3, 8, 8)
    assert losses.roughness(ramp) == 0
    bump = torch.zeros(1, 1, 5, 5)
    bump[..., 2, 2] = 1.0
    assert float(losses.roughness(bump)) == pytest.approx((4.0 + 4.0) / 9.0)


def test_sizes_are_the_papers_and_the_small_one() -> None:
    with torch.device("meta"):
        paper, small = L2R(l2r()), L2R(l2r_s())
        generator = paper.config.prior.generator()
    assert paper.config.crop_size == 256
    assert len(paper.restoration.generator.stages) == 9  # n
    assert len(paper.restoration.injections) == 4  # k
    assert len(paper.restoration.steps) == 5  # the sizes that the paper names, 64² to 1024²
    assert paper.restoration.codes.out_features == 9 * 512
    # StyleGAN2's generator at 1024² has 30.4 million parameters with its mapping network (Karras et al. 2020).
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(30.4e6, rel=0.01)
    assert sum(p.numel() for p in small.parameters()) < 1e7
    with pytest.raises(UsageError, match="multiples of 64"):
        l2r_s(96)


def tiny() -> L2R:
    torch.manual_seed(0)
    return L2R(
        dataclasses.replace(
            l2r_s(64), width=4, latent=16, prior_size=64, prior_latent=16, prior_base=256, prior_most=16,
            refining_encoder="pix2pix", refining_width=4, refining_levels=5, decoder_width=8,
        )
    ).eval()  # fmt: skip


def test_parts_change_what_they_claim_to() -> None:
    model = tiny()
    image = torch.rand(2, 3, 64, 64)
    small = model.small(image)
    arn, albedo = model.restoration, model.proxy(small).albedo
    before = arn(small, albedo)
    assert before.shape == (2, 3, 64, 64)
    assert not torch.allclose(arn(small, albedo.flip(0)), before, atol=1e-5)  # guidance
    assert not torch.allclose(arn(small.flip(0), albedo), before, atol=1e-6)  # style
    restored, refined = model(image)
    assert refined.displacement is not None
    moved = refined.points - canonical_points(refined.distance)
    # Equation 5: along each axis the displacement times the normal of the pure depth.
    wanted = refined.displacement * surface_normals(canonical_points(refined.distance))
    assert torch.allclose(moved, wanted, atol=1e-6)
    other = model.refinement(image, restored.proxy.distance, restored.texture.flip(0), model.seen(restored))
    assert not torch.allclose(other.points, refined.points)
    blind = GeometryRefinement("pix2pix", 5, 4, textured=False, displaced=False, concentrated=False).eval()
    assert blind(image, restored.proxy.distance).displacement is None


def test_one_code_serves_all_stages_and_no_decoder_is_the_generators_picture() -> None:
    config = tiny().config
    single = L2R(dataclasses.replace(config, codes="single", decoder_width=0, guided_stages=0)).eval()
    codes = single.restoration._codes(torch.rand(1, 3, 64, 64))
    assert torch.equal(codes[:, :1].expand_as(codes), codes)
    with torch.no_grad():
        found = single.restoration(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
        codes = single.restoration._codes(torch.rand(1, 3, 64, 64))
        picture = single.restoration.generator(codes, noise=False)
    assert found.shape == picture.shape


def test_guidance_starts_by_letting_the_generator_through() -> None:
    model = tiny()
    with torch.no_grad():
        for injection, stage in zip(model.restoration.injections, model.restoration._stages, strict=False):
            injection.weight[:, : -stage.out_channels] = 0.0
            x = torch.randn(1, stage.out_channels, 8, 8)
            guide = torch.randn(1, injection.in_channels - stage.out_channels, 8, 8)
            assert torch.allclose(injection(torch.cat([guide, x], dim=1)), x, atol=1e-6)


def configured(output: Path, faces: Path, **changes: object) -> L2RTrainConfig:
    config = L2RTrainConfig(
        output,
        data=(faces,),
        size=64,
        batch_size=3,
        proxy_batch_size=3,
        proxy_steps=2,
        steps=4,
        warmup=1,
        validate_every=100,
        validation_batches=1,
        precision="fp32",
        threads=1,
        untrained_prior=True,
    )
    return dataclasses.replace(config, **changes)


@pytest.fixture
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny().config
    monkeypatch.setattr("lineament.methods.l2r.config.l2r_s", lambda size: dataclasses.replace(config, crop_size=size))


@pytest.mark.usefixtures("small_networks")
def test_all_steps_follow_each_other_and_finetuning_lowers_its_loss(faces: Path, tmp_path: Path) -> None:
    config = configured(
        tmp_path / "run", faces, finetune_steps=14, finetune_learning_rate=3e-3, learning_rate=1e-3, augment=False
    )
    weights = carry_out(steps_of(config))
    assert weights is not None
    assert load_weights(weights, L2R).config.concentration == "learned"
    read = {
        name: [json.loads(line) for line in (tmp_path / "run" / name / "log.jsonl").read_text().splitlines()]
        for name in ("proxy", "restoring", "refining", "joint", "finetuning")
    }
    assert {"photometric", "perceptual"} <= set(read["proxy"][0])
    assert {"plain", "flipped", "adversarial", "discriminator"} <= set(read["restoring"][0])
    assert "roughness" in read["refining"][0]
    lost = [line["normal"] for line in read["finetuning"] if "normal" in line]
    assert np.mean(lost[-3:]) < np.mean(lost[:3])
    # ARN is frozen while GRN learns, and the generator from then on.
    before, after = (
        load_weights(tmp_path / "run" / name / "l2r-s.safetensors", L2R) for name in ("restoring", "refining")
    )
    for name, value in before.restoration.state_dict().items():
        assert torch.equal(value, after.restoration.state_dict()[name])
    last = load_weights(weights, L2R)
    for name, value in before.restoration.generator.state_dict().items():
        assert torch.equal(value, last.restoration.generator.state_dict()[name])
    for name, value in before.proxy.depth.state_dict().items():
        assert torch.equal(value, after.proxy.depth.state_dict()[name])
    assert carry_out(steps_of(config)) == weights  # all is there: nothing is trained again


@pytest.mark.usefixtures("small_networks")
def test_unsupervised_steps_lower_equation_3(faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, faces, proxy=tmp_path / "proxy.safetensors", alpha=0.0)
    save_weights(Proxy(config.network().proxy), tmp_path / "proxy.safetensors")
    recipe = L2RRecipe(config.of("restoring"), "restoring", tmp_path / "proxy.safetensors", None)
    recipe.start()
    optimizer = torch.optim.Adam([p for p in recipe.model.parameters() if p.requires_grad], 2e-3)
    image = next(recipe.batches("train", 0, torch.device("cpu"))).image
    given = recipe.degraded(image, 0)
    assert not torch.allclose(given, image, atol=0.02)
    assert recipe.degraded(image, 0).equal(given)
    sigma = torch.full((len(image), 1, 64, 64), 0.1)
    found = []
    for _ in range(6):
        optimizer.zero_grad()
        restored = recipe.model.restore(given)
        picture = rendered(restored, None, recipe.model.config.warp_scale)
        loss = losses.colour_loss(picture.image, image, sigma, picture.seen)
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    assert found[-1] < found[0]


@pytest.mark.usefixtures("small_networks")
def test_the_prior_is_taken_and_starts_the_codes(faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, faces, untrained_prior=False, prior=tmp_path / "prior.safetensors")
    prior = StyleGAN2(config.network().prior)
    save_weights(prior, tmp_path / "prior.safetensors")
    recipe = L2RRecipe(config.of("restoring"), "restoring", Path(), None)
    own, given = recipe.model.restoration.generator.state_dict(), prior.generator.synthesis.state_dict()
    assert all(torch.equal(value, given[name].half().float()) for name, value in own.items())
    assert not any("noise" in name or "colours" in name for name in own)  # what a prior of features does not need
    assert not any(p.requires_grad for p in recipe.model.restoration.generator.parameters())
    bias = recipe.model.restoration.codes.bias.view(-1, 16)
    assert torch.equal(bias[:1].expand_as(bias), bias)
    other = StyleGAN2(dataclasses.replace(config.network().prior, latent=8))
    save_weights(other, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="another size"):
        L2RRecipe(dataclasses.replace(config, prior=tmp_path / "other.safetensors"), "restoring", Path(), None)


def test_a_prior_is_asked_for(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--prior"):
        L2RTrainConfig(tmp_path, data=(faces,), model="l2r", size=256)
    with pytest.raises(UsageError, match="untrained"):
        L2RTrainConfig(tmp_path, data=(faces,), prior=tmp_path / "x.safetensors", untrained_prior=True)
    with pytest.raises(UsageError, match="finetune"):
        L2RTrainConfig(tmp_path, data=(faces,), init=tmp_path / "x.safetensors")
    with pytest.raises(UsageError, match="multiple of 64"):
        L2RTrainConfig(tmp_path, data=(faces,), size=96)
    # What ships fits the small size.
    config = L2RTrainConfig(tmp_path, data=(faces,)).of("restoring")
    recipe = L2RRecipe(config, "restoring", Path(), None)
    assert recipe.model.restoration.generator.stages[-1].out_channels == 16


def test_turned_directions_keep_their_length() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(1, 3, 4, 4), dim=1)
    assert torch.allclose(turned(vectors, view_of(yaw=30.0, roll=10.0)).norm(dim=1), torch.ones(1, 4, 4), atol=1e-5)
    assert coarse(torch.ones(1, 3, 8, 8), 2).shape == (1, 3, 4, 4)
    assert PROXY_SIZE == 64
    assert Batch(torch.rand(1, 3, 8, 8), {}).image.shape == (1, 3, 8, 8)
