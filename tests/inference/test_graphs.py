# SPDX-License-Identifier: Apache-2.0
"""Torch and ONNX agree; damaged files are named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from lineament.errors import UsageError, WeightsError
from lineament.inference.component import resolved
from lineament.inference.graphs import graph_path, open_graph
from lineament.inference.predictor import expected_angle
from lineament.methods.casfne.model import CasFNE, CasFNEConfig, Fusion
from lineament.methods.casfne.predictor import CasFNEPredictor
from lineament.methods.df2net.model import DF2Net, DF2NetConfig, Refinement
from lineament.methods.discovery import component_of
from lineament.methods.hffne.model import HFFNE, HFFNEConfig, Injection, Modulation
from lineament.models.albedo.model import AlbedoConfig, AlbedoNetwork
from lineament.models.detector.model import FaceDetector, FaceDetectorConfig
from lineament.models.detector.predictor import DetectorPredictor
from lineament.models.parser.model import FaceParser, FaceParserConfig
from lineament.models.parser.predictor import ParserPredictor
from lineament.networks.encoder import EncoderName
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import load_weights, save_weights
from lineament.weights import FOLDER, weights_path
from lineament.weights.file import read_weights

TOLERANCE = 1e-3
"""Largest difference allowed between the engines: of a normal's component, of depth and landmarks in shares of the
crop's side, of a probability, of anything else that a graph says."""

SHIPPED = [path for path in sorted(FOLDER.glob("*.safetensors")) if component_of(path).graphs is not None]

CASFNE = CasFNEConfig(0.125, (16, 16, 8, 8, 8), 4, stages=1, crop_size=64)
REFINER = HFFNEConfig(4, 4, "pix2pix", 0.125, (8, 8, 16, 16, 16), 12, crop_size=64)
DF2NET = DF2NetConfig(4, 4, (4, 4, 8), (4, 4, 8), crop_size=64)
NETWORKS: dict[Any, Callable[[Any], nn.Module]] = {  # by their configurations
    **{
        replace(CASFNE, encoder=name, width=0.125 if name == "resnet18" else 1.0): CasFNE
        for name in get_args(EncoderName)
    },
    **{replace(CASFNE, fusion=name): CasFNE for name in get_args(Fusion)},
    **{replace(REFINER, injection=name): HFFNE for name in get_args(Injection)},
    **{replace(REFINER, modulation=name): HFFNE for name in get_args(Modulation)},
    **{replace(DF2NET, refinement=name): DF2Net for name in get_args(Refinement)},
    replace(DF2NET, dense_scale=2): DF2Net,
    AlbedoConfig(levels=4, width=4, crop_size=64): AlbedoNetwork,
    FaceDetectorConfig((8, 8, 8, 8, 8)): FaceDetector,
    FaceParserConfig("resnet18", 0.125, (8, 8, 8, 8), crop_size=64): FaceParser,
}


def named_weights(graph: Path) -> list[str]:
    """The weights that a graph takes from the weights file."""
    loaded = onnx.load(graph, load_external_data=False)
    return [tensor.name for tensor in loaded.graph.initializer if tensor.external_data]


def differences(weights: Path) -> dict[tuple[str, str], float]:
    """The largest difference between both engines by graph and output, at another batch and size than the example's."""
    component, rng = component_of(weights), np.random.default_rng(0)
    tensors = read_weights(weights, component.weights_format).tensors
    assert component.graphs is not None
    found = {}
    for part, graph in resolved(component.graphs)(load_weights(weights, resolved(component.network))).items():
        named = {name: tensors[name] for name in named_weights(graph_path(weights, part))}
        given = {}
        for name, example in graph.inputs.items():
            _, *shape = example.shape
            if name in graph.free_size:
                channels, height, width = shape
                shape = [channels, height * 3 // 2, width * 2]
            given[name] = rng.random((2, *shape), dtype=np.float32)
        with torch.no_grad():
            out = graph.run(*map(torch.from_numpy, given.values()))
        expected = [value.numpy() for value in ((out,) if isinstance(out, torch.Tensor) else out)]
        assert len(expected) == len(graph.outputs)
        answers = open_graph(weights, part, named).run(given, [value.shape for value in expected])
        for name, answer, value in zip(graph.outputs, answers, expected, strict=True):
            found[part, name] = float(np.abs(answer - value).max())
    return found


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda p: p.stem)
def test_engines_agree_on_the_graphs_that_ship(weights: Path) -> None:
    assert max(differences(weights).values()) < TOLERANCE
    assert weights.stat().st_size < (18e6 if weights.stem == "l2r-s" else 12e6)  # its card says why
    assert weights.with_suffix(".md").exists()


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: type(config).__name__)
def test_engines_agree_in_every_configuration(config: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "small.safetensors"
    save_weights(NETWORKS[config](config), weights)
    export_graphs(component_of(weights), weights)
    assert max(differences(weights).values()) < TOLERANCE


def test_weights_of_equal_values_keep_their_names(tmp_path: Path) -> None:
    model = CasFNE(CASFNE)
    for value in model.state_dict().values():
        value.fill_(1)
    weights = tmp_path / "alike.safetensors"
    save_weights(model, weights)
    named = [name for path in export_graphs(component_of(weights), weights) for name in named_weights(path)]
    tensors = read_weights(weights, component_of(weights).weights_format).tensors
    assert sorted(named) == sorted(name for name in tensors if not name.startswith("coarse_head."))


@pytest.mark.parametrize("stages", [0, 3])
def test_engines_agree_at_any_number_of_stages(tiny_weights: Path, stages: int) -> None:
    session, model = CasFNEPredictor(tiny_weights), load_weights(tiny_weights, CasFNE)
    crops = np.random.default_rng(0).integers(0, 256, (2, session.size, session.size, 3), dtype=np.uint8)
    maps = session.run(crops, stages)
    with torch.no_grad():
        output = model(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255, stages)
    assert len(maps.normals) == len(maps.concentrations) == stages + 1
    for normals, expected in zip(maps.normals, output.normals, strict=True):
        assert np.abs(normals - expected.permute(0, 2, 3, 1).numpy()).max() < TOLERANCE
    for kappa, expected in zip(maps.concentrations, output.concentrations, strict=True):
        assert np.abs(kappa - expected[:, 0].numpy()).max() < TOLERANCE


def test_requests_out_of_range_are_refused(tiny_weights: Path) -> None:
    session = CasFNEPredictor(tiny_weights)
    with pytest.raises(UsageError, match="0 to 5"):
        session.run(np.zeros((1, 64, 64, 3), np.uint8), 6)
    with pytest.raises(UsageError, match="crops must be"):
        session.run(np.zeros((1, 40, 40, 3), np.uint8))


def test_other_sizes_run(tiny_weights: Path) -> None:
    maps = CasFNEPredictor(tiny_weights).run(np.zeros((1, 96, 96, 3), np.uint8), 1)
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
    assert np.abs(DetectorPredictor(weights).run(picture[None])[0] - expected).max() < TOLERANCE


def test_engines_agree_on_the_reader() -> None:
    weights = weights_path("face-parser")
    session = ParserPredictor(weights)
    crop = np.random.default_rng(0).integers(0, 256, (session.size, session.size, 3), dtype=np.uint8)
    with torch.no_grad():
        parsing = load_weights(weights, FaceParser)(torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255)
    (read,) = session.run(crop[None])
    assert np.abs(read.landmarks - parsing.landmarks[0].numpy()).max() < TOLERANCE
    assert np.abs(read.visibility - torch.sigmoid(parsing.visibility[0]).numpy()).max() < TOLERANCE
    assert np.abs(read.columns - parsing.rotation[0].numpy()).max() < TOLERANCE
    parse = torch.softmax(parsing.parse[0], 0).permute(1, 2, 0).numpy()
    assert np.abs(read.parse - parse).max() < TOLERANCE


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
