# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2 as a component: it learns, resumes exactly, grows, and takes the official weights."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from lineament.errors import UsageError, WeightsError
from lineament.images.write import write_png
from lineament.models.stylegan2.config import StyleGAN2TrainConfig
from lineament.models.stylegan2.convert import converted
from lineament.models.stylegan2.model import StyleGAN2, StyleGAN2Config, stylegan2_s
from lineament.models.stylegan2.recipe import StyleGAN2Recipe
from lineament.networks.weight_files import load_weights, save_weights
from lineament.training.batch import Batch
from lineament.training.checkpoint import latest_checkpoint
from lineament.training.loop import train
from lineament.training.recipe import learners_of

SMALL = StyleGAN2Config(32, latent=8, mapping_layers=2, base=128, most=8)


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lineament.models.stylegan2.config.stylegan2_s", lambda size: dataclasses.replace(SMALL, size=size)
    )


def configured(output: Path, faces: Path, **changes: object) -> StyleGAN2TrainConfig:
    config = StyleGAN2TrainConfig(
        output,
        data=(faces,),
        size=32,
        batch_size=4,
        steps=4,
        warmup=1,
        validate_every=100,
        precision="fp32",
        threads=1,
        gradient_interval=2,
        path_interval=2,
    )
    return dataclasses.replace(config, **changes)


def test_sizes() -> None:
    assert StyleGAN2Config().channels == (512, 512, 512, 512, 512, 256, 128, 64, 32)
    assert stylegan2_s().channels == (128, 128, 128, 64, 32, 16)
    with pytest.raises(UsageError, match="power of two"):
        StyleGAN2TrainConfig(Path("x"), size=96)


def test_a_generator_moves_towards_its_data(tmp_path: Path, faces: Path) -> None:
    """Pictures of one colour: after a few steps the generator's are nearer to it."""
    torch.manual_seed(0)
    recipe = StyleGAN2Recipe(configured(tmp_path, faces, colour_shift=0.0, learning_rate=1e-2, gamma=1.0))
    learners = learners_of(recipe, recipe.optimizers(), 1e3)
    batch = Batch(torch.full((4, 3, 32, 32), 0.9), {})
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=False)
    z = torch.randn(16, 8)

    def distance() -> float:
        with torch.no_grad():
            return float((recipe.model(z, noise=False).mean((0, 2, 3)) - 0.9).abs().mean())

    before = distance()
    for step in range(24):
        values = recipe.step(batch, step, learners, autocast)
        assert all(bool(value.isfinite()) for value in values.values())
    assert distance() < 0.7 * before
    assert recipe.path.mean > 0


def test_penalties_give_every_weight_a_gradient(tmp_path: Path, faces: Path) -> None:
    """Several processes wait for each other's gradients of all weights, those without an influence, too."""
    recipe = StyleGAN2Recipe(configured(tmp_path, faces))
    learners = learners_of(recipe, recipe.optimizers(), 1e3)
    batch, autocast = Batch(torch.rand(4, 3, 32, 32), {}), torch.autocast("cpu", torch.bfloat16)
    values = recipe.step(batch, 0, learners, autocast)
    assert {"r1", "path"} <= set(values)  # which came last
    for network in (recipe.model, recipe.discriminator):
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_a_stopped_training_goes_on_exactly(tmp_path: Path, faces: Path) -> None:
    config = configured(tmp_path / "whole", faces)
    torch.manual_seed(config.seed)
    whole = train(StyleGAN2Recipe(config), config)
    config = configured(tmp_path / "parts", faces, checkpoint_minutes=0.0)

    class Stopped(StyleGAN2Recipe):
        def step(self, batch, step, learners, autocast):  # type: ignore[no-untyped-def]
            if step == 2:
                raise KeyboardInterrupt
            return super().step(batch, step, learners, autocast)

    torch.manual_seed(config.seed)
    with pytest.raises(KeyboardInterrupt):
        train(Stopped(config), config)
    kept = latest_checkpoint(config.output)
    assert kept is not None
    assert kept.step == 2
    torch.manual_seed(config.seed)
    parts = train(StyleGAN2Recipe(config), config)
    first, second = load_weights(whole, StyleGAN2), load_weights(parts, StyleGAN2)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_small_generator_becomes_the_first_stages_of_a_larger_one(tmp_path: Path, faces: Path) -> None:
    small = StyleGAN2(SMALL)
    save_weights(small, tmp_path / "small.safetensors")
    config = configured(tmp_path, faces, size=64, init=tmp_path / "small.safetensors")
    recipe = StyleGAN2Recipe(config)
    recipe.start()
    z = torch.randn(1, 8)
    first, second = (network.generator.mapping(z) for network in (load_weights(config.init, StyleGAN2), recipe.model))
    assert torch.equal(first, second)
    assert recipe.model(z).shape == (1, 3, 64, 64)
    smaller = StyleGAN2Recipe(configured(tmp_path, faces, init=tmp_path / "large.safetensors"))
    save_weights(recipe.model, tmp_path / "large.safetensors")
    with pytest.raises(WeightsError, match="another size"):
        smaller.start()


def official(side: int, channels: dict[int, int], latent: int) -> dict[str, Tensor]:
    """A random state dict with the names and shapes of stylegan2-ada-pytorch's generator."""
    chance = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=chance)

    tensors = {"mapping.w_avg": draw(latent), "synthesis.b4.const": draw(channels[4], 4, 4)}
    for layer in range(2):
        tensors |= {f"mapping.fc{layer}.weight": 100.0 * draw(latent, latent), f"mapping.fc{layer}.bias": draw(latent)}
    entering, here = channels[4], 4
    while here <= side:
        for name in ("conv0", "conv1") if here > 4 else ("conv1",):
            inside = entering if name == "conv0" else channels[here]
            tensors |= {
                f"synthesis.b{here}.{name}.affine.weight": draw(inside, latent),
                f"synthesis.b{here}.{name}.affine.bias": 1.0 + 0.1 * draw(inside),
                f"synthesis.b{here}.{name}.weight": draw(channels[here], inside, 3, 3),
                f"synthesis.b{here}.{name}.bias": draw(channels[here]),
                f"synthesis.b{here}.{name}.noise_strength": draw(1)[0],
                f"synthesis.b{here}.{name}.noise_const": draw(here, here),
                f"synthesis.b{here}.{name}.resample_filter": draw(4, 4),
            }
        tensors |= {
            f"synthesis.b{here}.torgb.affine.weight": draw(channels[here], latent),
            f"synthesis.b{here}.torgb.affine.bias": 1.0 + 0.1 * draw(channels[here]),
            f"synthesis.b{here}.torgb.weight": draw(3, channels[here], 1, 1),
            f"synthesis.b{here}.torgb.bias": draw(3),
        }
        entering, here = channels[here], 2 * here
    return tensors


def filtered(x: Tensor) -> Tensor:
    """Zeros inserted before; [1, 3, 3, 1] both ways, its sum 4."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (taps[:, None] * taps / 16.0).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, groups=x.shape[1])


def as_published(tensors: dict[str, Tensor], z: Tensor, side: int) -> Tensor:
    """What the official network makes of one latent without noise, from its published formulas, sample by sample."""
    w = z * torch.rsqrt(z.square().mean() + 1e-8)
    for layer in range(2):
        weight, bias = tensors[f"mapping.fc{layer}.weight"], tensors[f"mapping.fc{layer}.bias"]
        w = F.leaky_relu(weight @ w * 0.01 / math.sqrt(len(w)) + 0.01 * bias, 0.2) * math.sqrt(2.0)
    x, picture, here = tensors["synthesis.b4.const"][None], None, 4
    while here <= side:
        for name in ("conv0", "conv1") if here > 4 else ("conv1",):
            at = f"synthesis.b{here}.{name}."
            style = tensors[at + "affine.weight"] @ w / math.sqrt(len(w)) + tensors[at + "affine.bias"]
            weight = tensors[at + "weight"] * style[None, :, None, None]
            weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
            if name == "conv0":
                x = filtered(F.pad(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), (1, 1, 1, 1)))
            else:
                x = F.conv2d(x, weight, padding=1)
            x = F.leaky_relu(x + tensors[at + "bias"][:, None, None], 0.2) * math.sqrt(2.0)
        at = f"synthesis.b{here}.torgb."
        style = (tensors[at + "affine.weight"] @ w / math.sqrt(len(w)) + tensors[at + "affine.bias"]) / math.sqrt(
            x.shape[1]
        )
        rgb = F.conv2d(x, tensors[at + "weight"] * style[None, :, None, None]) + tensors[at + "bias"][:, None, None]
        if picture is not None:
            spread = torch.zeros(1, 3, here, here)
            spread[..., ::2, ::2] = picture
            rgb = rgb + filtered(F.pad(spread, (2, 1, 2, 1)))
        picture, here = rgb, 2 * here
    assert picture is not None
    return picture


def test_official_weights_make_the_official_pictures() -> None:
    tensors = official(16, {4: 6, 8: 6, 16: 3}, latent=6)
    network = converted(tensors)
    assert network.config == StyleGAN2Config(16, 6, 2, base=48, most=6)
    z = torch.randn(6, generator=torch.Generator().manual_seed(5))
    wanted = as_published(tensors, z, 16)
    with torch.no_grad():
        found = network.generator(z[None], noise=False)
    assert torch.allclose(found, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_other_files_are_refused(tmp_path: Path) -> None:
    tensors = official(16, {4: 4, 8: 4, 16: 4}, latent=4)
    with pytest.raises(WeightsError, match="no state dict"):
        converted({"a": torch.zeros(1)})
    for name, value in (("mapping.fc0.weight", torch.zeros(4)), ("synthesis.b8.torgb.weight", torch.zeros(()))):
        with pytest.raises(WeightsError, match="no state dict"):
            converted({**tensors, name: value})
    short = {name: value for name, value in tensors.items() if name != "synthesis.b8.conv0.weight"}
    with pytest.raises(WeightsError, match=r"synthesis\.b8\.conv0\.weight"):
        converted(short)
    save_file({name: value.contiguous() for name, value in tensors.items()}, tmp_path / "ffhq.safetensors")
    command = [sys.executable, "-m", "lineament.models.stylegan2.convert"]
    done = subprocess.run(
        [*command, str(tmp_path / "ffhq.safetensors"), str(tmp_path / "own.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert load_weights(tmp_path / "own.safetensors", StyleGAN2).config.size == 16
    write_png(tmp_path / "photo.png", torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    failed = subprocess.run(
        [*command, str(tmp_path / "photo.png"), str(tmp_path / "x.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode != 0
    assert failed.stderr.count("\n") == 1
    assert not (tmp_path / "x.safetensors").exists()
