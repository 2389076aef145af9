# SPDX-License-Identifier: Apache-2.0
"""The parser: labels follow their crop, places are read from heat maps, and it learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import DataError, UsageError
from lineament.face import FaceCrop, Pose
from lineament.models.parser.config import ParserTrainConfig
from lineament.models.parser.data import ParserCrops, turned
from lineament.models.parser.losses import agreement, losses
from lineament.models.parser.model import FaceParser, FaceParserConfig, ParserOutput, expected_places, rotation_of
from lineament.models.parser.recipe import FaceParserRecipe, errors
from lineament.training.batch import Batch
from lineament.training.loop import train


def configured(output: Path, faces: Path, **changes: object) -> ParserTrainConfig:
    config = ParserTrainConfig(
        output,
        data=(faces,),
        size=64,
        encoder="resnet18",
        width=0.125,
        batch_size=4,
        steps=25,
        warmup=2,
        learning_rate=3e-3,
        validate_every=25,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


def perfect(batch: Batch) -> ParserOutput:
    """The reading that is right in everything."""
    logits = 20.0 * torch.nn.functional.one_hot(batch["parse"][:, 0], 8).movedim(-1, 1).float()
    columns = torch.cat([batch["rotation"][:, :, 0], batch["rotation"][:, :, 1]], dim=1)
    return ParserOutput(batch["landmarks"], torch.where(batch["visible"], 9.0, -9.0), columns, logits)


def test_places_are_read_from_heat_maps() -> None:
    heat = torch.full((1, 2, 8, 8), -30.0)
    heat[0, 0, 2, 5] = heat[0, 1, 4, 4] = heat[0, 1, 4, 6] = 30.0
    values = torch.zeros(1, 2, 8, 8)
    values[0, 1, 4, 6] = 4.0
    places, read = expected_places(heat, values)
    assert torch.allclose(places[0], torch.tensor([[5.5, 2.5], [5.5, 4.5]]) / 8)
    assert read[0].tolist() == pytest.approx([0.0, 2.0])


def test_rotations_are_rotations() -> None:
    rotation = rotation_of(torch.randn(5, 6))
    assert torch.allclose(rotation @ rotation.transpose(1, 2), torch.eye(3).expand(5, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(5), atol=1e-5)


def test_a_turned_crop_takes_the_heads_lean_away() -> None:
    angle = np.radians(-25.0)  # y up: the head leans 25° clockwise
    lean = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert Pose.of_rotation(lean).roll == pytest.approx(25.0)
    upright = turned(lean, FaceCrop(0, 0, 10, 10, roll=25.0))
    assert Pose.of_rotation(upright).roll == pytest.approx(0.0, abs=1e-9)


def test_pose_has_the_generators_angles() -> None:
    from lineament.render.cameras import axis_rotation

    def axis(number: int, degrees: float) -> torch.Tensor:
        return axis_rotation(number, torch.tensor([degrees]))[0].double()

    pose = Pose.of_rotation((axis(2, -12.0) @ axis(0, 20.0) @ axis(1, -35.0)).numpy())
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((-35.0, 20.0, 12.0), abs=1e-4)


def test_labels_follow_the_crop(faces: Path, tmp_path: Path) -> None:
    crops = ParserCrops(configured(tmp_path, faces), "train", 0)
    batch = next(iter(crops))
    again = next(iter(ParserCrops(configured(tmp_path, faces), "train", 0)))
    assert torch.equal(batch.image, again.image)
    assert batch.image.shape == (4, 3, 64, 64)
    assert torch.allclose(torch.linalg.det(batch["rotation"]), torch.ones(4), atol=1e-4)
    # What is seen of eyes, brows and mouth lies on their parts of the mask, or a pixel beside.
    near = torch.nn.functional.max_pool2d(((batch["parse"] >= 1) & (batch["parse"] != 4)).float(), 5, 1, 2)[:, 0]
    inside = batch["visible"] & ((batch["landmarks"] > 0.02) & (batch["landmarks"] < 0.98)).all(-1)
    for sample, mark in inside.nonzero().tolist():
        x, y = (64 * batch["landmarks"][sample, mark]).long().tolist()
        assert near[sample, y, x] == 1


def test_a_right_reading_costs_nothing(faces: Path, tmp_path: Path) -> None:
    batch = next(iter(ParserCrops(configured(tmp_path, faces), "validation", 0)))
    parsing = perfect(batch)
    parts = losses(parsing, batch["landmarks"], batch["visible"], batch["rotation"], batch["parse"][:, 0])
    assert all(float(part) < 1e-3 for part in parts.values())
    told = errors(parsing, batch)
    assert told["landmarks"] == 0.0
    assert told["parse"] == told["seen"] == 100.0
    assert told["pose"] < 0.1
    moved = dataclasses.replace(parsing, landmarks=parsing.landmarks + 0.01)
    assert 0.5 < errors(moved, batch)["landmarks"] < 20.0


def test_a_teacher_is_believed_where_it_is_sure(faces: Path, tmp_path: Path) -> None:
    teacher = perfect(next(iter(ParserCrops(configured(tmp_path, faces), "validation", 0))))
    assert float(agreement(teacher, teacher)) < 1e-3
    unsure = dataclasses.replace(teacher, parse=torch.zeros_like(teacher.parse))
    assert float(agreement(teacher, unsure)) == 0.0
    assert float(agreement(unsure, teacher)) == pytest.approx(np.log(8.0), rel=1e-4)
    moved = dataclasses.replace(teacher, landmarks=teacher.landmarks + torch.tensor([0.03, 0.04]))
    assert float(agreement(moved, teacher)) == pytest.approx(5.0, rel=1e-3)


def test_old_datasets_are_named(faces: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in (faces / "samples.jsonl").read_text().splitlines()]
    for line in lines:
        del line["visible"]
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match="without visible"):
        ParserCrops(configured(tmp_path / "run", tmp_path), "train", 0)


def test_shapes() -> None:
    model = FaceParser(FaceParserConfig("resnet18", 0.125, crop_size=64)).eval()
    parsing = model(torch.rand(2, 3, 64, 64))
    assert parsing.landmarks.shape == (2, 68, 2)
    assert ((parsing.landmarks > 0) & (parsing.landmarks < 1)).all()
    assert parsing.visibility.shape == (2, 68)
    assert parsing.parse.shape == (2, 8, 64, 64)


def test_a_tiny_training_lowers_the_loss_and_goes_on_elsewhere(faces: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = configured(tmp_path / "run", faces)
    weights = train(FaceParserRecipe(config), config)
    lines = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    for part in ("loss", "landmarks", "parse"):
        curve = [line[part] for line in lines if part in line]
        assert sum(curve[-5:]) < 0.8 * sum(curve[:5]), part
    assert "validation_landmarks" in lines[-1]
    assert (config.output / "sheet-0000025.png").exists()
    photos = configured(tmp_path / "photos", faces, init=weights, photos=(faces,), photo_share=0.5, steps=30)
    train(FaceParserRecipe(photos), photos)
    curve = [line["agreement"] for line in map(json.loads, (photos.output / "log.jsonl").open()) if "agreement" in line]
    assert sum(curve[-8:]) < 0.8 * sum(curve[1:9])  # the first steps of a new optimiser go astray
    with pytest.raises(UsageError, match="--init"):
        configured(tmp_path / "photos", faces, photos=(faces,))
    larger = configured(tmp_path / "larger", faces, size=96, init=weights)
    recipe = FaceParserRecipe(larger)
    before = recipe.model.pose[0].weight.clone()
    recipe.start()
    assert not torch.equal(before, recipe.model.pose[0].weight)
