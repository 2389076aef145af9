# SPDX-License-Identifier: Apache-2.0
"""DF²Net: shapes, losses with known answers, and each of its three steps learns."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import DataError, UsageError, WeightsError
from lineament.geometry import depth_to_normals
from lineament.methods.df2net import losses
from lineament.methods.df2net.config import DF2NetTrainConfig
from lineament.methods.df2net.model import (
    ColumnConvolution,
    DF2Net,
    DF2NetConfig,
    Hypercolumn,
    df2net,
    df2net_s,
    matched,
    refining_network,
)
from lineament.methods.df2net.parts import pixels
from lineament.methods.df2net.recipe import DF2NetRecipe
from lineament.methods.hffne.model import HFFNE, CoarseConfig, CoarseNormals, hffne_s
from lineament.models.albedo.config import AlbedoTrainConfig
from lineament.models.albedo.model import AlbedoConfig, AlbedoNetwork
from lineament.models.albedo.recipe import AlbedoRecipe, relative_error
from lineament.networks.weight_files import load_weights, save_weights
from lineament.render.colour import grey
from lineament.render.light_fit import normals_of_depth
from lineament.render.shading import spherical_harmonics_shading
from lineament.synth.config import SynthConfig
from lineament.synth.write import write_dataset
from lineament.training.batch import Batch, centred, concatenated
from lineament.training.config import DEPTH_LABELS
from lineament.training.data import batches
from lineament.training.loop import train

TINY = DF2NetConfig(levels=4, width=4, channels=(4, 4, 8), finer_channels=(4, 4, 8), crop_size=64)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven small synthetic faces with depth and albedo."""
    folder = tmp_path_factory.mktemp("renders")
    write_dataset(
        folder, 7, SynthConfig(size=64, identities=50), batch_size=4, pictures=("image", "depth", "albedo", "mask")
    )
    return folder


@pytest.fixture(scope="module")
def albedo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("albedo") / "face-albedo.safetensors"
    torch.manual_seed(0)
    save_weights(AlbedoNetwork(AlbedoConfig(4, 4, 64)), path)
    return path


def configured(output: Path, renders: Path, **changes: object) -> DF2NetTrainConfig:
    config = DF2NetTrainConfig(
        output,
        data=(renders,),
        size=128,
        batch_size=4,
        steps=30,
        fine_steps=20,
        warmup=2,
        learning_rate=2e-3,
        validate_every=30,
        validation_batches=1,
        ema=0.9,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


def rendered(config: DF2NetTrainConfig) -> Iterator[Batch]:
    return batches(config, "train", 0, CPU, DEPTH_LABELS)


def metrics(folder: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_sizes() -> None:
    counts = {name: sum(p.numel() for p in m.parameters()) for name, m in DF2Net(df2net()).named_children()}
    assert counts["dense"] == pytest.approx(54.4e6, rel=0.01)
    assert sum(p.numel() for p in DF2Net(df2net_s()).parameters()) == pytest.approx(2.10e6, rel=0.02)
    for wrong in ({"crop_size": 100}, {"refinement": "finest"}):
        with pytest.raises(UsageError):
            dataclasses.replace(df2net(), **wrong)


def test_the_papers_structure_runs_with_matched_ablations() -> None:
    def size(refinement: str) -> int:
        config = dataclasses.replace(df2net(), refinement=refinement)
        return sum(parameter.numel() for parameter in refining_network(config).parameters())

    assert size("plain") == pytest.approx(size("finer"), rel=0.01)
    stacked = matched(dataclasses.replace(df2net(), refinement="stacked"), size("finer"))
    assert sum(p.numel() for p in refining_network(stacked).parameters()) == pytest.approx(size("finer"), rel=0.1)
    network = DF2Net(dataclasses.replace(df2net(256), levels=4, width=8)).eval()
    with torch.no_grad():
        assert network(torch.rand(2, 3, 64, 64)).finer.shape == (2, 1, 64, 64)


@pytest.mark.parametrize("refinement", ["finer", "plain", "stacked"])
def test_every_refinement_runs(refinement: str) -> None:
    torch.manual_seed(0)
    network = DF2Net(dataclasses.replace(TINY, refinement=refinement)).eval()
    output = network(torch.rand(2, 3, 64, 96))
    assert output.dense.shape == output.fine.shape == output.finer.shape == (2, 1, 64, 96)
    if refinement != "stacked":
        assert (output.finer - output.fine).abs().max() < 0.3  # a residual
    with pytest.raises(UsageError, match="multiples of 16"):
        network(torch.rand(1, 3, 40, 40))


def test_columns_are_convolved_as_if_side_by_side() -> None:
    torch.manual_seed(0)
    column = Hypercolumn(3, (2, 3, 4))
    convolution = ColumnConvolution((2, 3, 4), 5)
    features = column(torch.rand(2, 3, 16, 24))
    assert [f.shape[1:] for f in features] == [(2, 16, 24), (3, 8, 12), (4, 4, 6)]
    enlarged = [torch.nn.functional.interpolate(f, (16, 24), mode="bilinear", align_corners=False) for f in features]
    expected = torch.nn.functional.conv2d(torch.cat(enlarged, dim=1), convolution.weight, convolution.bias)
    assert torch.allclose(convolution(features), expected, atol=1e-6)


def test_d_net_sees_smaller_crops() -> None:
    torch.manual_seed(0)
    network = DF2Net(dataclasses.replace(TINY, dense_scale=2)).eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        dense, small = network(image).dense, network.dense.small(torch.nn.functional.avg_pool2d(image, 2))
    assert dense.shape == (2, 1, 64, 64)
    again = torch.nn.functional.avg_pool2d(dense, 2)
    assert np.corrcoef(again.flatten(), small.flatten())[0, 1] > 0.95
    assert again.mean() == pytest.approx(float(small.mean()), abs=1e-3)
    with pytest.raises(UsageError, match="multiples of 32"):
        network(torch.rand(1, 3, 48, 48))
    with pytest.raises(UsageError, match="dense_scale"):
        dataclasses.replace(TINY, dense_scale=0)


def test_depth_is_smooth_under_autocast() -> None:
    torch.manual_seed(0)
    network = DF2Net(TINY).eval()
    torch.nn.init.zeros_(network.dense.unet.last[1].weight)  # a plane that bf16 would cut into steps
    network.dense.unet.last[1].bias.data.fill_(0.2)
    image, slope = torch.rand(1, 3, 64, 64), torch.linspace(0.1, 0.11, 64).expand(1, 1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        dense, fine, finer = network.dense(image), network.fine(image, slope), network.finer(image, slope)
    assert dense.dtype == fine.dtype == finer.dtype == torch.float32
    assert torch.allclose(dense, torch.tensor(0.2).tanh(), atol=1e-6)
    assert torch.allclose(fine, network.fine(image, slope), atol=1e-6)
    assert torch.allclose(finer, network.finer(image, slope), atol=1e-6)


def test_dense_starts_from_the_u_net_of_normals() -> None:
    torch.manual_seed(0)
    coarse = CoarseNormals(CoarseConfig(levels=4, width=4, crop_size=64)).eval()
    dense = DF2Net(TINY).dense.eval()
    dense.adopt(coarse.unet)
    image = torch.rand(2, 3, 64, 64)
    theirs = coarse.unet.features(2.0 * grey(image) - 1.0)
    assert torch.allclose(dense.unet.features(2.0 * image - 1.0), theirs, atol=1e-5)
    with pytest.raises(UsageError, match="another size"):
        dense.adopt(CoarseNormals(CoarseConfig(levels=4, width=8, crop_size=64)).unet)


def test_a_training_starts_from_hffne(renders: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    hffne, weights = HFFNE(hffne_s(64, "pix2pix")), tmp_path / "hffne-s.safetensors"
    save_weights(hffne, weights)
    recipe = DF2NetRecipe(configured(tmp_path, renders, init=weights).of("dense"), "dense")
    recipe.start()
    theirs, own = hffne.coarse.unet.downs[3][1].weight, recipe.model.dense.unet.downs[3][1].weight
    assert torch.allclose(theirs, own, atol=1e-3)  # half precision
    save_weights(HFFNE(hffne_s(64)), weights)
    with pytest.raises(WeightsError, match="no U-Net"):
        recipe.start()


def test_losses_of_the_truth_are_zero() -> None:
    torch.manual_seed(0)
    depth, face = 0.1 * torch.randn(2, 1, 16, 16), torch.rand(2, 1, 16, 16) > 0.3
    assert losses.depth_loss(depth, depth, face) == 0
    assert losses.normal_loss(depth, depth, face) == 0
    assert losses.depth_loss(depth + 0.2, depth, face) == pytest.approx(0.2)
    assert losses.normal_loss(depth + 0.2, depth, face) < 1e-5
    albedo = 0.3 + 0.2 * torch.rand(2, 3, 16, 16)
    light = torch.tensor([1.0, 0.1, 0.2, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0])[None, :, None].expand(2, 9, 3)
    normals = torch.from_numpy(np.stack([depth_to_normals(16.0 * d[0]) for d in depth.numpy()])).permute(0, 3, 1, 2)
    image = albedo * spherical_harmonics_shading(normals, light)
    assert losses.shading_loss(depth, depth, image, albedo, face) < 1e-3
    assert losses.shading_loss(-depth, depth, image, albedo, face) > 1e-2


def test_the_shading_loss_is_a_norm() -> None:
    line = torch.linspace(-1.0, 1.0, 32)
    depth = (0.15 * (1.0 - line[:, None] ** 2 - 0.5 * line[None] ** 2))[None, None]
    face, albedo = torch.ones(1, 1, 32, 32, dtype=torch.bool), torch.full((1, 3, 32, 32), 0.6)
    light = torch.zeros(1, 9, 3)
    light[:, 0], light[:, 3] = 0.8, 0.3
    image = albedo * spherical_harmonics_shading(normals_of_depth(pixels(depth)), light)
    for size in (0.02, 0.04):  # noise that no light explains: the loss is its standard deviation, not its square
        noise = size * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
        assert float(losses.shading_loss(depth, depth, image + noise, albedo, face)) == pytest.approx(size, rel=0.1)
    two = [torch.cat([value, value[..., :16, :].repeat(1, 1, 2, 1)]) for value in (depth, image, albedo, face)]
    assert torch.isfinite(losses.shading_loss(two[0], two[0], *two[1:]))


def test_the_papers_optimiser_and_batches(renders: Path, albedo: Path, tmp_path: Path) -> None:
    config = configured(
        tmp_path, renders, photos=(renders,), albedo=albedo, optimizer="sgd", batch_size=6, fine_batch_size=2
    )
    dense, fine = (DF2NetRecipe(config.of(name), name) for name in ("dense", "fine"))
    assert isinstance(dense.optimizers()["model"], torch.optim.SGD)
    assert [len(next(iter(recipe.batches("train", 0, torch.device("cpu"))))) for recipe in (dense, fine)] == [6, 2]


def test_the_shading_losses_gradient_points_to_the_shape() -> None:
    line = (torch.arange(24) + 0.5) / 12 - 1
    y, x = torch.meshgrid(-line, line, indexing="ij")
    truth = (0.25 * (1.5 - x.square() - y.square()).clamp_min(0.05).sqrt())[None, None]
    truth = truth + 0.005 * torch.sin(9 * x)
    face = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    albedo = torch.full((1, 3, 24, 24), 0.5)
    normals = torch.from_numpy(depth_to_normals(24.0 * truth[0, 0].numpy())).permute(2, 0, 1)[None]
    light = torch.tensor([1.0, 0.1, 0.2, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])[None, :, None].expand(1, 9, 3)
    image = albedo * spherical_harmonics_shading(normals, light)
    depth = (truth - 0.005 * torch.sin(9 * x)).clone().requires_grad_()
    before = losses.shading_loss(depth, truth, image, albedo, face)
    before.backward()
    assert depth.grad is not None
    step = depth.detach() - 1e-4 * depth.grad / depth.grad.norm() * 24
    assert losses.shading_loss(step, truth, image, albedo, face) < before


def test_rendered_depth_is_centred_and_agrees_with_what_is_made(renders: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, renders, size=64)
    batch = next(rendered(config))
    assert batch["depth"].shape == (4, 1, 64, 64)
    means = (batch["depth"] * batch["face"]).sum((1, 2, 3)) / batch["face"].sum((1, 2, 3))
    assert means.abs().max() < 1e-3
    assert batch["depth"].abs().max() < 1.0
    made = next(rendered(dataclasses.replace(config, data=())))
    assert made["depth"].abs().max() < 1.0
    folder = tmp_path / "poor"
    write_dataset(folder, 3, SynthConfig(size=64, identities=50), pictures=("image", "mask"))
    with pytest.raises(DataError, match="--pictures"):
        next(rendered(configured(tmp_path, folder)))
    both = concatenated([batch, batch])
    assert len(both) == 8
    assert torch.allclose(centred(both["depth"] + 3.0, both["face"]), both["depth"], atol=1e-3)
    with pytest.raises(KeyError, match="albedo"):
        concatenated([batch, batch.only("face", "depth")])


def test_every_step_learns_and_holds_the_others_still(renders: Path, albedo: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = configured(tmp_path, renders, photos=(renders,), albedo=albedo, batch_size=4)
    before: Path | None = None
    for step in ("dense", "fine", "finer"):
        own = dataclasses.replace(config, render_share=0.5 if step == "finer" else 0.0).of(step)  # type: ignore[arg-type]
        recipe = DF2NetRecipe(own, step, before)  # type: ignore[arg-type]
        recipe.start()
        first = {name: value.clone() for name, value in recipe.model.state_dict().items()}
        before = train(recipe, own)
        changed = {
            name.split(".")[0]
            for name, value in recipe.model.state_dict().items()
            if not torch.equal(first[name], value)
        }
        assert changed == {step}
        loss = metrics(own.output, "loss")
        assert np.mean(loss[-5:]) < (0.8 if step == "dense" else 1.0) * np.mean(loss[:5])
    with pytest.raises(UsageError, match="--photos"):
        DF2NetRecipe(configured(tmp_path, renders), "fine", before)
    larger = DF2NetRecipe(configured(tmp_path / "larger", renders, size=256, init=before).of("dense"), "dense")
    larger.start()
    assert all(
        torch.equal(value, load_weights(before, DF2Net).state_dict()[name])
        for name, value in larger.model.state_dict().items()
    )
    with pytest.raises(WeightsError, match="another configuration"):
        DF2NetRecipe(configured(tmp_path, renders, init=before, refinement="plain").of("dense"), "dense").start()


def test_renders_stand_beside_photos(renders: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, renders, photos=(renders,), render_share=0.25).of("fine")
    batch = next(DF2NetRecipe(config, "fine").batches("train", 0, CPU))
    assert batch.known.flatten().tolist() == [True, False, False, False]
    assert batch.image.shape == (4, 3, 128, 128)
    with pytest.raises(UsageError, match="render_share"):
        configured(tmp_path, renders, render_share=1.5)
    alone = configured(tmp_path, renders, render_share=1.0).of("fine")  # no photos are needed then
    assert next(DF2NetRecipe(alone, "fine").batches("train", 0, CPU)).known.all()


def test_the_albedo_network_learns(renders: Path, tmp_path: Path) -> None:
    config = AlbedoTrainConfig(
        tmp_path,
        data=(renders,),
        size=64,
        batch_size=4,
        steps=40,
        warmup=2,
        learning_rate=4e-3,
        levels=4,
        width=4,
        validate_every=40,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    torch.manual_seed(0)
    train(AlbedoRecipe(config), config)
    loss = metrics(tmp_path, "loss")
    assert np.mean(loss[-5:]) < 0.8 * np.mean(loss[:5])


def test_an_albedo_is_compared_up_to_a_factor_per_colour() -> None:
    torch.manual_seed(0)
    truth, face = 0.2 + 0.3 * torch.rand(2, 3, 16, 16), (torch.rand(2, 1, 16, 16) > 0.3).float()
    brighter = (truth + 0.05) * torch.tensor([1.3, 0.8, 1.1]).view(1, 3, 1, 1) - 0.05
    assert relative_error(brighter, truth, face).abs().max() < 1e-5
    shaded = truth * torch.linspace(0.5, 1.0, 16)
    difference = relative_error(shaded, truth, face)
    assert (difference[..., 0] < 0).any()
    assert difference.abs().sum() / face.sum() > 0.3
    assert (difference * (1 - face) == 0).all()
    assert difference.sum((2, 3)).abs().max() < 1e-3
