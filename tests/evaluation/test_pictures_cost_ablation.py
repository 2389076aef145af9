# SPDX-License-Identifier: Apache-2.0
"""Pictures that are opened again, costs with known counts, and the ablation in the smallest size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lineament.cli import main
from lineament.errors import UsageError
from lineament.evaluation.ablation import AblationConfig, ablate, studied_methods, study_of
from lineament.evaluation.cost import cost_of
from lineament.evaluation.metrics.angular import sparsification
from lineament.evaluation.report.pictures import (
    LARGEST_ERROR,
    SheetRow,
    colour_bar,
    comparison_sheet,
    cumulative_curves,
    error_map,
    sparsification_plot,
)
from lineament.evaluation.systems.peers.mediapipe import rasterised, triangles_of
from lineament.methods.casfne.model import CasFNE, casfne_s

from ..datasets import files


def test_error_maps_share_one_scale() -> None:
    _, truth, mask = files.sphere_map()
    truth = truth.astype(np.float32)
    none = error_map(truth, truth, mask)
    bar = colour_bar(256)
    assert (none[~mask] == 255).all()
    assert (none[mask] == bar[0, 0]).all()
    away = np.zeros_like(truth)
    away[..., 2] = -1.0
    assert (error_map(away, truth, mask)[24, 24] == bar[0, -1]).all()
    half = np.float32([0, np.sin(np.radians(LARGEST_ERROR / 2)), np.cos(np.radians(LARGEST_ERROR / 2))])
    tilted = error_map(np.broadcast_to(half, (1, 1, 3)), np.float32([[[0, 0, 1]]]), np.ones((1, 1), np.bool_))
    assert np.abs(tilted[0, 0].astype(int) - bar[0, 128]).max() <= 2


def test_sheets_have_a_column_for_everything() -> None:
    _, normals, mask = files.sphere_map()
    normals = normals.astype(np.float32)
    image = np.full((*mask.shape, 3), 128, np.uint8)
    row = SheetRow(image, normals, mask, {"ours": normals, "theirs": normals})
    sheet = comparison_sheet([row, row], tile=64)
    assert sheet.shape == (22 + 2 * 64 + 34, 64 * (1 + 3 + 2 * 4), 3)
    without = comparison_sheet([SheetRow(image, None, mask, {"ours": normals})], tile=64)
    assert without.shape == (22 + 64, 64 * 4, 3)


def test_plots_are_pictures(tmp_path: Path) -> None:
    histogram = np.zeros(1801, np.int64)
    histogram[50:150] = 10
    cumulative_curves({"ours": histogram, "theirs": histogram[::-1]}, tmp_path / "c.png")
    errors = np.random.default_rng(0).uniform(0, 30, 500)
    sparsification_plot({"ours": sparsification(errors, errors)}, tmp_path / "s.png")
    for name in ("c.png", "s.png"):
        assert np.asarray(Image.open(tmp_path / name).convert("L")).std() > 5


def test_costs_are_counted_and_timed() -> None:
    without, with_two = (cost_of("casfne-s", stages, 64, threads=1, runs=1) for stages in (0, 2))
    model = CasFNE(casfne_s())
    cascade = sum(
        p.numel() for n, p in model.named_parameters() if n.startswith(("normal_encoder", "cascade", "fusion"))
    )
    assert with_two.parameters - without.parameters == cascade
    assert with_two.operations > without.operations > 1e8
    assert min(without.torch_ms, without.onnx_ms) > 0


def test_bench_refuses_what_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--method", "resnet"]) == 2
    assert main(["bench", "--size", "50"]) == 2
    assert "multiple of 32" in capsys.readouterr().err


def test_the_ablation_trains_measures_and_remembers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = AblationConfig(tmp_path / "a", 0.01, faces=60, test_faces=10, size=32, batch_size=2, rows=("Rec", "t = 0"))
    said: list[str] = []
    table = ablate(config, said.append)
    assert [row[0] for row in table.rows] == ["Rec", "t = 0"]
    assert [row[-1] for row in table.rows] == [9.23, 10.21]
    assert all(0 < row[1] < 180 for row in table.rows)
    again: list[str] = []
    assert ablate(config, again.append).rows == table.rows
    assert not again  # nothing was trained again
    with pytest.raises(UsageError, match="rows"):
        AblationConfig(tmp_path, 1.0, rows=("CARN",))
    assert {name: len(study_of(name).rows) for name in studied_methods()} == {
        "casfne": 11,
        "df2net": 3,
        "hffne": 8,
        "hrn": 7,
        "l2r": 8,
    }


def test_the_ablation_of_hffne_shares_its_coarse_networks(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rows = ("Iter50k", "A1", "unpaired", "A3")
    config = AblationConfig(tmp_path, 0.01, "hffne", faces=60, test_faces=10, size=64, batch_size=2, rows=rows)
    table = ablate(config)
    assert [row[-1] for row in table.rows] == [15.05, 9.6, None, 11.3]
    assert all(0 < row[1] < 180 for row in table.rows)
    assert sorted(p.name for p in tmp_path.glob("coarse-*")) == ["coarse-100", "coarse-50"]


def test_the_ablation_of_hrn_stands_on_one_analyser(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rows = ("base", "+ hierarchical", "+ de-retouching", "displacement alone")
    config = AblationConfig(tmp_path, 0.01, "hrn", faces=60, test_faces=10, size=64, batch_size=2, rows=rows)
    table = ablate(config)
    assert [row[0] for row in table.rows] == list(rows)
    assert all(0 < row[1] < 180 for row in table.rows)
    assert len(list(tmp_path.glob("**/hrn-analyser.safetensors"))) == 1
    assert len(list(tmp_path.glob("**/hrn-retouching.safetensors"))) == 1
    assert len(list(tmp_path.glob("**/charts/train"))) == 1


def test_hffne_is_counted_with_and_without_its_second_stage() -> None:
    coarse, whole = (cost_of("hffne-s", stages, 64, threads=1, runs=1) for stages in (0, 1))
    assert coarse.parameters < whole.parameters < 7.5e6
    assert whole.operations > coarse.operations > 1e7


def test_the_peers_mesh_becomes_triangles_and_normals() -> None:
    square = frozenset({(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)})
    assert triangles_of(square).tolist() == [[0, 1, 2], [0, 2, 3]]
    # a plane that comes nearer to the right
    points = np.array([[0.0, 0.0, 0.0], [0.0, 20.0, 0.0], [20.0, 20.0, 10.0], [20.0, 0.0, 10.0]])
    normals = rasterised(points, triangles_of(square), 20, 20)
    assert np.allclose(normals, np.array([-0.5, 0.0, 1.0]) / np.sqrt(1.25), atol=1e-5)
