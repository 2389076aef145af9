# SPDX-License-Identifier: Apache-2.0
"""Every table of the papers on a tiny set of its data, with predictions whose figures are known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lineament.cli import main
from lineament.cli.evaluate import tables as measurable_tables
from lineament.errors import InputError, UsageError
from lineament.evaluation.protocols.scoring import measure_normals
from lineament.evaluation.protocols.tables import ALIASES, PROTOCOLS, protocol_of
from lineament.evaluation.report.published import published_tables
from lineament.evaluation.report.table import published_table
from lineament.evaluation.systems.peer import peer_system
from lineament.evaluation.systems.stored import StoredPredictions
from lineament.evaluation.systems.system import NormalsSystem

from ..datasets import files

DATA: dict[str, Callable[[Path], Path]] = {
    "Photoface": files.photoface_prepared,
    "Florence": files.florence,
    "BU-3DFE": files.bu3dfe,
    "BFM": files.synface,
    "3DFAW": files.threedfaw,
    "FFHQ and CelebAMask-HQ": files.celebamask,
}


def data_of(table: str, root: Path) -> Path:
    if "realy" in table:
        return files.realy(root)
    if table.startswith("now"):
        return files.now(root)
    if "esrc" in table:
        return files.esrc(root)
    if table in ("hrn-table2-facescape", "hrn-table4"):
        return files.facescape_views(root)
    if published_tables()[table].dataset == "FaceScape":
        return files.facescape_benchmark(root)
    return DATA[published_tables()[table].dataset](root)


def write_truth(table: str, root: Path, folder: Path) -> None:
    """Perfect predictions, as other programmes would store them."""
    folder.mkdir()
    for sample in PROTOCOLS[table].dataset(root):
        path = folder / sample.name.replace("/", "_")
        if sample.normals is not None and "mm" not in published_tables()[table].columns[0]:
            np.save(path.with_suffix(".npy"), sample.normals)
        if table == "df2net-table2" or "SIDE" in published_tables()[table].columns[0]:
            # Pixels of relief, or distances from the camera in some unit of their own, growing away.
            distance = np.nan_to_num(-7.0 * sample.depth)
            np.save(path.with_suffix(".npy"), np.nan_to_num(sample.depth) if table == "df2net-table2" else distance)
        if table == "l2r-table5":
            depth = np.zeros(sample.image.shape[:2])
            depth[sample.landmarks[:, 1].astype(int), sample.landmarks[:, 0].astype(int)] = sample.landmarks[:, 2]
            np.save(path.with_suffix(".npy"), depth)
        if "SSIM" in published_tables()[table].columns:
            shown = cv2.resize(sample.image, (256, 256), interpolation=cv2.INTER_AREA)  # L2R measures at this size
            Image.fromarray(shown).save(path.with_suffix(".png"))
    if table.startswith(("hrn", "now")):
        vertices, triangles = files.sphere_mesh(60.0)
        for sample in PROTOCOLS[table].dataset(root):
            if published_tables()[table].columns[0] == "CD mm":  # in units of the picture or of the pupils' distance
                vertices = sample.scan.vertices / sample.meta["pupil_scale"]
            files.write_obj(folder / f"{sample.name.replace('/', '_')}.obj", vertices, triangles)
        rows = np.linspace(0, len(vertices) - 1, 85).astype(int) if "realy" in table else files.LANDMARKS
        np.savetxt(folder / "landmarks.txt", rows, fmt="%d")
        if table.startswith("now"):
            np.savetxt(folder / "landmarks.txt", files.face_landmarks())


@pytest.mark.parametrize("table", list(PROTOCOLS))
def test_perfect_predictions_get_perfect_figures(table: str, tmp_path: Path) -> None:
    root = data_of(table, tmp_path / "data")
    write_truth(table, root, tmp_path / "truth")
    protocol = PROTOCOLS[table]
    measured = protocol.measure(protocol.dataset(root), StoredPredictions(tmp_path / "truth"), None)
    published = published_tables()[table]
    assert len(measured.rows) == {"hrn-table4": 5, "now-table1": 3}.get(table, 1)
    perfect = {"<20° %": 100.0, "<25° %": 100.0, "<30° %": 100.0, "SSIM": 1.0, "depth correlation": 60.0}
    for _, metrics in measured.rows:
        for column, metric in zip(published.columns, metrics, strict=True):
            if column == "depth correlation":
                assert metric > perfect[column]  # landmarks may share a pixel
            elif column == "time ms":
                assert metric > 0.0
            elif column == "cosine similarity":
                assert metric is None
            else:
                tolerance = 1e-6 if column == "MNE rad" else 1e-3 if column in ("SIDE ×10⁻²", "MAD °") else 0.15
                assert metric == pytest.approx(perfect.get(column, 0.0), abs=tolerance), column
    assert measured.samples >= 1


def test_a_constant_tilt_is_measured_exactly(tmp_path: Path) -> None:
    root = files.photoface_prepared(tmp_path / "data")
    tilt = np.radians(12.0)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])

    def tilted(sample):
        # every normal turned by twelve degrees in the plane of itself and an orthogonal vector
        n = sample.normals
        other = np.cross(n, n @ turn.T + 0.3)
        other /= np.maximum(np.linalg.norm(other, axis=2, keepdims=True), 1e-9)
        return [(np.cos(tilt) * n + np.sin(tilt) * other).astype(np.float32), n]

    measured = measure_normals(protocol_of("photoface-table2").dataset(root), NormalsSystem("tilted", tilted))
    (first, metrics), (second, exact) = measured.rows
    assert (first, second) == ("stage 0", "stage 1")
    assert metrics[0] == pytest.approx(12.0, abs=0.05)
    assert metrics[2:] == (100.0, 100.0, 100.0)
    assert exact[0] < 0.05
    assert measured.details["mean over images, stage 0"] == pytest.approx(12.0, abs=0.05)


def test_a_missing_prediction_ends_the_run(tmp_path: Path) -> None:
    root = files.photoface_prepared(tmp_path / "data")
    system = StoredPredictions(tmp_path)
    with pytest.raises(InputError, match="has no im0"):
        measure_normals(protocol_of("casfne-table2").dataset(root), system)


def test_our_method_runs_and_says_what_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = files.photoface_prepared(tmp_path / "data")
    outputs = [str(tmp_path / f"t.{suffix}") for suffix in ("md", "csv", "json", "tex")]
    arguments = ["evaluate", "photoface-table2", "--root", str(root), "--stages", "1", "--output", *outputs]
    assert main([*arguments, "--pictures", str(tmp_path / "pictures")]) == 0
    assert "Cas-FNE (trained on it)" in capsys.readouterr().out
    content = json.loads((tmp_path / "t.json").read_text())
    ours = [row for row in content["rows"] if row[""] == "measured"]
    assert [row["method"] for row in ours] == ["casfne-s stage 0", "casfne-s stage 1"]
    assert 1.0 < ours[-1]["mean °"] < 60.0
    assert (tmp_path / "t.tex").read_text().count("toprule") == 1
    pictures = sorted(p.name for p in (tmp_path / "pictures").iterdir())
    assert pictures == ["casfne-table2-curves.png", "casfne-table2.png"]

    faces = files.celebamask(tmp_path / "faces")
    assert main(["evaluate", "l2r-table3", "--root", str(faces)]) == 2
    assert "casfne-s estimates no rendered pictures" in capsys.readouterr().err
    lab = files.facescape_benchmark(tmp_path / "lab")
    assert main(["evaluate", "hrn-table1-lab", "--root", str(lab), "--crop", "given"]) == 2
    assert "no meshes in a perspective camera" in capsys.readouterr().err
    # Grey squares hold no face: nothing stands in for a mesh.
    realy = files.realy(tmp_path / "realy")
    assert main(["evaluate", "hrn-table1-realy", "--root", str(realy)]) == 7
    assert "no face was found in any of the 2 photos" in capsys.readouterr().err


def test_peers_are_two_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = tmp_path / "towards_me.py"
    adapter.write_text(
        "import numpy as np\ndef load():\n    return np.float32([0, 0, 1])\n"
        "def normals(state, image):\n    return np.broadcast_to(state, image.shape)\n"
    )
    root = files.photoface_prepared(tmp_path / "data")
    assert main(["evaluate", "casfne-table2", "--root", str(root), "--peer", str(adapter)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| towards_me"))
    _, truth, mask = files.sphere_map()
    expected = np.degrees(np.arccos(truth[..., 2]))[mask].mean()
    assert float(line.split("|")[3]) == pytest.approx(expected, abs=0.5)
    (tmp_path / "half.py").write_text("def load():\n    pass\n")
    with pytest.raises(UsageError, match="no function normals"):
        peer_system(str(tmp_path / "half.py"))
    with pytest.raises(UsageError, match="no adapter"):
        peer_system("nobody")
    assert main(["evaluate", "casfne-table2", "--root", str(root), "--peer", str(adapter), str(adapter)]) == 2


def test_published_tables_are_whole() -> None:
    tables = published_tables()
    assert {"casfne-table4"} == set(tables) - set(PROTOCOLS)
    for name, table in tables.items():
        assert table.rows or name == "now-table1", name  # whose paper has test photos only
        assert all(len(metrics) == len(table.columns) for _, metrics in table.rows), name
    ours = dict(tables["casfne-table2"].rows)["Cas-FNE (trained on it)"]
    assert ours == (7.31, 5.92, 96.26, 98.17, 99.01)
    assert set(measurable_tables()) == {"yaleb", *PROTOCOLS, *ALIASES}


def test_latex_escapes_what_it_must() -> None:
    table = published_table(published_tables()["casfne-table3"], {}, ("50 % & more_",), "x_y")
    text = table.to_latex()
    assert r"$<$20$^\circ$ \%" in text
    assert r"\begin{tabular}{llrrrrr}" in text
    assert text.count(r"\\") == 1 + len(table.rows)


def test_unknown_tables_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "photoface-table9"]) == 2
    assert "casfne-table2" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no table"):
        protocol_of("table9")
