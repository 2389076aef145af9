# SPDX-License-Identifier: Apache-2.0
"""Torch and ONNX agree; damaged files are named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import UsageError, WeightsError
from lineament.inference.predictor import expected_angle
from lineament.methods.casfne.model import CasFNE, CasFNEConfig
from lineament.methods.casfne.predictor import CasFNEPredictor
from lineament.methods.discovery import component_of
from lineament.models.detector.model import FaceDetector
from lineament.models.detector.predictor import DetectorPredictor
from lineament.models.parser.model import FaceParser
from lineament.models.parser.predictor import ParserPredictor
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import load_weights, save_weights
from lineament.weights import FOLDER, weights_path

SHIPPED = sorted(FOLDER.glob("casfne*.safetensors"))


def disagreement(weights: Path, stages: int) -> list[float]:
    """Mean angle in degrees between both engines' normals, per stage."""
    session, model = CasFNEPredictor(weights, threads=1), load_weights(weights, CasFNE)
    crops = np.random.default_rng(0).integers(0, 256, (2, session.size, session.size, 3), dtype=np.uint8)
    maps = session.run(crops, stages)
    with torch.no_grad():
        output = model(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255, stages)
    angles = []
    for kappa, expected in zip(maps.concentrations, output.concentrations, strict=True):
        assert np.abs(kappa - expected[:, 0].numpy()).mean() < 1e-2 * expected.mean()
    for onnx, expected in zip(maps.normals, output.normals, strict=True):
        cosine = (onnx * expected.permute(0, 2, 3, 1).numpy()).sum(-1).clip(-1, 1)
        angles.append(float(np.degrees(np.arccos(cosine)).mean()))
    return angles


def test_engines_agree_at_any_number_of_stages(tiny_weights: Path) -> None:
    for stages in (0, 3):
        angles = disagreement(tiny_weights, stages)
        assert len(angles) == stages + 1
        assert max(angles) < 0.1


def test_engines_agree_on_every_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CasFNEConfig(1.0, (16, 16, 8, 8, 8), 4, stages=1, crop_size=64, encoder="efficientnet-lite0")
    weights = tmp_path / "lite.safetensors"
    save_weights(CasFNE(config), weights)
    assert len(export_graphs(component_of(weights), weights)) == 2
    assert max(disagreement(weights, 1)) < 0.1


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda p: p.stem)
def test_engines_agree_on_the_weights_that_ship(weights: Path) -> None:
    assert max(disagreement(weights, 2)) < 0.5
    assert weights.stat().st_size < 12e6
    assert weights.with_suffix(".md").exists()


def test_requests_out_of_range_are_refused(tiny_weights: Path) -> None:
    session = CasFNEPredictor(tiny_weights, threads=1)
    with pytest.raises(UsageError, match="0 to 5"):
        session.run(np.zeros((1, 64, 64, 3), np.uint8), 6)
    with pytest.raises(UsageError, match="crops must be"):
        session.run(np.zeros((1, 40, 40, 3), np.uint8))


def test_other_sizes_run(tiny_weights: Path) -> None:
    maps = CasFNEPredictor(tiny_weights, threads=1).run(np.zeros((1, 96, 96, 3), np.uint8), 1)
    assert [m.shape for m in maps.normals] == [(1, 96, 96, 3)] * 2
    assert [k.shape for k in maps.concentrations] == [(1, 96, 96)] * 2


@pytest.mark.parametrize("kappa", [0.05, 1.0, 8.0, 60.0])
def test_the_expected_angle_is_the_mean_of_the_distribution(kappa: float) -> None:
    theta = np.linspace(0.0, np.pi, 200_001)
    density = np.exp(-kappa * theta) * np.sin(theta)  # of the angle: the ring at θ has the circumference 2π sin θ
    mean = np.degrees((theta * density).sum() / density.sum())
    assert float(expected_angle(np.array([kappa], np.float32))[0]) == pytest.approx(mean, rel=1e-4)


def test_engines_agree_on_the_finder() -> None:
    weights = weights_path("face-detector")
    picture = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    with torch.no_grad():
        image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        expected = load_weights(weights, FaceDetector)(image)[0].numpy()
    assert np.abs(DetectorPredictor(weights, threads=1).run(picture) - expected).max() < 1e-2


def test_engines_agree_on_the_reader() -> None:
    weights = weights_path("face-parser")
    session = ParserPredictor(weights, threads=1)
    crop = np.random.default_rng(0).integers(0, 256, (session.size, session.size, 3), dtype=np.uint8)
    with torch.no_grad():
        reading = load_weights(weights, FaceParser)(torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255)
    (read,) = session.run(crop[None])
    assert np.abs(read.landmarks - reading.landmarks[0].numpy()).max() < 1e-3
    assert np.abs(read.visibility - torch.sigmoid(reading.visibility[0]).numpy()).max() < 1e-2
    assert np.abs(read.columns - reading.rotation[0].numpy()).max() < 1e-2
    parse = torch.softmax(reading.parse[0], 0).permute(1, 2, 0).numpy()
    assert np.abs(read.parse - parse).max() < 2e-2


def test_the_weights_of_faces_are_small() -> None:
    total = sum(weights_path(name).stat().st_size for name in ("face-detector", "face-parser"))
    assert total < 8e6
    assert all(weights_path(name).with_suffix(".md").exists() for name in ("face-detector", "face-parser"))


def test_damaged_weights_are_named(tiny_weights: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny.safetensors"
    shutil.copy(tiny_weights, copy)
    with pytest.raises(WeightsError, match="graph"):
        CasFNEPredictor(copy)
    for part in ("initial", "cascade"):
        shutil.copy(tiny_weights.with_name(f"tiny.{part}.onnx"), tmp_path)
    CasFNEPredictor(copy)
    copy.write_bytes(copy.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot read"):
        CasFNEPredictor(copy)
    with pytest.raises(WeightsError, match="no weights named"):
        weights_path("nonesuch")


def test_estimation_imports_no_torch() -> None:
    rooms = ", ".join(f"lineament.{room}" for room in ("face", "images", "rig", "geometry", "evaluation", "cli"))
    code = f"import sys, lineament, {rooms}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
