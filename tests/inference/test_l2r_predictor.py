# SPDX-License-Identifier: Apache-2.0
"""L2R on ONNX Runtime says what torch says, and its pictures reach the files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import UsageError
from lineament.images.read import read_image
from lineament.images.write import write_png
from lineament.inference.graphs import as_input
from lineament.methods.discovery import all_methods
from lineament.methods.l2r.measures import shown
from lineament.methods.l2r.method import METHOD
from lineament.methods.l2r.model import L2R, l2r_s
from lineament.methods.l2r.predictor import L2RPredictor
from lineament.methods.l2r.rendering import rendered
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import load_weights, save_weights
from lineament.pipeline.estimator import SmallFaces, load

TINY = dataclasses.replace(
    l2r_s(64),
    width=4,
    latent=16,
    prior_size=32,
    prior_latent=16,
    prior_base=256,
    prior_most=16,
    refining_encoder="pix2pix",
    refining_width=8,
    decoder_width=8,
    concentration="learned",
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("l2r") / "small.safetensors"
    save_weights(L2R(TINY).eval(), path)
    export_graphs(METHOD, path)
    return path


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    astronaut = data.astronaut()[0:256, 96:352]
    return np.stack([astronaut[::4, ::4], astronaut[::4, ::-4]])


@torch.no_grad()
def test_torch_and_onnx_agree(weights: Path, crops: np.ndarray) -> None:
    model = load_weights(weights, L2R)
    found = L2RPredictor(weights).run(crops)
    image = torch.from_numpy(as_input(crops))
    restored, refined = model(image)
    view = restored.proxy.view
    for stage, (points, normals) in enumerate(
        ((restored.proxy.points, restored.proxy.normals), (refined.points, refined.normals))
    ):
        seen = model.warp(points, view)
        shape = shown(points, normals, view, seen)
        inside = seen.seen[:, 0].numpy()
        inside[:, :3], inside[:, -3:], inside[..., :3], inside[..., -3:] = False, False, False, False
        cosine = (shape.normals.permute(0, 2, 3, 1).numpy() * found.normals[stage]).sum(-1)[inside]
        # OpenCV samples at 32nds of a pixel, which shows on a surface as rough as an untrained network's.
        assert np.degrees(np.arccos(cosine.clip(-1, 1))).mean() < 2.0
        difference = np.abs(shape.depth[:, 0].numpy() - found.depths[stage])[inside]
        assert np.median(difference) < 1e-3
    picture = rendered(restored, refined, model.config.warp_scale)
    assert found.restored is not None
    difference = np.abs(picture.image.permute(0, 2, 3, 1).numpy() - found.restored)
    assert np.median(difference[picture.seen[:, 0].numpy()]) < 2e-3
    assert len(found.concentrations) == 2
    assert (found.concentrations[-1] >= 1.0).all()


def test_stages_and_sizes(weights: Path, crops: np.ndarray) -> None:
    predictor = L2RPredictor(weights)
    first = predictor.run(crops, stages=0)
    assert len(first.normals) == 1
    assert first.concentrations == ()
    large = predictor.run(np.repeat(np.repeat(crops, 2, axis=1), 2, axis=2))
    assert large.normals[-1].shape == (2, 128, 128, 3)
    assert np.allclose(np.linalg.norm(large.normals[-1], axis=-1), 1.0, atol=1e-3)
    assert large.position_map is not None
    # A crop shows about 270 mm at the distance of the face.
    assert np.ptp(large.position_map[0, ..., 0]) == pytest.approx(270.0, rel=0.2)
    assert large.rotation is not None
    assert np.allclose(large.rotation[0] @ large.rotation[0].T, np.eye(3), atol=1e-5)


def test_restored_and_views_are_written(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "face.png"
    write_png(photo, data.astronaut())
    words = ["estimate", str(photo), "-o", str(tmp_path / "out"), "--method", str(weights), "--outputs"]
    assert main([*words, "restored,views,depth,albedo"]) == 0
    folder = tmp_path / "out" / "face"
    restored, views = read_image(folder / "restored.png"), read_image(folder / "views.png")
    assert restored.shape[0] == restored.shape[1]
    assert views.shape == (512, 6 * 256, 3)
    assert len(np.unique(views.reshape(-1, 3), axis=0)) > 100
    assert "guess" in json.loads((folder / "face.json").read_text())["restored"]["invented"]
    assert main(["estimate", str(photo), "-o", str(tmp_path / "other"), "--outputs", "restored"]) != 0
    assert "l2r" in capsys.readouterr().err
    assert not (tmp_path / "other" / "face").exists()


def test_a_turned_view_shows_the_other_side(weights: Path) -> None:
    face = load(weights).estimate(data.astronaut())[0]
    views = face.views()
    assert len(views) == 6
    assert not np.array_equal(views[2], views[3])
    with pytest.raises(UsageError, match="l2r"):
        _ = lineament.estimate(data.astronaut())[0].restored


def test_small_faces_take_the_other_method(weights: Path, tiny_weights: Path) -> None:
    first, other = load(tiny_weights), load(weights)
    photo = data.astronaut()
    size = max(first.estimate(photo)[0].box[2:])
    for below, method in ((size - 1.0, "casfne"), (size + 1.0, "l2r")):
        routed = lineament.Estimator(first.predictor, small=SmallFaces(other.predictor, below))
        (face,) = routed.estimate(photo)
        assert face.about["method"] == method
        assert face.about["weights"]["sha256"] == (first if method == "casfne" else other).predictor.sha256
    both = np.concatenate([photo, photo], axis=1)
    routed = lineament.Estimator(first.predictor, small=SmallFaces(other.predictor, size + 1.0))
    assert [face.about["method"] for face in routed.estimate(both)] == ["l2r", "l2r"]


def test_auto_is_a_method(tmp_path: Path) -> None:
    automatic = load("auto")
    small = [method for method in all_methods().values() if method.best_below]
    assert (automatic.small is not None) == bool(small)
    assert automatic.predictor.weights.stem == "casfne-s"
