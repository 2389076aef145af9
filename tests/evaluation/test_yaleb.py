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
from lineament.errors import InputError, LineamentError, NoFaceError, OutputError
from lineament.evaluation import (
    NormalsSystem,
    StoredPredictions,
    evaluate_yaleb,
    write_table,
    yaleb_table,
)
from lineament.pipeline.options import Options

from ..datasets.yaleb_files import LIGHTS, photo_name, write_subject

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


OURS = NormalsSystem("ours", two_stages)


def test_known_errors_per_stage(root):
    result = evaluate_yaleb(YaleB(root), OURS)
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


def test_mean_of_subjects(root):
    def per_subject(sample):
        degrees = {"yaleB01": 10.0, "yaleB02": 40.0}[sample.subject]
        normals = sample.normals.astype(np.float64)
        aside = np.cross(normals, [0.0, 1.0, 0.0])
        aside /= np.linalg.norm(aside, axis=-1, keepdims=True)
        angle = np.radians(degrees)
        return [normals * 0, (np.cos(angle) * normals + np.sin(angle) * aside).astype(np.float32)]

    seen = []
    system = NormalsSystem("ours", per_subject)
    result = evaluate_yaleb(YaleB(root), system, progress=lambda *done: seen.append(done))
    assert result.stages == (0, 1)
    assert result.mean(1) == pytest.approx(25, abs=1e-3)
    assert result.average(1, "below_30") == 0.5
    assert result.average(1, "std") == pytest.approx(0, abs=1e-3)
    assert seen[-1] == ("yaleB02", len(FRONTAL), len(FRONTAL))
    assert len(seen) == 2 * len(FRONTAL)


def test_subsets(root):
    counts = {
        name: evaluate_yaleb(YaleB(root), OURS, name).subjects[0].photos
        for name in ("front", "frontal20", "frontal35", "lateral")
    }
    assert counts == {"front": 1, "frontal20": 5, "frontal35": 7, "lateral": 6}


def test_a_photo_without_a_found_face_counts_ninety_degrees(root):
    def blind_from_the_side(sample):
        if sample.subject == "yaleB02" or sample.meta["azimuth"] < 0:
            raise NoFaceError("nobody")
        return two_stages(sample)

    result = evaluate_yaleb(YaleB(root), NormalsSystem("ours", blind_from_the_side))
    first, second = result.subjects
    missed = sum(light.azimuth < 0 for light in FRONTAL)
    assert len(first.not_found) == missed
    assert first.stages[1].mean == pytest.approx(90 * missed / len(FRONTAL), abs=1e-3)
    assert first.by_light["A-020E+10"] == (90.0, 90.0)
    assert first.slope_scale[1] == pytest.approx(1)
    assert len(second.not_found) == second.photos == len(FRONTAL)
    assert [stage.mean for stage in second.stages] == [90.0, 90.0]
    assert result.stages == (0, 1)
    table = yaleb_table([result])
    assert any(f"no face was found in {missed + len(FRONTAL)} of {2 * len(FRONTAL)} photos" in n for n in table.notes)
    everybody = evaluate_yaleb(YaleB(root), NormalsSystem("blind", nobody))
    assert everybody.mean(0) == 90.0
    assert not any("no face was found" in note for note in yaleb_table([evaluate_yaleb(YaleB(root), OURS)]).notes)


def nobody(sample):
    raise NoFaceError("nobody")


def test_unusable_subjects_are_named(root, tmp_path):
    write_subject(tmp_path, "yaleB01")
    (tmp_path / "yaleB02").mkdir()
    result = evaluate_yaleb(YaleB(tmp_path), OURS)
    assert [subject.subject for subject in result.subjects] == ["yaleB01"]
    assert any("yaleB02" in line for line in result.skipped)
    assert "left out yaleB02" in yaleb_table([result]).to_markdown()
    (tmp_path / "bare" / "yaleB03").mkdir(parents=True)
    with pytest.raises(InputError, match="no subject"):
        evaluate_yaleb(YaleB(tmp_path / "bare"), OURS)


def test_wrong_requests_are_refused(root):
    with pytest.raises(InputError, match="unknown subset"):
        evaluate_yaleb(YaleB(root), OURS, "sideways")
    counter = iter(range(100))
    changing = NormalsSystem("ours", lambda sample: two_stages(sample)[: 1 + next(counter) % 2])
    with pytest.raises(InputError, match="number of stages"):
        evaluate_yaleb(YaleB(root), changing)
    by_person = NormalsSystem("ours", lambda sample: two_stages(sample)[: int(sample.subject[-1])])
    with pytest.raises(InputError, match="number of stages"):
        evaluate_yaleb(YaleB(root), by_person)
    for broken in (lambda sample: [sample.normals * np.nan], lambda sample: []):
        with pytest.raises(InputError):
            evaluate_yaleb(YaleB(root), NormalsSystem("ours", broken))


def test_reports_are_read_back(root, tmp_path):
    result = evaluate_yaleb(YaleB(root), NormalsSystem("ours|mine", two_stages))
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
    assert (float(rows[2]["yaleB01"]), float(rows[2]["yaleB02"])) == (12.79, 14.3)
    assert float(rows[2]["mean °"]) == pytest.approx(13.545)

    content = json.loads((tmp_path / "made/report.json").read_text())
    assert content["rows"][0]["yaleB01"] == expected
    assert content["rows"][0]["slope ×"] is None  # a flat prediction has no slope
    assert content["details"]["results"][0]["subjects"][0]["stages"][0]["mean"] == expected
    assert content["details"]["baselines"][0]["mean"] == 14.7

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
    result = evaluate_yaleb(YaleB(root), OURS)
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
    result = evaluate_yaleb(YaleB(root), StoredPredictions(folder, name="stored"))
    assert result.method == "stored"
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
    options = command.EvaluateYaleB(root, predictions=(folder,), subset="front", output=(report,))
    assert command.evaluate_yaleb(options) == 0
    printed = capsys.readouterr().out
    assert "MediaPipe" in printed
    content = json.loads(report.read_text())
    assert content["header"] == []  # nothing of ours was run
    assert content["rows"][1]["method"] == "net"
    assert content["rows"][1]["stage"] == "1"
    assert content["rows"][1]["mean °"] == pytest.approx(0, abs=1e-4)
    with pytest.raises(LineamentError, match="no folder"):
        command.evaluate_yaleb(command.EvaluateYaleB(tmp_path / "missing", predictions=(folder,)))


def test_command_with_a_method(root, tmp_path, capsys):
    """The header says how the method was run, the file of results which weights it was."""
    report = tmp_path / "table.json"
    options = command.EvaluateYaleB(
        root, method=("casfne-s",), subset="front", output=(report,), estimation=Options(stages=2, second_view=False)
    )
    assert command.evaluate_yaleb(options) == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if line.startswith("| casfne-s")]) == 3
    content = json.loads(report.read_text())
    (header,) = content["header"]
    assert header in printed
    assert printed.index(header) < printed.index("| method")
    for words in ("casfne-s: ", "--crop given", "no second view", "finer crop", "--counted labels"):
        assert words in header
    about = content["details"]["systems"]
    assert about["casfne-s"]["weights_sha256"] == lineament.load("casfne-s").predictor.sha256
    assert about["casfne-s"]["settings"]["options"]["second_view"] is False


def test_command_where_faces_are_to_be_found(root, capsys):
    """Ellipsoids are no faces: all are missed, which is said."""
    options = command.EvaluateYaleB(root, subset="front", crop="found")
    assert command.evaluate_yaleb(options) == 0
    printed = capsys.readouterr().out
    assert "--crop found" in printed
    assert "casfne-s: no face was found in 2 of 2 photos (" in printed
    (row,) = [line for line in printed.splitlines() if line.startswith("| casfne-s")]
    assert row.count("90.00") == 3
