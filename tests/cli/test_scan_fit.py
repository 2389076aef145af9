# SPDX-License-Identifier: Apache-2.0
"""`lineament scan-fit`, and a training's batch from what it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from lineament.cli import main
from lineament.errors import DataError
from lineament.methods.hrn.analyser import Analyser
from lineament.methods.hrn.chart_batches import ChartBatches, scans_of
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.model import hrn_s
from lineament.networks.weight_files import save_weights
from lineament.rig import load_rig


@pytest.fixture
def scan(tmp_path: Path) -> list[str]:
    """The rig's mean head, in metres, as a scan, and its landmarks."""
    rig = load_rig()
    mesh = trimesh.Trimesh(1e-3 * rig.mean.astype(float), rig.faces, process=False)
    (tmp_path / "scan.ply").write_bytes(mesh.export(file_type="ply"))
    np.savetxt(tmp_path / "landmarks.txt", 1e-3 * rig.mean[rig.landmarks])
    return [str(tmp_path / "scan.ply"), "--landmarks", str(tmp_path / "landmarks.txt")]


def test_a_scan_and_its_photo_become_labels(
    scan: list[str], portrait: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scans" / "one"
    assert main(["scan-fit", scan[0], str(portrait), *scan[1:], "-o", str(out)]) == 0
    assert "mm from the scan" in capsys.readouterr().err
    said = json.loads((out / "scan.json").read_text())
    assert said["distance_mm"] < 0.1
    assert said["landmark_error_px"] < 20.0  # another person's head
    assert said["scan_to_head"]["scale"] == pytest.approx(1000.0)
    assert np.abs(said["identity"]).max() < 0.3
    with np.load(out / "scan.npz") as file:
        arrays = {name: file[name] for name in file.files}
    rig = load_rig()
    away = np.linalg.norm(arrays["places"][rig.landmarks] - arrays["landmarks"], axis=1)
    assert np.median(away[arrays["visible"]]) == pytest.approx(said["landmark_error_px"], abs=0.1)
    assert arrays["vertices"][rig.landmarks[30], 2] > arrays["vertices"][rig.landmarks[0], 2]  # the nose is nearer
    assert np.isfinite(arrays["height"]).all()

    torch.manual_seed(0)
    weights = tmp_path / "analyser.safetensors"
    save_weights(Analyser(hrn_s(64).analyser).eval(), weights)
    config = HRNTrainConfig(
        tmp_path / "run", data=(faces,), scans=(out.parent,), analyser=weights, size=64, batch_size=8
    )
    config.check_places()
    source = ChartBatches(config, weights, "train", 0, "faces")
    batch = next(iter(source))
    assert set(batch.labels) >= {"target", "deformation", "height", "normals"}
    kept = {path.stem for path in (tmp_path / "run" / "charts" / "train").glob("*.npz")}
    assert "scan-00000000" in kept
    arrays = dict(source.samples.scan("scan-00000000", out))
    assert np.isfinite(arrays["deformation"]).all()
    # The labels lay the head where the photo shows it: its landmarks are the photo's, but for another person's head.
    assert arrays["target"].shape == (rig.vertex_count, 3)
    with pytest.raises(DataError, match=r"there is no scan\.npz"):
        scans_of(replace(config, scans=(faces,)).scans, "train")


def test_what_cannot_be_fitted_is_said_in_one_line(
    scan: list[str], portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "few.txt").write_text("1 2 3\n")
    (tmp_path / "words.txt").write_text("nose\n")
    out = ["-o", str(tmp_path / "out")]
    for words, line in (
        ([scan[0], str(portrait), "--landmarks", str(tmp_path / "few.txt")], "68 lines of x, y and z"),
        ([scan[0], str(portrait), "--landmarks", str(tmp_path / "words.txt")], "holds no landmarks"),
        ([str(portrait), str(portrait)], "meshes are read from"),
        ([str(tmp_path / "none.ply"), str(portrait)], "none.ply"),
    ):
        assert main(["scan-fit", *words, *out]) not in (0, 1)
        said = capsys.readouterr().err
        assert line in said
        assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
