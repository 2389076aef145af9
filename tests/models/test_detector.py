# SPDX-License-Identifier: Apache-2.0
"""The detector: what scenes ask for, what the losses reward, and that it learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import DataError
from lineament.models.detector import data
from lineament.models.detector.clutter import draw_shapes, rough_texture
from lineament.models.detector.config import DetectorTrainConfig
from lineament.models.detector.data import DetectorScenes, Placed, targets_of
from lineament.models.detector.losses import box_loss, roll_loss, score_loss
from lineament.models.detector.model import REFERENCE, FaceDetector, FaceDetectorConfig
from lineament.models.detector.recipe import FaceDetectorRecipe
from lineament.training.loop import train


@pytest.fixture(autouse=True)
def few_backgrounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "_BACKGROUNDS", 16)


def configured(output: Path, faces: Path, **changes: object) -> DetectorTrainConfig:
    config = DetectorTrainConfig(
        output,
        data=(faces,),
        size=96,
        batch_size=4,
        steps=25,
        warmup=2,
        validate_every=25,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


def test_targets_stand_where_faces_are() -> None:
    face = Placed((52.0, 44.0, 36.0, 48.0), 30.0)
    heat, counted, box, roll, weight = targets_of([face], 96)
    assert heat.shape == (12, 12)
    assert np.argwhere(heat == 1.0).tolist() == [[5, 6]]
    assert counted.all()
    assert box[:2, 5, 6].tolist() == [0.0, 0.0]  # the face's centre is the cell's
    assert REFERENCE * np.exp(box[2:, 5, 6]) == pytest.approx([36.0, 48.0])
    assert roll[:, 5, 6] == pytest.approx([np.cos(np.pi / 6), 0.5])
    assert weight[5, 6] == 1.0
    assert weight[0, 0] == 0.0


def test_sizes_between_levels_are_not_asked_for() -> None:
    small, huge = Placed((48.0, 48.0, 12.0, 14.0), None), Placed((48.0, 48.0, 300.0, 300.0), None)
    heat, counted, *_ = targets_of([small], 96)
    assert heat.max() == 0.0
    assert not counted[5, 5]
    heat, counted, *_ = targets_of([huge], 96)
    assert heat.max() == 0.0
    assert counted.all()  # nothing may be found inside a face that is too large


def test_losses_are_least_at_the_truth() -> None:
    heat, counted, box, roll, weight = (
        torch.from_numpy(a)[None] for a in targets_of([Placed((50.0, 46.0, 40.0, 40.0), 10.0)], 96)
    )
    sure = torch.where(heat > 0.999, 8.0, -8.0)
    assert score_loss(sure, heat, counted) < 0.01
    assert score_loss(-sure, heat, counted) > 100.0
    assert box_loss(box, box, weight) == 0.0
    assert box_loss(box + 0.1, box, weight) == pytest.approx(0.4, abs=1e-4)
    assert roll_loss(roll, roll, weight) == 0.0
    assert roll_loss(roll + 1.0, torch.zeros_like(roll), weight) == 0.0  # an unknown roll asks for nothing


def test_scenes_are_a_function_of_their_number(faces: Path, tmp_path: Path) -> None:
    scenes = DetectorScenes(configured(tmp_path, faces), "train", 0)
    for number in range(6):
        (one, placed), (again, placed_again) = scenes.scene(number), scenes.scene(number)
        assert np.array_equal(one, again)
        assert placed == placed_again
    batches = iter(scenes)
    next(batches)
    second = next(batches)
    later = next(iter(DetectorScenes(configured(tmp_path, faces), "train", 1)))
    assert torch.equal(second.image, later.image)


def test_pasted_faces_lie_in_their_boxes(faces: Path, tmp_path: Path) -> None:
    scenes = DetectorScenes(configured(tmp_path, faces), "train", 0)
    face = scenes.faces[0]
    marked = dataclasses.replace(face, image=np.zeros_like(face.image), head=None)
    for x, y in marked.points:
        if 1 <= x < 127 and 1 <= y < 127:
            marked.image[int(y), int(x)] = 255  # only landmarks are white
    scenes.faces[:] = [marked]
    for seed in range(6):
        canvas, placed = np.zeros((96, 96, 3), np.uint8), []
        scenes._put(canvas, placed, np.random.default_rng(seed), 50.0)
        (x, y, width, height) = placed[0].box
        rows, columns = np.nonzero(canvas.sum(-1) > 60)
        assert len(rows) > 10
        assert columns.min() + 1 >= x - 0.5 * width - 1.5
        assert columns.max() <= x + 0.5 * width + 1.5
        assert rows.min() + 1 >= y - 0.5 * height - 1.5
        assert rows.max() <= y + 0.5 * height + 1.5


def test_real_photos_are_mixed_in(faces: Path, tmp_path: Path) -> None:
    photo = faces / "image" / "00000000.png"
    listed = tmp_path / "faces.json"
    listed.write_text(json.dumps({str(photo): [{"box": [10, 12, 40, 40]}], "unused.png": []}))
    scenes = DetectorScenes(configured(tmp_path, faces, photos=listed, real=1.0), "train", 0)
    assert len(scenes.photos) == 1
    rolls = [face.roll for number in range(12) for face in scenes.scene(number)[1]]
    assert rolls
    assert all(roll is None for roll in rolls)
    listed.write_text("no list")
    with pytest.raises(DataError, match="cannot use"):
        DetectorScenes(configured(tmp_path, faces, photos=listed), "train", 0)


def test_things_that_are_no_faces_vary() -> None:
    random = np.random.default_rng(0)
    texture = rough_texture(64, random)
    assert texture.shape == (64, 64, 3)
    before = texture.copy()
    draw_shapes(texture, random, 30)
    assert (texture != before).any()


def test_any_size_runs_and_begins_unsure() -> None:
    model = FaceDetector(FaceDetectorConfig()).eval()
    cells = model(torch.rand(2, 3, 64, 96))
    assert cells.shape == (2, 7, 8, 12)
    assert torch.sigmoid(cells[:, 0]).max() < 0.1


def test_a_tiny_training_lowers_the_loss(faces: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = configured(tmp_path / "run", faces)
    weights = train(FaceDetectorRecipe(config), config)
    lines = [json.loads(line) for line in (config.output / "log.jsonl").read_text().splitlines()]
    curve = [line["loss"] for line in lines if "loss" in line]
    assert sum(curve[-5:]) < 0.85 * sum(curve[:5])
    assert {"validation_recall", "validation_wrong_per_100_scenes"} <= set(lines[-1])
    assert weights.name == "face-detector.safetensors"
    assert (config.output / "sheet-0000025.png").exists()
