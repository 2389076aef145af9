# SPDX-License-Identifier: Apache-2.0
"""The Extended Yale B protocol on ellipsoids, with predictors whose error is known, and its reports."""

from __future__ import annotations

import csv
import io
import json

import cv2
import numpy as np
import pytest

import lineament
from lineament.cli import evaluate as command
from lineament.datasets import YaleB
from lineament.errors import InputError, LineamentError, OutputError
from lineament.evaluation import (
    FramedPredictor,
    Framing,
    StoredPredictions,
    evaluate_yaleb,
    write_table,
    yaleb_table,
)
from lineament.result.crop_estimate import CropEstimate

from ..datasets.yaleb_files import LIGHTS, photo_name, truth, write_subject

FRONTAL = [light for light in LIGHTS if abs(light.azimuth) <= 35 and abs(light.elevation) <= 35]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yaleb")
    write_subject(folder, "yaleB01")
    write_subject(folder, "yaleB02")
    return folder


def two_stages(sample):
    flat = np.broadcast_to(np.float32([0, 0, 1]), sample.normals.shape)
    return [flat, sample.normals]


def test_known_errors_per_stage(root):
    result = evaluate_yaleb(YaleB(root), two_stages, "ours")
    assert [subject.subject for subject in result.subjects] == ["yaleB01", "yaleB02"]
    assert result.stages == (0, 1)
    data = YaleB(root)
    _, answer = data.subject("yaleB01")
    tilt = np.degrees(np.arccos(answer.normals[answer.mask][:, 2]))
    for subject in result.subjects:
        assert subject.photos == len(FRONTAL)
        flat, perfect = subject.stages
        assert flat.count == len(FRONTAL) * answer.mask.sum()
        assert flat.mean == pytest.approx(tilt.mean(), abs=1e-3)
        assert flat.std == pytest.approx(tilt.std(), abs=1e-3)
        assert flat.below_25 == pytest.approx((tilt < 25).mean(), abs=0.01)
        assert perfect.mean == pytest.approx(0, abs=1e-4)
        assert perfect.below_20 == 1
        assert subject.slope_scale[1] == pytest.approx(1)
        assert set(subject.by_light) == {str(light) for light in FRONTAL}
    assert result.mean(0) == pytest.approx(np.mean([s.stages[0].mean for s in result.subjects]))


def test_mean_of_subjects_and_choice_of_stages(root):
    def per_subject(sample):
        degrees = {"yaleB01": 10.0, "yaleB02": 40.0}[sample.subject]
        normals = sample.normals.astype(np.float64)
        aside = np.cross(normals, [0.0, 1.0, 0.0])
        aside /= np.linalg.norm(aside, axis=-1, keepdims=True)
        angle = np.radians(degrees)
        return [normals * 0, (np.cos(angle) * normals + np.sin(angle) * aside).astype(np.float32)]

    seen = []
    result = evaluate_yaleb(YaleB(root), per_subject, "ours", stages=[1], progress=lambda *done: seen.append(done))
    assert result.stages == (1,)
    assert result.mean(0) == pytest.approx(25, abs=1e-3)
    assert result.average(0, "below_30") == 0.5
    assert result.average(0, "std") == pytest.approx(0, abs=1e-3)
    assert seen[-1] == ("yaleB02", len(FRONTAL), len(FRONTAL))
    assert len(seen) == 2 * len(FRONTAL)


def test_subsets(root):
    counts = {
        name: evaluate_yaleb(YaleB(root), two_stages, "ours", name).subjects[0].photos
        for name in ("front", "frontal35", "lateral")
    }
    assert counts == {"front": 1, "frontal35": 7, "lateral": 6}


def test_framed_predictor_end_to_end(root):
    """A predictor of crops that knows the ellipsoid in the square scores within what resampling costs."""
    framing = Framing(0.2, size=96)
    normals, _ = truth()
    padded = framing.apply(np.round((normals + 1) * 127.5).astype(np.uint8)).astype(np.float32) / 127.5 - 1

    def predict(crop):
        assert crop.shape == (96, 96, 3)
        assert crop.dtype == np.uint8
        return [padded]

    assert evaluate_yaleb(YaleB(root), FramedPredictor(predict, framing), "ours").mean(0) < 1


def test_unusable_subjects_are_named(root, tmp_path):
    write_subject(tmp_path, "yaleB01")
    (tmp_path / "yaleB02").mkdir()
    result = evaluate_yaleb(YaleB(tmp_path), two_stages, "ours")
    assert [subject.subject for subject in result.subjects] == ["yaleB01"]
    assert any("yaleB02" in line for line in result.skipped)
    assert "left out yaleB02" in yaleb_table([result]).to_markdown()
    (tmp_path / "bare" / "yaleB03").mkdir(parents=True)
    with pytest.raises(InputError, match="no subject"):
        evaluate_yaleb(YaleB(tmp_path / "bare"), two_stages, "ours")


def test_wrong_requests_are_refused(root):
    with pytest.raises(InputError, match="unknown subset"):
        evaluate_yaleb(YaleB(root), two_stages, "ours", "sideways")
    with pytest.raises(InputError, match="no stage"):
        evaluate_yaleb(YaleB(root), two_stages, "ours", stages=[0, 2])
    counter = iter(range(100))
    with pytest.raises(InputError, match="number of stages"):
        evaluate_yaleb(YaleB(root), lambda sample: two_stages(sample)[: 1 + next(counter) % 2], "ours")
    with pytest.raises(InputError, match="not finite"):
        evaluate_yaleb(YaleB(root), lambda sample: [sample.normals * np.nan], "ours")


def test_reports_are_read_back(root, tmp_path):
    result = evaluate_yaleb(YaleB(root), two_stages, "ours|mine")
    table = yaleb_table([result])
    for suffix in ("md", "csv", "json"):
        write_table(table, tmp_path / "made" / f"report.{suffix}")
    expected = result.subjects[0].stages[0].mean

    rows = list(csv.DictReader(io.StringIO((tmp_path / "made/report.csv").read_text())))
    assert [row["stage"] for row in rows] == ["0", "1", ""]
    assert float(rows[0]["yaleB01"]) == expected
    assert float(rows[0]["<25° %"]) == pytest.approx(100 * result.average(0, "below_25"))
    assert rows[2]["method"].startswith("MediaPipe")
    # Published figures of the two subjects at hand, and their mean, since the others are not in the table.
    assert (float(rows[2]["yaleB01"]), float(rows[2]["yaleB02"])) == (12.9, 13.8)
    assert float(rows[2]["mean °"]) == pytest.approx(13.35)

    content = json.loads((tmp_path / "made/report.json").read_text())
    assert content["rows"][0]["yaleB01"] == expected
    assert content["rows"][0]["slope ×"] is None  # a flat prediction has no slope
    assert content["details"]["results"][0]["subjects"][0]["stages"][0]["mean"] == expected
    assert content["details"]["baselines"][0]["mean"] == 14.2

    lines = (tmp_path / "made/report.md").read_text().splitlines()
    body = [line for line in lines if line.startswith("|")]
    assert "ours\\|mine" in body[2]
    assert f"{expected:.2f}" in body[2]
    assert len(body) == 2 + len(table.rows)

    with pytest.raises(OutputError, match="suffix"):
        write_table(table, tmp_path / "report.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_table(table, tmp_path / "file" / "report.md")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "report.csv",
        "report.json",
        "report.md",
    ]


def test_rows_per_light(root):
    result = evaluate_yaleb(YaleB(root), two_stages, "ours")
    rows = [row for row in yaleb_table([result], per_light=True).rows if row[1] == "0"]
    assert len(rows) == 1 + len(FRONTAL)
    assert rows[1][2] == "A+000E+00"
    assert rows[1][3] == pytest.approx(result.subjects[0].by_light["A+000E+00"][0])


@pytest.fixture
def predictions(root, tmp_path):
    """Stored normals of two stages: one subject in a folder of its own, one without."""
    data, folder = YaleB(root), tmp_path / "net"
    (folder / "yaleB02").mkdir(parents=True)
    for subject in data.subjects:
        for sample in data.samples(subject):
            parent = folder / subject if subject == "yaleB02" else folder
            np.save(parent / f"{sample.name}.npy", np.stack(two_stages(sample)))
    return folder


def test_stored_predictions(root, predictions):
    folder = predictions
    result = evaluate_yaleb(YaleB(root), StoredPredictions(folder).normals, "stored")
    assert result.mean(1) == pytest.approx(0, abs=1e-4)
    light = LIGHTS[0]
    sample = next(iter(YaleB(root).samples("yaleB01", lambda one: one == light)))
    stored = folder / f"{photo_name('yaleB01', light)}.npy"
    stored.unlink()
    with pytest.raises(InputError, match="has no yaleB01_P00"):
        StoredPredictions(folder).normals(sample)
    for depth, top, tolerance in ((np.uint16, 65535, 0.01), (np.uint8, 255, 0.5)):
        encoded = np.round((sample.normals + 1) / 2 * top).astype(depth)
        cv2.imwrite(str(stored.with_suffix(".png")), encoded[..., ::-1])
        (found,) = StoredPredictions(folder).normals(sample)
        assert np.abs(found - sample.normals).max() < tolerance
        encoded[0, 0] = 0  # black stands for no normal
        cv2.imwrite(str(stored.with_suffix(".png")), encoded[..., ::-1])
        assert not StoredPredictions(folder).normals(sample)[0][0, 0].any()
    stored.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read"):
        StoredPredictions(folder).normals(sample)
    np.save(stored, np.zeros((5, 5, 3)))
    with pytest.raises(InputError, match="shape"):
        StoredPredictions(folder).normals(sample)
    stored.unlink()
    stored.with_suffix(".png").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="not a picture"):
        StoredPredictions(folder).normals(sample)


def test_command(root, predictions, tmp_path, capsys):
    folder = predictions
    report = tmp_path / "table.json"
    options = command.EvaluateYaleB(root, predictions=(folder,), stages=(1,), subset="front", output=(report,))
    assert command.evaluate_yaleb(options) == 0
    printed = capsys.readouterr().out
    assert "MediaPipe" in printed
    content = json.loads(report.read_text())
    assert content["rows"][0]["method"] == "net"
    assert content["rows"][0]["stage"] == "1"
    assert content["rows"][0]["mean °"] == pytest.approx(0, abs=1e-4)
    with pytest.raises(LineamentError, match="no folder"):
        command.evaluate_yaleb(command.EvaluateYaleB(tmp_path / "missing", predictions=(folder,)))


def test_command_with_a_method(root, monkeypatch, capsys):
    """The method's estimator gets padded crops of 256 pixels; flat normals have the flat error."""

    class Estimator:
        def estimate_crop(self, crop):
            assert crop.shape == (256, 256, 3)
            assert crop.dtype == np.uint8
            flat = np.broadcast_to(np.float32([0, 0, 1]), crop.shape)
            return CropEstimate((flat,) * 2, (flat[..., 0],) * 2)

    asked = []
    monkeypatch.setattr(lineament, "load", lambda name, options: asked.append(name) or Estimator(), raising=False)
    assert command.evaluate_yaleb(command.EvaluateYaleB(root, method=("casfne-s",), subset="front")) == 0
    assert asked == ["casfne-s"]
    expected = evaluate_yaleb(YaleB(root), two_stages, "ours", "front").mean(0)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| casfne-s")]
    assert len(rows) == 2
    assert f"{expected:.2f}" in rows[1]
