# SPDX-License-Identifier: Apache-2.0
"""HRN: sizes are the paper's, shapes come with their crops exactly, losses know the truth, and the analyser learns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import lineament
from lineament.alignment.crop import LIFT
from lineament.errors import DataError, UsageError
from lineament.images.write import write_png
from lineament.methods.hrn import losses
from lineament.methods.hrn.analyser import Analyser, AnalyserConfig
from lineament.methods.hrn.analyser_recipe import AnalyserRecipe
from lineament.methods.hrn.coefficients import COUNT, SIZES
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.data import ShapedCrops, compared_vertices
from lineament.methods.hrn.model import HRN, hrn, hrn_s
from lineament.pipeline.labels import label_photos
from lineament.render.morphable import MorphableFace, head_rotation
from lineament.rig import load_rig
from lineament.synth import Generator
from lineament.synth.write import config_of
from lineament.training.batch import Batch
from lineament.training.loop import train


def configured(output: Path, faces: Path, **changes: object) -> HRNTrainConfig:
    config = HRNTrainConfig(
        output,
        data=(faces,),
        size=64,
        batch_size=4,
        steps=25,
        warmup=2,
        learning_rate=1e-3,
        validate_every=25,
        validation_batches=1,
        precision="fp32",
        threads=1,
    )
    return dataclasses.replace(config, **changes)


def written(path: Path, picture: np.ndarray) -> Path:
    write_png(path, picture)
    return path


def none_found(batch: int) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(batch, size) for name, size in SIZES.items()}


def test_sizes_are_the_papers_and_the_small_one() -> None:
    with torch.device("meta"):
        paper, small = HRN(hrn()), HRN(hrn_s())
    assert paper.config.encoder == "resnet50"
    assert paper.config.crop_size == 224
    # ResNet-50 without its classifier has 23.5 million parameters.
    analyser = sum(p.numel() for p in paper.analyser.parameters())
    assert analyser == pytest.approx(23.508e6 + (2048 + 1) * COUNT, rel=1e-3)
    # pix2pix's U-Net of 256 pixels has 54.4 million, with 9 channels in and 1 out.
    assert sum(p.numel() for p in paper.displacement.parameters()) == pytest.approx(54.4e6, rel=1e-3)
    assert (float(paper.config.first_deformation), float(paper.config.first_displacement)) == (0.01, 0.01)
    assert sum(p.numel() for p in small.parameters()) < 6e6
    rig = load_rig()
    assert (SIZES["identity"], SIZES["expression"]) == (rig.identity_count, rig.expression_count)
    with pytest.raises(UsageError, match="multiples of 32"):
        hrn_s(100)


def test_an_untrained_answer_is_the_mean_face_at_rest_in_white_light() -> None:
    torch.manual_seed(0)
    network = Analyser(AnalyserConfig("efficientnet-lite0", 256, 64)).eval()
    found = network(torch.rand(2, 3, 64, 64))
    assert {name: values.shape for name, values in found.items()} == {n: (2, size) for n, size in SIZES.items()}
    assert found["identity"].abs().max() < 0.5
    assert found["expression"].max() < 0.1
    assert found["expression"].min() > 0.0
    light = found["light"].unflatten(1, (9, 3))
    assert (light[:, 0] > 1.0).all()
    assert light[:, 1:].abs().max() < 0.5
    with pytest.raises(UsageError, match="must be"):
        network(torch.rand(1, 3, 96, 96))


def test_shapes_come_with_their_crops(faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path, faces)
    crops = ShapedCrops(config, "validation", 0)
    batch = next(iter(crops))
    # The generator's own landmarks, which the folder holds, lie where the shape's first vertices are.
    samples = [crops.samples[i % len(crops.samples)][1] for i in range(4)]
    made = Generator(config_of(faces), load_rig()).batch([samples[0]["index"]])
    assert np.allclose(made.landmarks[0].numpy(), samples[0]["landmarks"], atol=1e-3)
    marks = batch["places"][:, :68]
    low, high = marks.amin(1), marks.amax(1)
    assert torch.allclose((high - low).amax(1), torch.full((4,), 0.55), atol=0.02)  # the canonical crop's span
    assert torch.allclose(0.5 * (high + low), torch.tensor([0.5, 0.5 + LIFT]).expand(4, 2), atol=0.02)
    assert torch.allclose(batch["vertex_normals"].norm(dim=-1), torch.ones(4, marks.shape[1] + 1400), atol=1e-4)
    # Vertices and places belong together: far cameras are nearly parallel projections.
    for vertices, places in zip(batch["vertices"], batch["places"], strict=True):
        height = np.corrcoef(vertices[:, 1].numpy(), -places[:, 1].numpy())[0, 1]
        assert height > 0.98
    again = next(iter(ShapedCrops(config, "validation", 0)))
    assert torch.equal(again["places"], batch["places"])


def test_folders_of_photos_say_no_shape(faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labelled"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(DataError, match="how its faces were made"):
        config_of(folder)


@pytest.mark.parametrize("name", ["identity", "expression", "angles", "translation"])
def test_losses_are_zero_for_the_truth_and_point_to_it(name: str) -> None:
    rig = load_rig()
    face = MorphableFace.of(rig).at(compared_vertices(rig))
    truth = none_found(2)
    truth[name] = 0.3 * torch.rand(2, SIZES[name], generator=torch.Generator().manual_seed(0))
    truth["translation"] *= 50.0
    vertices, places = losses.placed(truth, face, 64)
    assert losses.vertex_loss(vertices + 7.0, vertices) < 1e-4  # whatever the zero
    assert losses.place_loss(places, places) == 0
    found = {each: values.requires_grad_() for each, values in none_found(2).items()}
    own, put = losses.placed(found, face, 64)
    (losses.vertex_loss(own, vertices) + losses.place_loss(put, places)).backward()
    gradient = found[name].grad
    assert gradient is not None
    assert (gradient * truth[name]).sum() < 0  # downhill is towards the truth


def test_light_is_learned_from_colours() -> None:
    torch.manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(1, 300, 3) + torch.tensor([0.0, 0.0, 2.0]), dim=-1)
    places = torch.rand(1, 300, 2)
    albedo = torch.full((1, 300, 3), 0.4)
    picture = torch.full((1, 3, 32, 32), 0.5)
    batch = Batch(picture, {"skin": torch.ones(1, 1, 32, 32) > 0})
    light = torch.zeros(1, 27, requires_grad=True)
    optimizer = torch.optim.Adam([light], lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = losses.photometric_loss({"light": light}, albedo, batch, places, normals)
        loss.backward()
        optimizer.step()
    assert loss < 0.02
    batch = Batch(picture, {"skin": torch.zeros(1, 1, 32, 32) > 0})
    assert losses.photometric_loss({"light": light}, albedo, batch, places, normals) == 0  # nothing is skin


def test_a_tiny_training_learns(faces: Path, tmp_path: Path) -> None:
    config = configured(tmp_path / "run", faces, steps=150, augment=False)
    weights = train(AnalyserRecipe(config), config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    shape = [line["shape"] for line in lines if "shape" in line]
    places = [line["places"] for line in lines if "places" in line]
    assert np.mean(shape[-30:]) < 0.9 * np.mean(shape[:30])
    assert np.mean(places[-30:]) < 0.9 * np.mean(places[:30])
    assert any("validation_shape_mm" in line for line in lines)
    assert weights.stat().st_size < 8e6
    again = configured(tmp_path / "on", faces, analyser_init=weights)
    again.check_places()
    recipe = AnalyserRecipe(again)
    recipe.start()
    with pytest.raises(UsageError, match="hold the encoder already"):
        dataclasses.replace(again, start="imagenet")


def test_the_shape_alone_is_compared_after_the_best_rotation() -> None:
    torch.manual_seed(0)
    truth = torch.randn(3, 40, 3)
    turned = (truth + 5.0) @ head_rotation(torch.tensor([[0.3, -0.5, 0.2]])).transpose(1, 2)
    assert losses.aligned_vertex_loss(turned, truth) < 1e-4
    mirrored = truth * torch.tensor([-1.0, 1.0, 1.0])  # no rotation makes a left hand a right one
    assert losses.aligned_vertex_loss(mirrored, truth) > 0.3
    own = (truth + 0.1 * torch.randn(3, 40, 3)).requires_grad_()
    losses.aligned_vertex_loss(own, truth).backward()
    assert own.grad is not None
    with torch.no_grad():
        assert losses.aligned_vertex_loss(own - 0.5 * own.grad, truth) < losses.aligned_vertex_loss(own, truth)


def test_photos_teach_landmarks_colours_and_normals(faces: Path, tmp_path: Path) -> None:
    from skimage import data

    photos = tmp_path / "photos"
    label_photos([written(tmp_path / "astronaut.png", data.astronaut())], photos, lineament.load("casfne-s"), size=64)
    config = configured(tmp_path / "run", faces, photos=(photos,), photo_share=0.5, steps=1)
    config.check_places()
    recipe = AnalyserRecipe(config)
    batch = next(recipe.batches("train", 0, torch.device("cpu")))
    assert batch["photo_image"].shape == (2, 3, 64, 64)
    marks = batch["photo_landmarks"]
    assert ((marks > 0.1) & (marks < 0.9)).float().mean() > 0.95
    length = batch["photo_normals"].norm(dim=1)
    assert (length > 0.9).float().mean() > 0.2
    assert not (length[batch["photo_skin"][:, 0]] < 0.5).any()
    parts = recipe.losses(recipe.model, batch, torch.autocast("cpu", enabled=False))
    for name in ("photo_landmarks", "photo_photometric", "photo_normals"):
        gradient = torch.autograd.grad(parts[name], recipe.model.analyser.last.weight, retain_graph=True)[0]
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0, name


def test_losses_of_photos_are_zero_for_what_they_show() -> None:
    normals = torch.zeros(1, 3, 32, 32)
    normals[:, 2] = 1.0
    facing = torch.tensor([0.0, 0.0, 1.0]).expand(1, 5, 3)
    places = torch.full((1, 5, 2), 0.5)
    assert losses.normal_loss(facing, places, normals) < 1e-6
    leaning = torch.tensor([0.6, 0.0, 0.8]).expand(1, 5, 3)
    assert losses.normal_loss(leaning, places, normals) == pytest.approx(0.2, abs=1e-5)
    assert losses.normal_loss(leaning, places, 0.0 * normals) == 0  # no method said anything
    marks, seen = torch.rand(1, 68, 2), torch.ones(1, 68) > 0
    assert losses.landmark_loss(marks, marks, seen) == 0
    assert losses.landmark_loss(marks + torch.tensor([0.03, 0.04]), marks, seen) == pytest.approx(5.0, abs=1e-3)
