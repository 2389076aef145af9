# SPDX-License-Identifier: Apache-2.0
"""Cas-FNE: sizes, stages, fusions, losses with known values, and trainings that learn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from lineament.errors import UsageError, WeightsError
from lineament.methods.casfne import losses
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE, CasFNEConfig, casfne, casfne_s
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.networks.resnet import ResNet18Encoder
from lineament.networks.torchvision import load_torchvision_weights
from lineament.render.vectors import unit
from lineament.training.batch import Batch

TINY = {"width": 0.125, "decoder_channels": (16, 16, 8, 8, 8), "normal_channels": 4}


def parameters(model: torch.nn.Module) -> float:
    return sum(p.numel() for p in model.parameters()) / 1e6


def test_sizes_are_the_papers_and_ours() -> None:
    assert parameters(CasFNE(casfne())) == pytest.approx(18.1, rel=0.01)  # table IV's count: test_paper_sizes.py
    assert parameters(CasFNE(casfne_s())) == pytest.approx(5.7, rel=0.02)
    assert parameters(ResNet18Encoder()) == pytest.approx(11.18, abs=0.01)  # ResNet-18 without its classifier


def test_a_started_cascade_repeats_the_initial_block_and_can_learn() -> None:
    model = CasFNE(CasFNEConfig(**TINY))
    model.start_cascade()
    output = model.eval()(torch.rand(2, 3, 64, 64), 2)
    normals = output.normals
    assert torch.allclose(normals[0], normals[2], atol=1e-6)
    assert torch.allclose(output.concentrations[0], output.concentrations[2], atol=1e-5)
    normals[2][:, 0].sum().backward()
    gradient = next(model.cascade_decoder.parameters()).grad  # of the first layer, the prior's channels last
    assert gradient is not None
    assert gradient[-1].abs().max() > 0


@pytest.mark.parametrize("fusion", ["cat", "adain", "fmm"])
def test_any_number_of_stages_from_one_set_of_weights(fusion: str) -> None:
    model = CasFNE(CasFNEConfig(**TINY, fusion=fusion)).eval()
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        five = model(image, 5)
        two = model(image)
        none = model(image, 0)
    assert [len(o.normals) for o in (five, two, none)] == [6, 3, 1]
    for first, second in zip(five.normals, two.normals, strict=False):
        assert torch.equal(first, second)
    assert five.normals[-1].shape == (2, 3, 64, 96)
    assert five.mask_logits.shape == (2, 1, 64, 96)
    assert len(five.concentrations) == 6
    assert five.concentrations[-1].shape == (2, 1, 64, 96)
    assert (five.concentrations[-1] > 0).all()
    assert torch.allclose(five.normals[-1].norm(dim=1), torch.ones(2, 64, 96), atol=1e-4)
    assert not torch.equal(five.normals[1], five.normals[2])


def test_impossible_requests_are_refused() -> None:
    model = CasFNE(CasFNEConfig(**TINY))
    with pytest.raises(UsageError, match="multiples of 32"):
        model(torch.rand(1, 3, 50, 64))
    with pytest.raises(UsageError, match="0 to 5"):
        model(torch.rand(1, 3, 64, 64), 6)
    with pytest.raises(UsageError, match="fusion"):
        CasFNEConfig(fusion="sum")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvision_checkpoints_load(tmp_path: Path, suffix: str) -> None:
    source = ResNet18Encoder()
    state = {name: torch.rand_like(v) if v.is_floating_point() else v for name, v in source.state_dict().items()}
    state["fc.weight"], state["fc.bias"] = torch.rand(10, 512), torch.rand(10)
    path = tmp_path / f"resnet18{suffix}"
    save = torch.save if suffix == ".pth" else save_file
    save(state, path)
    target = ResNet18Encoder()
    load_torchvision_weights(target, path)
    assert torch.equal(target.layer3[0].downsample[0].weight, state["layer3.0.downsample.0.weight"])
    with pytest.raises(WeightsError, match="width 1"):
        load_torchvision_weights(ResNet18Encoder(0.5), path)
    with pytest.raises(WeightsError, match=r"no such file|cannot read"):
        load_torchvision_weights(target, tmp_path / f"missing{suffix}")
    state["bn1.weight"][3] = float("nan")
    save(state, path)
    with pytest.raises(WeightsError, match=r"'bn1\.weight' has values that are not finite"):
        load_torchvision_weights(target, path)
    if suffix == ".pth":
        torch.save([1, 2], path)
        with pytest.raises(WeightsError, match="more than tensors"):
            load_torchvision_weights(target, path)


def tilted(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([math.sin(angle), 0.0, math.cos(angle)]).view(1, 3, 1, 1).expand(2, 3, 8, 8)


def test_reconstruction_losses_of_known_angles() -> None:
    everywhere = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    truth = tilted(0)
    one = losses.reconstruction_loss([tilted(60)], truth, everywhere)
    assert one == pytest.approx(0.5, abs=1e-6)
    three = losses.reconstruction_loss([tilted(60)] * 3, truth, everywhere)
    assert three == pytest.approx(1.5, abs=1e-6)
    chord = losses.reconstruction_loss([tilted(60)], truth, everywhere, "angle")
    assert chord == pytest.approx(1.0 - 0.01, abs=1e-3)  # 2 sin 30°
    assert losses.reconstruction_loss([truth], truth, everywhere, "angle") == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("kappa", [0.3, 2.0, 15.0])
def test_the_likelihood_is_that_of_a_distribution_on_the_sphere(kappa: float) -> None:
    theta = torch.linspace(0.0, math.pi, 20_001, dtype=torch.float64)
    place = torch.stack([theta.sin(), torch.zeros_like(theta), theta.cos()]).view(1, 3, 1, -1)
    everywhere = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    kappas = torch.full((1, 1, 1, 1), kappa, dtype=torch.float64)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(1, 3, 1, 1)
    nll = [
        float(losses.likelihood_loss([up], [kappas], place[..., i : i + 1], everywhere)) for i in range(0, 20_001, 100)
    ]
    density = torch.exp(-torch.tensor(nll, dtype=torch.float64)) / (2 * math.pi)  # a constant is left out
    ring = 2 * math.pi * theta[::100].sin()
    assert torch.trapezoid(density * ring, theta[::100]) == pytest.approx(1.0, abs=5e-3)


def test_the_likelihood_asks_for_the_concentration_that_the_errors_have() -> None:
    everywhere = torch.ones(2, 1, 8, 8, dtype=torch.bool)

    def best(degrees: float) -> float:
        tries = torch.logspace(-1, 2.5, 400)
        nll = [
            float(losses.likelihood_loss([tilted(degrees)], [t.expand(2, 1, 8, 8)], tilted(0), everywhere))
            for t in tries
        ]
        return float(tries[int(torch.tensor(nll).argmin())])

    assert best(5) > best(10) > best(20) > best(40)
    assert torch.autograd.gradcheck(
        lambda n, k: losses.likelihood_loss([F.normalize(n, dim=1)], [k], tilted(0).double(), everywhere),
        (
            (tilted(25).double() * 1.3).clone().requires_grad_(),
            torch.full((2, 1, 8, 8), 3.0, dtype=torch.float64, requires_grad=True),
        ),
    )


def test_half_resolution_learns_what_full_resolution_goes_on_from(tmp_path: Path) -> None:
    model = CasFNE(CasFNEConfig(**TINY))
    image = torch.rand(2, 3, 64, 96)
    half = model.at_half_resolution(image)
    assert half.normals[0].shape == (2, 3, 32, 48)
    assert half.concentrations[0].shape == half.mask_logits.shape == (2, 1, 32, 48)
    half.normals[0].sum().backward()
    assert model.encoder.conv1.weight.grad is not None
    assert model.initial_decoder.ups[4][0].weight.grad is None
    batch = sphere_batch(1, 32).at_half_resolution()
    assert batch["normals"].shape == (1, 3, 16, 16)
    assert torch.allclose(batch["normals"].norm(dim=1, keepdim=True)[batch["face"]], torch.ones(1), atol=1e-5)
    with pytest.raises(UsageError, match="half resolution"):
        CasFNETrainConfig(tmp_path, half=True)


def test_unlabelled_pixels_do_not_count() -> None:
    half = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    half[..., :4] = True
    prediction = torch.where(half, tilted(60), tilted(180))
    assert losses.reconstruction_loss([prediction], tilted(0), half) == pytest.approx(0.5, abs=1e-6)
    assert losses.reconstruction_loss([prediction], tilted(0), half & False) == 0


def test_total_variation_of_constants_and_ramps() -> None:
    assert losses.total_variation_loss([tilted(30)]) == pytest.approx(0.0, abs=1e-5)
    ramp = torch.zeros(1, 3, 8, 8)
    ramp[:, 0] = 0.1 * torch.arange(8.0)
    assert losses.total_variation_loss([ramp, ramp]) == pytest.approx(2 * 0.05, abs=1e-5)


def sphere_batch(count: int, size: int) -> Batch:
    """Lit spheres of random light: the smallest shape-from-shading problem."""
    draw = torch.Generator().manual_seed(0)
    line = (torch.arange(size) + 0.5 - size / 2) / (0.45 * size)
    x, y = line[None, :].expand(size, -1), -line[:, None].expand(-1, size)
    face = (x**2 + y**2 < 1).expand(count, 1, -1, -1)
    z = (1 - x**2 - y**2).clamp_min(1e-4).sqrt()
    normals = F.normalize(torch.stack([x, y, z]), dim=0).expand(count, -1, -1, -1) * face
    light = F.normalize(torch.randn(count, 3, generator=draw) * 0.5 + torch.tensor([0.0, 0.0, 1.0]), dim=1)
    shading = (normals * light[:, :, None, None]).sum(1, keepdim=True).clamp_min(0)
    return Batch((0.1 + 0.8 * shading).expand(-1, 3, -1, -1) * face, {"normals": normals, "face": face})


@pytest.mark.parametrize(
    ("fusion", "chosen", "kind"),
    [
        ("cat", ("rec", "tv", "adv"), "cosine"),
        ("cat", ("rec", "likelihood"), "angle"),
        ("adain", ("rec", "tv"), "cosine"),
        ("fmm", ("rec", "adv"), "angle"),
    ],
)
def test_a_tiny_training_learns_a_sphere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fusion: str, chosen: tuple[str, ...], kind: str
) -> None:
    torch.manual_seed(0)
    tiny = CasFNEConfig(**TINY, fusion=fusion, stages=1)
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: tiny)
    config = CasFNETrainConfig(tmp_path, stages=1, fusion=fusion, losses=chosen, reconstruction=kind)
    recipe = CasFNERecipe(config)
    assert (recipe.discriminator is not None) == ("adv" in chosen)
    batch = sphere_batch(4, 32 if "adv" not in chosen else 64)
    optimizer = torch.optim.Adam(recipe.model.parameters(), 5e-3)
    plain = torch.autocast("cpu", enabled=False)
    history = []
    for _ in range(25):
        total, parts, normals = recipe.generator_loss(batch, plain)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(float(parts["rec"]))
        assert set(parts) == {*chosen, "mask"}
    assert history[-1] < 0.5 * history[0]
    if recipe.discriminator is not None:
        judge = torch.optim.Adam(recipe.discriminator.parameters(), 1e-3)
        judged = []
        for _ in range(10):
            loss = recipe.discriminator_loss(batch, normals, plain)
            judge.zero_grad()
            loss.backward()
            judge.step()
            judged.append(float(loss))
        assert judged[-1] < judged[0]


def test_another_prior_reaches_the_cascades_normals() -> None:
    torch.manual_seed(3)
    model = CasFNE(CasFNEConfig(0.125, (16, 16, 16, 16, 16), 4, crop_size=64)).train()
    image = torch.rand(2, 3, 64, 64)
    features, own, _, _ = model.initial(image)
    other = unit(torch.randn(2, 3, 64, 64) + torch.tensor([0.0, 0.0, 2.0]).view(1, 3, 1, 1))
    with torch.no_grad():
        first, second = model.cascade(features, own)[0], model.cascade(features, other)[0]
        assert (first - second).abs().max() > 1e-3
        model.start_cascade()  # a copy of the initial block hears nothing, until it is trained
        first, second = model.cascade(features, own)[0], model.cascade(features, other)[0]
    assert torch.allclose(first, second, atol=1e-5)
