# SPDX-License-Identifier: Apache-2.0
"""The loop: resuming exactly, schedules, averages, augmentation that keeps labels true."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lineament.errors import DataError, UsageError, WeightsError
from lineament.images.tone import face_contrast
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE, CasFNEConfig
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.networks.weight_files import load_weights, mean_weights, save_weights
from lineament.training.augment import Draws, Placement, augment, recoloured
from lineament.training.batch import Batch
from lineament.training.checkpoint import read_checkpoint
from lineament.training.data import DatasetFolder
from lineament.training.labels import Decoder
from lineament.training.loop import train
from lineament.training.schedule import FLOOR, AveragedModel, learning_rate

TINY = CasFNEConfig(width=0.125, decoder_channels=(16, 16, 8, 8, 8), normal_channels=4, stages=1, crop_size=64)


def configured(output: Path, faces: Path, **changes: object) -> CasFNETrainConfig:
    config = CasFNETrainConfig(
        output,
        data=(faces,),
        size=64,
        stages=1,
        batch_size=2,
        steps=6,
        warmup=2,
        learning_rate=1e-3,
        validate_every=6,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


def parsing(*folders: Path, size: int = 64) -> CasFNETrainConfig:
    return CasFNETrainConfig(Path(), data=folders, size=size, batch_size=2)


def losses_of(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_a_resumed_run_has_the_same_loss_curve(tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    straight, stopped = configured(tmp_path / "a", faces), configured(tmp_path / "b", faces)
    train(CasFNERecipe(_seeded(straight)), straight)

    def stop(step: int, metrics: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CasFNERecipe(_seeded(stopped)), stopped, stop)
    with (stopped.output / "log.jsonl").open("a") as log:
        log.write('{"step": 4, "lo')  # a line that the stop cut off
    weights = train(CasFNERecipe(_seeded(stopped)), stopped)
    assert losses_of(stopped.output) == losses_of(straight.output)
    assert len(losses_of(straight.output)) == 6
    first, second = (load_weights(path, CasFNE) for path in (straight.output / weights.name, weights))
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert (straight.output / "sheet-0000006.png").exists()
    last = json.loads((straight.output / "log.jsonl").read_text().splitlines()[-1])
    assert 0 < last["validation_error_stage_1"] < 180


def _seeded(config: CasFNETrainConfig) -> CasFNETrainConfig:
    torch.manual_seed(1)  # of the networks' first weights
    return config


def test_a_run_with_another_configuration_is_not_continued(
    tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    config = configured(tmp_path, faces, steps=1, losses=("rec",))
    train(CasFNERecipe(config), config)
    other = dataclasses.replace(config, learning_rate=5e-4)
    with pytest.raises(UsageError, match="another learning_rate"):
        train(CasFNERecipe(other), other)


def test_the_training_loss_falls(tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    config = configured(tmp_path, faces, steps=30, warmup=2, learning_rate=3e-3, losses=("rec",), augment=False)
    train(CasFNERecipe(_seeded(config)), config)
    curve = losses_of(tmp_path)
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])


def test_the_cascade_learns_alone_from_the_mean_of_several_trainings(
    tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = dataclasses.replace(TINY, stages=0)
    paths = tuple(tmp_path / f"{name}.safetensors" for name in "ab")
    for path in paths:
        save_weights(CasFNE(bare), path)
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    more = {"init": paths, "freeze": True, "losses": ("rec",), "augment": False}
    config = configured(tmp_path / "run", faces, steps=30, learning_rate=3e-3, ema=0.0, **more)
    trained = load_weights(train(CasFNERecipe(_seeded(config)), config), CasFNE)
    first, second = (load_weights(path, CasFNE).state_dict() for path in paths)
    for name, value in trained.state_dict().items():
        if name.startswith(("encoder", "initial_decoder", "coarse_head")) and value.dtype.is_floating_point:
            assert torch.allclose(value, 0.5 * (first[name] + second[name]), atol=1e-3), name  # statistics, too
    copy = trained.initial_decoder.state_dict()["ups.3.0.weight"]
    assert not torch.allclose(trained.cascade_decoder.state_dict()["ups.3.0.weight"], copy, atol=1e-3)
    curve = losses_of(config.output)
    assert sum(curve[-5:]) < 0.95 * sum(curve[:5])
    with pytest.raises(UsageError, match="--init"):
        configured(tmp_path, faces, freeze=True)


def test_weights_of_different_sizes_have_no_mean() -> None:
    with pytest.raises(WeightsError, match="different sizes"):
        mean_weights([CasFNE(dataclasses.replace(TINY, width=width)) for width in (0.125, 0.25)])


def test_the_schedule_warms_up_and_decays() -> None:
    rates = [learning_rate(step, 100, 1.0, 10) for step in range(101)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert max(rates) == rates[10] == 1.0
    assert rates[100] == pytest.approx(FLOOR)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_the_average_follows_the_model() -> None:
    model = torch.nn.Linear(2, 2)
    averaged = AveragedModel(model, 0.5)
    with torch.no_grad():
        before = model.weight.clone()
        model.weight += 1.0
    averaged.update(model, 1000)
    assert torch.allclose(averaged.model.weight, before + 0.5)


def sphere_batch(size: int = 64) -> Batch:
    line = (torch.arange(size) + 0.5 - size / 2) / (0.4 * size)
    x, y = line[None, :].expand(size, -1), -line[:, None].expand(-1, size)
    face = (x**2 + y**2 < 0.95)[None, None].expand(3, -1, -1, -1)
    z = (1 - x**2 - y**2).clamp_min(1e-4).sqrt()
    normals = F.normalize(torch.stack([x, y, z]), dim=0).expand(3, -1, -1, -1) * face
    return Batch(0.5 * normals + 0.5, {"normals": normals, "face": face})  # the picture shows its own normals


def moved_by(placement: Placement, batch: Batch) -> tuple[Batch, torch.Tensor]:
    moved = placement.batch(batch)
    return moved.with_labels(normals=moved["normals"] * moved["face"]), placement.inside


def test_depth_grows_with_its_picture() -> None:
    batch = sphere_batch()
    depth = (0.4 * batch["normals"][:, 2:]).contiguous()  # shares of half the side, as the radius
    zoom = torch.tensor([1.3, 1.0, 0.8])
    placement = Placement.of(64, torch.ones(3), torch.zeros(3), zoom, torch.zeros(3, 2), torch.ones(3, 2))
    moved = placement.depth(depth)
    assert torch.allclose(moved[:, 0, 32, 32], 0.4 * zoom, atol=0.02)


def test_a_moved_sphere_is_still_a_sphere() -> None:
    batch = sphere_batch()
    none, all_of_it = torch.zeros(3, 2), torch.ones(3, 2)
    mirror = torch.tensor([1.0, -1.0, 1.0])
    turn = torch.tensor([0.4, -0.7, 2.0])
    moved, inside = moved_by(Placement.of(64, mirror, turn, torch.ones(3), none, all_of_it), batch)
    both = moved["face"] & batch["face"]
    cosine = (moved["normals"] * batch["normals"]).sum(1, keepdim=True)[both].clamp(-1, 1)
    assert torch.rad2deg(torch.acos(cosine)).mean() < 2.5  # nearest sampling moves by up to half a pixel
    assert both.sum() > 0.97 * batch["face"].sum()
    assert inside.float().mean() > 0.75


def test_turning_turns_picture_and_normals_together() -> None:
    size = 65
    face = torch.ones(1, 1, size, size, dtype=torch.bool)
    normals = torch.zeros(1, 3, size, size)
    normals[:, 0], normals[:, 2] = 0.6, 0.8  # leaning to the right everywhere
    image = torch.zeros(1, 3, size, size)
    image[..., size // 2, size // 2 + 20] = 1.0  # a dot on the right
    one = torch.ones(1)
    quarter = torch.tensor([torch.pi / 2])  # counter-clockwise: right becomes up
    placement = Placement.of(size, one, quarter, one, torch.zeros(1, 2), torch.ones(1, 2))
    moved, _ = moved_by(placement, Batch(image, {"normals": normals, "face": face}))
    row, column = divmod(int(moved.image[0, 0].argmax()), size)
    assert (row, column) == (size // 2 - 20, size // 2)
    assert torch.allclose(moved["normals"][0, :, 32, 32], torch.tensor([0.0, 0.6, 0.8]), atol=1e-5)


def test_windows_pad_and_unlabel() -> None:
    batch = sphere_batch()
    window = torch.full((3, 2), 0.5)
    placement = Placement.of(64, torch.ones(3), torch.zeros(3), torch.ones(3), torch.zeros(3, 2), window)
    moved, inside = moved_by(placement, batch)
    assert inside[..., 32, 32].all()
    assert not inside[..., 2, 32].any()
    assert not (moved["face"] & ~inside).any()
    assert torch.allclose(moved.image[..., 2, 32], moved.image[..., 16, 32], atol=0.05)  # the border is repeated


def test_training_sees_the_contrast_that_the_estimator_lets_a_network_see() -> None:
    picture = torch.full((32, 3, 64, 64), 0.35)
    picture[..., 32:] = 0.75  # a contrast of 0.76, more where the camera's curve is taken away
    everywhere = torch.ones(32, 1, 64, 64, dtype=torch.bool)
    seen = recoloured(picture, everywhere, Draws(3, 1, 32, picture.device)).permute(0, 2, 3, 1).numpy()
    contrasts = np.array([face_contrast(crop) for crop in seen])
    assert (contrasts < 0.7).mean() > 0.7
    assert contrasts.max() < 1.3  # without a curve, twice the usual and more, only part of which is given back
    assert contrasts.std() > 0.02


def test_augmentation_is_a_function_of_the_step_and_stays_in_range() -> None:
    batch = sphere_batch()
    first, again, other = augment(batch, 1, 5), augment(batch, 1, 5), augment(batch, 1, 6)
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)
    assert first.image.min() >= 0
    assert first.image.max() <= 1
    length = first["normals"].norm(dim=1, keepdim=True)
    assert torch.allclose(length[first["face"]], torch.ones(1), atol=1e-4)


def test_dataset_folders_are_split_by_identity(faces: Path, tmp_path: Path) -> None:
    training = DatasetFolder(parsing(faces), "train", 0, Decoder(("normals",)))
    validation = DatasetFolder(parsing(faces, size=32), "validation", 0, Decoder(("normals",)))
    assert len(training.samples) == 6
    assert len(validation.samples) == 1
    batch = next(iter(training))
    assert batch.image.shape == (2, 3, 64, 64)
    assert torch.allclose(batch["normals"].norm(dim=1, keepdim=True)[batch["face"]], torch.ones(1), atol=1e-3)
    assert next(iter(validation)).image.shape == (2, 3, 32, 32)
    assert len(DatasetFolder(parsing(faces, faces), "train", 0, Decoder(("normals",))).samples) == 12
    resumed = next(iter(DatasetFolder(parsing(faces), "train", 1, Decoder(("normals",)))))
    sequence = iter(training)
    next(sequence)
    assert torch.equal(next(sequence).image, resumed.image)
    with pytest.raises(DataError, match="no dataset"):
        DatasetFolder(parsing(tmp_path), "train", 0, Decoder(("normals",)))


def test_weights_round_trip_and_name_their_faults(tmp_path: Path) -> None:
    model = CasFNE(TINY).eval()
    path = tmp_path / "tiny.safetensors"
    save_weights(model, path)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before, after = model(image).normals[-1], load_weights(path, CasFNE)(image).normals[-1]
    assert torch.rad2deg(torch.acos((before * after).sum(1).clamp(-1, 1))).mean() < 1.0  # fp16
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="its header is damaged"):
        load_weights(path, CasFNE)
    with pytest.raises(WeightsError, match="cannot read"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "change", [{"losses": ()}, {"losses": ("l1",)}, {"steps": 0}, {"size": 50}, {"stages": 6}, {"ema": 1.0}]
)
def test_impossible_configurations_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        CasFNETrainConfig(tmp_path, **change)
