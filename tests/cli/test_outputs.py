# SPDX-License-Identifier: Apache-2.0
"""What the commands write: results of one run, under safe names, never over an input."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import NotFiniteError, OutputError
from lineament.files.result_folder import MARKER
from lineament.result.crop_estimate import CropEstimate
from lineament.result.geometry import FaceGeometry

FAST = ["--stages", "0", "--no-second-view", "--no-fine-crop"]


@pytest.fixture
def face(tiny_weights: Path) -> FaceGeometry:
    return lineament.load(str(tiny_weights)).estimate(
        data.astronaut(), options=lineament.Options(0, second_view=False)
    )[0]


def test_a_folder_holds_results_of_one_run(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    words = ["estimate", str(portrait), "-o", str(tmp_path / "out"), "--method", str(tiny_weights), *FAST]
    folder = tmp_path / "out" / "astronaut"
    assert main([*words, "--outputs", "depth,mesh", "--mesh-formats", "obj,ply"]) == 0
    assert {"depth.exr", "mesh.obj", "mesh.ply"} <= set(os.listdir(folder))
    pair = np.concatenate([data.astronaut()[20:230, 130:320], data.astronaut()[20:230, 130:320][:, ::-1]], axis=1)
    Image.fromarray(pair).save(portrait)
    assert main(words) == 0
    assert set(os.listdir(folder)) == {"face-1", "face-2", "normals.png", MARKER}
    assert main([*words, "--largest"]) == 0
    assert not [name for name in os.listdir(folder) if name.startswith(("depth", "mesh", "face-"))]
    (folder / "notes.txt").write_text("mine")
    assert main(words) == 9
    assert (folder / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path / "out") == ["astronaut"]


def test_photos_of_one_name_get_a_result_each(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    photos = [tmp_path / name for name in ("a/1.png", "b/1.png", "c/0001-1.png.png")]
    for photo in photos:
        photo.parent.mkdir()
        shutil.copy(portrait, photo)
    words = ["estimate", *map(str, photos), "-o", str(tmp_path / "out"), "--method", str(tiny_weights), *FAST]
    assert main(words) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["0001-1.png", "a-1.png", "b-1.png"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_any_name_is_taken_and_stays_inside(
    portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (b"...png", b"caf\xe9.png", b"\xff.png", b"red\x1b[31m\n.png", "é".encode() * 120 + b".png"):
        shutil.copy(portrait, os.path.join(os.fsencode(portrait.parent), name))
    portrait.unlink()
    (portrait.parent / os.fsdecode(b"bad\xe9\x1b[2J.png")).write_text("no picture")
    over = "x" * 300 + ".png"
    words = [str(portrait.parent), over, "-o", str(tmp_path / "sub" / "out"), "--method", str(tiny_weights), *FAST]
    assert main(["estimate", *words]) in (3, 4)
    said = capsys.readouterr().err
    assert said.isprintable() or "\x1b" not in said
    assert "bad\\udce9\\x1b[2J.png" in said
    assert over in said
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 3
    names = sorted(os.listdir(tmp_path / "sub" / "out"))
    assert names == sorted(["photo", "caf_", "_", "red_[31m_", "é" * 60])
    assert os.listdir(tmp_path / "sub") == ["out"]
    told = json.loads((tmp_path / "sub" / "out" / "caf_" / "face.json").read_text(encoding="utf-8"))
    assert told["photo"]["name"] == "caf\\udce9.png"
    assert main(["faces", str(portrait.parent), "-o", str(tmp_path / "faces")]) in (3, 4)
    assert len(json.loads((tmp_path / "faces" / "faces.json").read_text(encoding="utf-8"))) == 5
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["faces", "estimate", "demo", "rig"])
def test_inputs_are_never_overwritten(
    command: str, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(portrait.parent)
    before = portrait.read_bytes()
    if command == "estimate":
        (portrait.parent / "astronaut").mkdir()
        portrait = portrait.rename(portrait.parent / "astronaut" / portrait.name)
    words = {
        "faces": ["faces", portrait.name, "-o", "."],
        "estimate": ["estimate", "astronaut/astronaut.png", "-o", "."],
        "demo": ["demo", "-o", "."],
        "rig": ["rig", "build", portrait.name, "-o", "../photos/astronaut.png"],
    }[command]
    with mock.patch("lineament.pipeline.estimator.load", side_effect=AssertionError("too late")):
        assert main(words) == (9 if command == "demo" else 2)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "astronaut.png" in said
    assert portrait.read_bytes() == before
    assert list(tmp_path.rglob("*.json")) == []


def test_reports_are_refused_before_anything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    words = ["evaluate", "yaleb", "--root", str(tmp_path / "data")]
    assert main([*words, "--output", str(tmp_path / "data" / "truth.csv")]) == 2
    assert "would overwrite" in capsys.readouterr().err
    assert main([*words, "--output", "table.txt"]) == 9
    assert main(["bench", "--output", "table.txt"]) == 9
    assert "suffix must be one of" in capsys.readouterr().err


def test_drawings_replace_those_of_an_earlier_run(portrait: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["faces", str(portrait), "-o", str(out)]) == 0
    other = portrait.rename(portrait.parent / "other.png")
    assert main(["faces", str(tmp_path / "missing.png"), "-o", str(out)]) == 3
    assert (out / "astronaut.png").exists()  # nothing was made that could take its place
    assert main(["faces", str(other), "-o", str(out)]) == 0
    assert sorted(os.listdir(out)) == ["faces.json", "other.png", MARKER]


def test_what_is_done_is_skipped(
    portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = portrait.with_name("second.png")
    shutil.copy(portrait, second)
    out = tmp_path / "out"
    words = ["estimate", str(portrait.parent), "-o", str(out), "--method", str(tiny_weights), *FAST, "--skip-existing"]

    def skipped(*more: str) -> int:
        before = {folder: folder.stat().st_ino for folder in out.iterdir()} if out.exists() else {}
        assert main([*words, *more]) == 0
        said, again = capsys.readouterr().err, [f for f, inode in before.items() if f.stat().st_ino == inode]
        assert (f"{len(again)} of 2 photos skipped" in said) == (len(again) > 0)
        return len(again)

    assert skipped() == 0
    assert skipped() == 2
    assert skipped("--outputs", "depth,normals") == 0
    assert skipped("--outputs", "normals,depth") == 2
    assert skipped("--min-score", "0.9", "--outputs", "depth") == 0
    assert skipped("--min-score", "0.9", "--outputs", "depth") == 2
    (out / "second" / "depth.exr").unlink()
    assert skipped("--min-score", "0.9", "--outputs", "depth") == 1
    Image.fromarray(data.astronaut()[:, :400]).save(second)
    assert skipped("--min-score", "0.9", "--outputs", "depth") == 1
    (out / "astronaut" / MARKER).write_text("{")
    assert main([*words]) == 9  # whose files these are cannot be told any more


def test_what_is_not_finite_is_never_written(face: FaceGeometry, tmp_path: Path) -> None:
    stage = face.stages[-1].copy()
    stage[10, 10, 0] = np.nan
    with pytest.raises(NotFiniteError, match=r"me.jpg: normals of stage 0: 1 of \d+ numbers are not finite"):
        replace(face, crop_estimate=CropEstimate((stage,))).save(tmp_path / "out", photo="me.jpg")
    own = face.crop_estimate
    unsure = replace(own, uncertainty=tuple(angles + np.inf for angles in own.uncertainty))
    with pytest.raises(NotFiniteError, match=r"me\.jpg: uncertainty"):
        replace(face, crop_estimate=unsure).save(tmp_path / "out", photo="me.jpg")
    with pytest.raises(NotFiniteError, match="pixels_per_mm"):
        replace(face, about={"scale": {"pixels_per_mm": float("nan")}}).save(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_face_that_covers_less_than_a_pixel_of_its_crop_is_valid_json(
    portrait: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    words = ["estimate", str(portrait), "-o", str(tmp_path / "out"), "--method", str(tiny_weights), *FAST]
    assert main([*words, "--face-box=-1000,-1000,3000,3000"]) == 0
    text = (tmp_path / "out" / "astronaut" / "face.json").read_text()
    assert "NaN" not in text
    json.loads(text, parse_constant=lambda word: pytest.fail(word))


def test_saving_in_python_replaces_a_result_and_nothing_else(face: FaceGeometry, tmp_path: Path) -> None:
    assert face.save(tmp_path / "out", outputs=("depth",)) == tmp_path / "out"
    face.save(tmp_path / "out")
    assert not (tmp_path / "out" / "depth.exr").exists()
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"\(thesis\.txt\)"):
        face.save(tmp_path)


def test_a_face_is_shown_in_three_lines(face: FaceGeometry) -> None:
    lines = repr(face).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("FaceGeometry of a 512×512 photo: face at (")
    assert "casfne" in lines[1]
    assert lines[2].strip() == " ".join(face.check.warnings) or "no warnings" in lines[2]
