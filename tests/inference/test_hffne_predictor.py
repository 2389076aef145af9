# SPDX-License-Identifier: Apache-2.0
"""HFFNE on ONNX Runtime: the engines agree, and anybody's coarse normals can be refined."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import UsageError
from lineament.face import FaceCrop
from lineament.images.encoding import encode_normals
from lineament.methods.discovery import open_predictor
from lineament.methods.hffne.method import METHOD
from lineament.methods.hffne.model import HFFNE, HFFNEConfig
from lineament.methods.hffne.predictor import HFFNEPredictor
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import load_weights, save_weights
from lineament.weights import weights_path

BOX = [(174.0, 72.0, 96.0, 96.0)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and graphs of a small, untrained HFFNE."""
    torch.manual_seed(0)
    config = HFFNEConfig(
        coarse_levels=4, coarse_width=4, vgg_width=0.125, face_channels=(8, 8, 16, 16, 16), vector=12, crop_size=64
    )
    path = tmp_path_factory.mktemp("hffne") / "small.safetensors"
    save_weights(HFFNE(config).eval(), path)
    export_graphs(METHOD, path)
    return path


def random_normals(*shape: int) -> np.ndarray:
    vectors = np.random.default_rng(1).normal(size=(*shape, 3)).astype(np.float32) + np.array([0, 0, 2], np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.mark.parametrize("name", ["small", "hffne-s"])
def test_engines_agree(name: str, small: Path) -> None:
    weights = small if name == "small" else weights_path(name)
    session, model = HFFNEPredictor(weights), load_weights(weights, HFFNE)
    crops = np.random.default_rng(0).integers(0, 256, (2, session.size, session.size, 3), dtype=np.uint8)
    with torch.no_grad():
        output = model(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
    for normals, expected in zip(session.run(crops).normals, (output.coarse, output.refined), strict=True):
        assert np.abs(normals - expected.permute(0, 2, 3, 1).numpy()).max() < 1e-3


def test_sessions_are_opened_by_method(small: Path, tiny_weights: Path) -> None:
    assert isinstance(open_predictor(small), HFFNEPredictor)
    assert open_predictor(tiny_weights).FORMAT.name == "casfne"
    with pytest.raises(lineament.LineamentError, match="estimates no face geometry"):
        open_predictor(weights_path("face-parser"))


def test_requests_out_of_range_are_refused(small: Path) -> None:
    session = HFFNEPredictor(small)
    assert session.multiple == 32
    with pytest.raises(UsageError, match="0 to 1"):
        session.run(np.zeros((1, 64, 64, 3), np.uint8), 2)
    with pytest.raises(UsageError, match="multiple of 32"):
        session.run(np.zeros((1, 48, 48, 3), np.uint8))
    assert len(session.run(np.zeros((1, 96, 96, 3), np.uint8), 0).normals) == 1


def test_normals_follow_their_photo_into_a_crop() -> None:
    photo_normals = np.zeros((80, 120, 3), np.float32)
    photo_normals[20:60, 30:90] = [0.6, 0.0, 0.8]  # leans to the right
    crop = FaceCrop(40.0, 20.0, 40.0, 32, roll=90.0)  # the crop's upward direction is the photo's right
    seen = crop.normals_from_photo(photo_normals)
    assert np.allclose(seen[8:24, 8:24], [0.0, 0.6, 0.8], atol=0.01)
    back = crop.normals_to_photo(seen)
    assert np.allclose(back[8:24, 8:24], [0.6, 0.0, 0.8], atol=0.01)
    beyond = FaceCrop(-30.0, -10.0, 60.0, 60).normals_from_photo(photo_normals)
    assert (beyond[:, :55] == 0).all()  # neither outside the photo nor where the map is empty


def test_an_exemplar_takes_the_coarse_normals_place(small: Path) -> None:
    photo, plain = data.astronaut(), lineament.Options(second_view=False, fine_crop=False)
    model = lineament.load(str(small), options=plain)
    own = model.estimate(photo, faces=BOX)[0]
    assert len(own.stages) == 2
    assert own.uncertainty is None
    exemplar = random_normals(512, 512)
    given = model.estimate(photo, faces=BOX, exemplar=exemplar)[0]
    shown = given.crop.normals_to_photo(given.crop.normals_from_photo(exemplar))
    assert np.abs(given.stages[0] - shown).max() < 0.02
    assert np.abs(given.stages[1] - own.stages[1]).max() > 1e-3
    with pytest.raises(UsageError, match="512×512×3"):
        model.estimate(photo, faces=BOX, exemplar=exemplar[:100])
    with pytest.raises(UsageError, match="only hffne does"):
        lineament.load().estimate(photo, faces=BOX, exemplar=exemplar)


def test_both_looks_have_the_exemplar_in_their_own_frame(small: Path) -> None:
    model = lineament.load(str(small))
    crop, side = np.ascontiguousarray(data.astronaut()[40:168, 150:278]), np.linspace(-0.5, 0.5, 128)
    exemplar = np.zeros((128, 128, 3), np.float32)
    exemplar[..., 0], exemplar[..., 1] = side, 0.5 * side[:, None]
    exemplar[..., 2] = np.sqrt(1.0 - exemplar[..., 0] ** 2 - exemplar[..., 1] ** 2)
    guide = model.estimate_crop(crop, exemplar=exemplar).normals[0]
    assert np.abs(guide - exemplar).max() < 0.02


def test_exemplars_by_command(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo, stored = tmp_path / "photo.png", tmp_path / "coarse.png"
    cv2.imwrite(str(photo), data.astronaut()[..., ::-1])
    normals = random_normals(512, 512)
    cv2.imwrite(str(stored), encode_normals(normals, "directx")[..., ::-1])
    words = ["estimate", str(photo), "-o", str(tmp_path / "out"), "--method", str(small), "--face-box", "174,72,96,96"]
    assert main([*words, "--exemplar", str(stored), "--exemplar-axes=+x-y+z"]) == 0
    folder = tmp_path / "out" / "photo"
    assert '"exemplar": true' in (folder / "face.json").read_text()
    assert not (folder / "uncertainty.png").exists()
    from_command = cv2.imread(str(folder / "normals.png"))[..., ::-1]
    expected = lineament.load(str(small)).estimate(data.astronaut(), faces=BOX, exemplar=normals)[0].encoded()
    assert np.abs(from_command.astype(int) - expected).mean() < 0.5
    cv2.imwrite(str(tmp_path / "second.png"), data.astronaut()[..., ::-1])
    assert main([words[0], str(tmp_path / "second.png"), *words[1:], "--exemplar", str(stored)]) == 2
    stored.write_bytes(b"no picture")
    assert main([*words, "--exemplar", str(stored)]) == 4
    said = capsys.readouterr().err
    assert "belongs to one photo" in said
    assert "not a picture in a format that is read" in said
