# SPDX-License-Identifier: Apache-2.0
"""HFFNE: the exemplar's ways in, what is frozen, and both stages learn."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.cli import main
from lineament.datasets.labelled_folder import begin, write_pictures
from lineament.errors import UsageError, WeightsError
from lineament.files.locking import folder_lock
from lineament.methods.casfne.model import CasFNE, casfne_s
from lineament.methods.hffne import losses
from lineament.methods.hffne.config import HFFNETrainConfig
from lineament.methods.hffne.exemplars import corrupted
from lineament.methods.hffne.model import HFFNE, CoarseConfig, CoarseNormals, HFFNEConfig, hffne, hffne_s
from lineament.methods.hffne.recipe import CoarseRecipe, HFFNERecipe
from lineament.models.features.config import FeaturesTrainConfig
from lineament.models.features.model import FaceFeatures, FaceFeaturesConfig
from lineament.models.features.recipe import FaceFeaturesRecipe
from lineament.networks.vgg import VGG19Features
from lineament.networks.weight_files import save_weights
from lineament.render.colour import grey
from lineament.training.augment import Draws
from lineament.training.batch import Batch
from lineament.training.loop import train
from lineament.training.recipe import learners_of

PLAIN = torch.autocast("cpu", torch.bfloat16, enabled=False)
TINY = HFFNEConfig(
    coarse_levels=4, coarse_width=4, vgg_width=0.125, face_channels=(8, 8, 16, 16, 16), vector=12, crop_size=64
)


def configured(output: Path, faces: Path, **changes: object) -> HFFNETrainConfig:
    config = HFFNETrainConfig(
        output,
        data=(faces,),
        size=64,
        batch_size=4,
        steps=40,
        coarse_steps=40,
        warmup=2,
        learning_rate=2e-3,
        coarse_learning_rate=2e-3,
        validate_every=40,
        validation_batches=1,
        ema=0.9,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory, faces: Path) -> Path:
    """Weights of stage one after a short training."""
    config = configured(tmp_path_factory.mktemp("run"), faces).stage_one()
    return train(CoarseRecipe(config), config)


def stepped(recipe: HFFNERecipe, batch: Batch) -> dict[str, torch.Tensor]:
    """What the first step of a training by itself says."""
    return recipe.step(batch, 0, learners_of(recipe, recipe.optimizers(), recipe.config.clip), PLAIN)


def errors(log: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_sizes_are_the_papers_and_the_small_one() -> None:
    small = sum(p.numel() for p in HFFNE(hffne_s()).parameters())
    assert small == pytest.approx(6.8e6, rel=0.02)
    assert hffne().coarse_network == "pix2pix"
    assert hffne().face_channels == (64, 128, 256, 512, 1024)
    for wrong in ({"injection": "a4"}, {"modulation": "film"}, {"crop_size": 200}):
        with pytest.raises(UsageError):
            dataclasses.replace(hffne(), **wrong)


@pytest.mark.parametrize("injection", ["skips", "bottleneck", "modulation"])
@pytest.mark.parametrize("modulation", ["stylegan2", "adain", "none"])
def test_every_configuration_runs_and_hears_the_exemplar(injection: str, modulation: str) -> None:
    torch.manual_seed(0)
    network = HFFNE(dataclasses.replace(TINY, injection=injection, modulation=modulation)).eval()
    image = torch.rand(2, 3, 64, 96)
    own = network(image)
    assert own.refined.shape == own.coarse.shape == (2, 3, 64, 96)
    assert torch.allclose(own.refined.norm(dim=1), torch.ones(2, 64, 96), atol=1e-5)
    assert torch.allclose(network(image, own.coarse).refined, own.refined)
    other = torch.nn.functional.normalize(torch.randn(2, 3, 64, 96), dim=1)
    assert not torch.allclose(network(image, other).refined, own.refined, atol=1e-5)
    with pytest.raises(UsageError, match="multiples of 16"):
        network(torch.rand(1, 3, 40, 40))


@pytest.mark.parametrize("injection", ["skips", "bottleneck", "modulation"])
def test_untrained_normals_face_the_viewer(injection: str) -> None:
    torch.manual_seed(0)
    network = HFFNE(dataclasses.replace(hffne_s(64), injection=injection)).eval()
    refined = network(torch.rand(2, 3, 64, 64)).refined
    assert refined[:, 2].mean() > 0.8


def test_nothing_flows_into_what_is_frozen() -> None:
    torch.manual_seed(0)
    network = HFFNE(TINY)
    assert network.decoder.training
    assert not network.coarse.training
    assert not network.train().coarse.training
    before = {name: value.clone() for name, value in network.coarse.state_dict().items()}
    image = torch.rand(2, 3, 64, 64)
    network(image).refined.square().mul(torch.rand(2, 3, 64, 64)).sum().backward()
    frozen = ("coarse.", "exemplar_encoder.vgg.")
    for name, parameter in network.named_parameters():
        if name.startswith(frozen):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
    # Not even the running statistics of its normalisation move.
    assert all(torch.equal(before[name], value) for name, value in network.coarse.state_dict().items())


def test_the_coarse_network_takes_an_encoder_of_ours(faces: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    known = CasFNE(casfne_s())
    (tmp_path / "known").mkdir()
    save_weights(known, tmp_path / "known" / "casfne-s.safetensors")
    config = configured(tmp_path / "run", faces, start=str(tmp_path / "known" / "casfne-s.safetensors"))
    config.check_places()
    network = CoarseRecipe(config.stage_one()).model
    assert network.config.multiple == 32
    own, theirs = network.unet.encoder.state_dict(), known.encoder.state_dict()
    assert all(torch.allclose(own[name].float(), theirs[name].float(), atol=1e-3) for name in own)
    image = torch.rand(2, 3, 64, 64)
    coloured = network.eval()(image)
    assert coloured.shape == (2, 3, 64, 64)
    grey_alone = image.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    assert torch.allclose(network(grey(grey_alone).expand(-1, 3, -1, -1)), network(grey_alone), atol=1e-5)
    with pytest.raises(UsageError, match="starts from random"):
        configured(tmp_path, faces, model="hffne", size=256, start="imagenet")
    with pytest.raises(UsageError, match="multiples of 32"):
        CoarseConfig(network="efficientnet-lite0", crop_size=80)


def test_losses_are_zero_where_they_should_be() -> None:
    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(2, 3, 16, 16), dim=1)
    face = torch.rand(2, 1, 16, 16) > 0.3
    elsewhere = torch.where(face, normals, -normals)
    for loss in (losses.absolute_loss, losses.reconstruction_loss):
        assert loss(elsewhere, normals, face) == 0
        assert loss(-normals, normals, face) > 0.1
    # Half of the square up to one, the distance beyond it (Huber).
    difference = torch.zeros(1, 3, 4, 4)
    everywhere = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    assert losses.reconstruction_loss(difference + 0.2, difference, everywhere) == pytest.approx(0.02)
    assert losses.reconstruction_loss(difference + 2.0, difference, everywhere) == pytest.approx(1.5)
    features = VGG19Features(0.125)
    grey_normals = torch.full((1, 3, 16, 16), 0.2)
    shown = 0.5 * grey_normals + 0.5
    assert losses.perceptual_loss(features, shown, grey_normals, everywhere[..., :1, :1].expand(1, 1, 16, 16)) < 1e-6


def test_stage_one_learns(coarse: Path) -> None:
    log = coarse.parent / "log.jsonl"
    assert np.mean(errors(log, "rec")[-5:]) < 0.7 * np.mean(errors(log, "rec")[:5])
    assert {"adv", "discriminator", "validation_error"} <= {key for line in log.open() for key in json.loads(line)}


def test_stage_two_learns_from_pictures_without_labels(coarse: Path, faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, faces, perceptual=0.1)
    recipe = HFFNERecipe(config, coarse)
    first = {name: value.clone() for name, value in recipe.model.coarse.state_dict().items()}
    train(recipe, config)
    assert all(torch.equal(first[name], value) for name, value in recipe.model.coarse.state_dict().items())
    log = tmp_path / "log.jsonl"
    assert np.mean(errors(log, "rec")[-5:]) < 0.75 * np.mean(errors(log, "rec")[:5])
    assert len(errors(log, "validation_error_refined")) == 1


def test_labels_do_not_enter_stage_two(coarse: Path, faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, faces, augment=False)
    metrics = []
    for scale in (1.0, -1.0):
        torch.manual_seed(0)
        recipe = HFFNERecipe(config, coarse)
        batch = next(recipe.batches("train", 0, torch.device("cpu")))
        assert set(batch.labels) == {"face"}
        changed = batch.with_labels(normals=torch.full_like(batch.image, scale))
        metrics.append(float(stepped(recipe, changed)["loss"]))
    assert metrics[0] == metrics[1]


def test_unpaired_exemplars_are_others(
    coarse: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineament.methods.hffne.recipe.corrupted", lambda exemplar, face, draw: exemplar)
    seen = {}
    for paired in (True, False):
        torch.manual_seed(0)
        recipe = HFFNERecipe(configured(tmp_path, faces, paired=paired, augment=False), coarse)
        batch = next(recipe.batches("train", 0, torch.device("cpu")))
        refine = recipe.model.refine
        recipe.model.refine = lambda image, exemplar, paired=paired, refine=refine: (  # type: ignore[method-assign]
            seen.__setitem__(paired, exemplar) or refine(image, exemplar)
        )
        stepped(recipe, batch)
    assert torch.equal(seen[True].roll(1, 0), seen[False])
    assert (seen[True] - seen[False]).abs().max() > 0.05
    with pytest.raises(UsageError, match="unpaired"):
        configured(tmp_path, faces, paired=False, batch_size=1)


def test_most_exemplars_are_spoilt() -> None:
    line = torch.linspace(-0.6, 0.6, 64)
    y, x = torch.meshgrid(-line, line, indexing="ij")
    sphere = torch.stack([x, y, (1 - x.square() - y.square()).sqrt()])
    valid = (x.square() + y.square() < 0.3)[None]
    exemplars = (sphere * valid).expand(200, -1, -1, -1)
    face = (x.square() + y.square() < 0.2).expand(200, 1, 64, 64)
    made = corrupted(exemplars, face, Draws(1, 0, 200, exemplars.device))
    assert torch.equal(made, corrupted(exemplars, face, Draws(1, 0, 200, exemplars.device)))
    length = made.norm(dim=1, keepdim=True)
    assert (length[:, :, ~valid[0]] == 0).all()
    assert ((length - 1).abs().lt(1e-4) | length.eq(0)).all()
    within = face[0, 0]
    holed = (length[:, 0] == 0)[:, within].any(1)
    assert 0.05 < holed.float().mean() < 0.3
    outlined = (length[:, 0] == 0)[:, valid[0] & ~within].all(1)
    assert 0.3 < outlined.float().mean() < 0.7
    angle = torch.rad2deg((made * exemplars).sum(1).clamp(-1, 1).acos())[:, within].mean(1)
    as_it_was = ((made - exemplars).abs() * within).amax((1, 2, 3)) < 1e-4
    assert 0.1 < as_it_was.float().mean() < 0.4
    assert 3.0 < angle[~as_it_was & ~holed].mean() < 25.0


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A white photo without normals and depth, as a dataset."""
    folder = tmp_path / "photos"
    with folder_lock(folder):
        begin(folder, {}, ("image", "mask"))
        pictures = {"image": np.full((48, 48, 3), 200, np.uint8), "mask": np.ones((48, 48), np.uint8)}
        line = {"index": 0, "person": 1, "files": write_pictures(folder, 0, pictures)}  # type: ignore[arg-type]
        (folder / "samples.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_photos_are_mixed_in(coarse: Path, faces: Path, photos: Path, tmp_path: Path) -> None:
    config = configured(tmp_path / "run", faces, photos=(photos,), photo_share=0.25)
    config.check_places()
    recipe = HFFNERecipe(config, coarse)
    batch = next(recipe.batches("train", 0, torch.device("cpu")))
    assert len(batch.image) == 4
    assert [bool((picture == 200 / 255).all()) for picture in batch.image] == [False, False, False, True]
    assert batch["face"][3].all()
    assert torch.isfinite(stepped(recipe, batch)["loss"])
    assert len(next(recipe.batches("validation", 0, torch.device("cpu"))).image) == 4
    alone = dataclasses.replace(config, photo_share=1.0)
    assert (next(HFFNERecipe(alone, coarse).batches("train", 3, torch.device("cpu"))).image == 200 / 255).all()


def test_weights_that_do_not_fit_are_named(faces: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(CoarseNormals(CoarseConfig(4, 4, crop_size=64)), other)
    with pytest.raises(WeightsError, match="another size"):
        HFFNERecipe(configured(tmp_path, faces), other)
    wide = tmp_path / "features.safetensors"
    save_weights(FaceFeatures(FaceFeaturesConfig(0.125)), wide)
    fitting = tmp_path / "coarse.safetensors"
    save_weights(CoarseNormals(hffne_s(64).coarse()), fitting)
    with pytest.raises(WeightsError, match="another width"):
        HFFNERecipe(configured(tmp_path, faces, features=wide), fitting)


def test_features_learn(faces: Path, tmp_path: Path) -> None:
    config = FeaturesTrainConfig(
        tmp_path,
        data=(faces,),
        size=64,
        batch_size=4,
        steps=30,
        warmup=2,
        learning_rate=3e-3,
        width=0.125,
        validate_every=30,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    train(FaceFeaturesRecipe(config), config)
    loss = errors(tmp_path / "log.jsonl", "loss")
    assert np.mean(loss[-5:]) < 0.8 * np.mean(loss[:5])


def test_both_stages_by_one_command(faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "hffne", "--output", str(run), "--data", str(faces), "--size", "64", "--batch-size", "2"]
    words += ["--steps", "2", "--coarse-steps", "2", "--validation-batches", "1", "--injection", "bottleneck"]
    assert main(words) == 0
    first = (run / "coarse" / "hffne-coarse.safetensors").stat().st_mtime_ns
    assert (run / "hffne-s.safetensors").exists()
    (run / "hffne-s.safetensors").unlink()
    assert main(words) == 0  # goes on from what is there
    assert (run / "coarse" / "hffne-coarse.safetensors").stat().st_mtime_ns == first
    assert (run / "hffne-s.safetensors").exists()


def test_stage_two_goes_on_from_weights(coarse: Path, faces: Path, tmp_path: Path) -> None:
    given = tmp_path / "given.safetensors"
    first = HFFNERecipe(configured(tmp_path, faces), coarse)
    save_weights(first.model, given)
    torch.manual_seed(1)
    second = HFFNERecipe(configured(tmp_path, faces, init=given), coarse)
    second.start()
    pairs = zip(first.model.decoder.parameters(), second.model.decoder.parameters(), strict=True)
    assert all(torch.allclose(one, other, atol=2e-3) for one, other in pairs)
    with pytest.raises(WeightsError, match="another configuration"):  # said before anything is trained
        HFFNERecipe(configured(tmp_path, faces, init=given, injection="skips"), tmp_path / "not-yet.safetensors")
