# SPDX-License-Identifier: Apache-2.0
"""The command line as people use it, right and wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import Image
from skimage import data

import lineament
from lineament.cli import main
from lineament.cli.commands import COMMANDS
from lineament.errors import NoFaceError, UsageError
from lineament.face import Face, MaskClass
from lineament.images import decode_normals, encode_normals
from lineament.images.tone import camera_tones, face_contrast
from lineament.inference.component import resolved
from lineament.pipeline import crops
from lineament.result.geometry import FaceGeometry
from tests.images.test_read import damaged

ONE_VIEW = lineament.Options(second_view=False)


@pytest.mark.parametrize("command", ["train", "evaluate", "rig"])
def test_commands_of_two_words_name_the_second(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: lineament {command} " in capsys.readouterr().out
    assert main([command]) == 2
    assert "must be followed by" in capsys.readouterr().err


def test_estimate_writes_everything(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["estimate", str(portrait), "-o", str(out), "--method", str(tiny_weights)]) == 0
    folder = out / "astronaut"
    names = {
        "normals.png",
        "normals.exr",
        "mask.png",
        "parse.png",
        "uncertainty.png",
        "shading.png",
        "sheet.png",
        "face.json",
        "result.json",
    }
    assert {p.name for p in folder.iterdir()} == names
    assert list(out.iterdir()) == [folder]
    said = json.loads((folder / "face.json").read_text())
    assert said["normals"]["convention"] == "opengl"
    assert said["photo"] == {
        "name": "astronaut.png",
        "width": 512,
        "height": 512,
        "frame": "upright, EXIF orientation applied",
    }
    assert len(said["weights"]["sha256"]) == 64
    assert said["stages"] == 2
    with Image.open(folder / "normals.png") as opened:
        assert opened.text["Normals"].startswith("opengl: x right, y up")
    normals = decode_normals(cv2.imread(str(folder / "normals.png"))[..., ::-1])
    mask = cv2.imread(str(folder / "mask.png"), cv2.IMREAD_GRAYSCALE) > 0
    assert normals.shape == (512, 512, 3)
    assert np.array_equal((normals != 0).any(-1), mask)
    with OpenEXR.File(str(folder / "normals.exr")) as file:
        exact = file.channels()["RGB"].pixels.astype(np.float32)
    assert np.abs(exact - normals).max() < 0.02
    grey = cv2.imread(str(folder / "uncertainty.png"), cv2.IMREAD_GRAYSCALE)
    assert (grey[~mask] == 0).all()
    assert grey[mask].mean() / 5.0 == pytest.approx(min(51.0, said["uncertainty"]["mean"]), abs=1.5)
    x, y, w, h = said["box"]
    assert mask[int(y + h / 2), int(x + w / 2)]


def test_conventions_flip_signs(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    maps = {}
    for convention in ("opengl", "directx"):
        out = tmp_path / convention
        words = ["estimate", str(portrait), "-o", str(out), "--method", str(tiny_weights), "--stages", "0"]
        assert main([*words, "--normals-convention", convention]) == 0
        maps[convention] = cv2.imread(str(out / "astronaut" / "normals.png"))[..., ::-1].astype(int)
    face = maps["opengl"].any(-1)
    assert np.abs(maps["opengl"][face, 1] + maps["directx"][face, 1] - 255).max() <= 1
    assert np.array_equal(maps["opengl"][..., 0], maps["directx"][..., 0])


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("empty", 4),
        ("text", 4),
        ("truncated", 3),
        ("one pixel", 5),
        ("huge", 6),
        ("missing", 3),
        ("no face", 7),
        ("empty folder", 8),
        ("unwritable", 9),
        ("no weights", 10),
        ("no command", 2),
        ("wrong option", 2),
    ],
)
def test_bad_input_gets_one_line_and_its_own_code(
    kind: str, code: int, tiny_weights: Path, portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, method = tmp_path / "out", str(tiny_weights)
    if kind == "no face":
        path = tmp_path / "wall.png"
        Image.fromarray(data.coffee()).save(path)
    elif kind == "empty folder":
        path = tmp_path / "nothing"
        path.mkdir()
    elif kind in ("unwritable", "no weights", "no command", "wrong option"):
        path = portrait
        if kind == "unwritable":
            out = tmp_path / "file" / "out"
            out.parent.write_text("in the way")
        if kind == "no weights":
            method = "nonesuch"
    else:
        path = damaged(tmp_path, kind)
    words = ["guess" if kind == "no command" else "estimate", str(path), "-o", str(out), "--method", method]
    words += ["--stages", "many"] if kind == "wrong option" else []
    assert main(words) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    if kind != "wrong option":  # tyro draws a box around what it says of options
        assert len(said.strip().splitlines()) == 1
        assert said.startswith("lineament: ")
    assert not out.exists()


def test_one_bad_file_does_not_stop_a_batch(
    portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (portrait.parent / "broken.jpg").write_text("no picture")
    out = tmp_path / "out"
    assert main(["estimate", str(portrait.parent), "-o", str(out), "--method", str(tiny_weights)]) == 4
    assert (out / "astronaut" / "face.json").exists()
    assert not (out / "broken").exists()
    said = capsys.readouterr().err
    assert "broken.jpg" in said
    assert "1 of 2 photos" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--face-box", "120,80,abc"], "--face-box takes X,Y,W,H"),
        (["--whole", "--largest"], "take one of"),
        (["--face-box", "600,0,90,90"], "outside the 512×512 photo"),
    ],
)
def test_wrong_choices_of_faces_are_named(
    words: list[str], said: str, portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["estimate", str(portrait), "-o", str(out), "--method", str(tiny_weights), *words]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_faces_may_be_chosen(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    boxes = {}
    for words in (["--face-box", "170,70,100,110"], ["--whole"], ["--largest"], ["--min-score", "0.9"]):
        out = tmp_path / words[0]
        assert main(["estimate", str(portrait), "-o", str(out), "--method", str(tiny_weights), *words]) == 0
        boxes[words[0]] = json.loads((out / "astronaut" / "face.json").read_text())["box"]
    assert np.allclose(boxes["--face-box"], boxes["--largest"], atol=8)  # both are the landmarks' own
    assert boxes["--whole"] == [0, 0, 512, 512]
    assert boxes["--largest"] == boxes["--min-score"]
    nothing = ["estimate", str(portrait), "-o", str(tmp_path / "no"), "--method", str(tiny_weights), "--min-score", "1"]
    assert main(nothing) == 7


def test_a_group_gets_numbered_folders_and_one_map(tiny_weights: Path, tmp_path: Path) -> None:
    photo = data.astronaut()[20:230, 130:320]
    Image.fromarray(np.concatenate([photo, photo[:, ::-1]], axis=1)).save(tmp_path / "pair.png")
    out = tmp_path / "out"
    assert main(["estimate", str(tmp_path / "pair.png"), "-o", str(out), "--method", str(tiny_weights)]) == 0
    assert {path.name for path in (out / "pair").iterdir()} == {"face-1", "face-2", "normals.png", "result.json"}
    boxes = [json.loads((out / "pair" / f"face-{n}" / "face.json").read_text())["box"] for n in (1, 2)]
    assert boxes[0][0] < boxes[1][0]
    with Image.open(out / "pair" / "normals.png") as opened:
        assert opened.text["Normals"].startswith("opengl")
        together = np.asarray(opened)
    for number in (1, 2):
        mask = cv2.imread(str(out / "pair" / f"face-{number}" / "mask.png"), cv2.IMREAD_GRAYSCALE) > 0
        assert together[mask].any(-1).all()


def test_faces_are_drawn_and_listed(portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (portrait.parent / "broken.jpg").write_text("no picture")
    out = tmp_path / "faces"
    assert main(["faces", str(portrait.parent), "-o", str(out)]) == 4
    said = capsys.readouterr()
    assert "astronaut.png: 1 face\n  1  at " in said.out
    assert "broken.jpg" in said.err
    drawn = cv2.imread(str(out / "astronaut.png"))
    assert drawn.shape == (512, 512, 3)
    changed = (drawn[..., ::-1] != data.astronaut()).any(-1)
    assert 0.005 < changed.mean() < 0.1
    assert sorted(path.name for path in out.iterdir()) == ["astronaut.png", "faces.json", "result.json"]
    listed = json.loads((out / "faces.json").read_text())
    (face,) = listed[str(portrait.resolve())]
    assert len(face["landmarks"]) == len(face["visibility"]) == 68
    assert abs(face["pose"]["yaw"]) < 25
    assert 0.5 < face["score"] <= 1.0


def test_python_takes_arrays_boxes_and_whole_crops(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    photo = data.astronaut()
    found = model.estimate(photo)[0]
    assert isinstance(found, FaceGeometry)
    assert found.normals.dtype == np.float32
    length = np.linalg.norm(found.normals, axis=-1)
    assert np.allclose(length[found.mask], 1, atol=1e-4)
    assert (length[~found.mask] == 0).all()
    assert len(found.stages) == 3
    assert np.array_equal(found.stage(2), found.normals)
    two = model.estimate(photo, faces=[(174, 72, 96, 96), (300, 100, 90, 90)], options=lineament.Options(stages=0))
    assert [len(face.stages) for face in two] == [1, 1]
    whole = model.estimate(photo[40:200, 140:300], faces="whole")[0]
    assert whole.normals.shape == (160, 160, 3)
    given = [Face((300, 100, 90, 90), 0.7), Face((174, 72, 96, 96), 0.9)]
    ordered = model.estimate(photo, faces=lambda image: given)
    assert [face.score for face in ordered] == [0.9, 0.7]
    assert found.landmarks.shape == (68, 2)
    assert (found.parse[found.mask] == int(MaskClass.HAIR)).mean() < 0.05  # the mask's outline is smoothed
    assert {int(c) for c in np.unique(found.parse)} <= {int(c) for c in MaskClass}
    deep = model.estimate(photo.astype(np.float32) / 255)[0]
    assert deep.box == found.box
    with pytest.raises(NoFaceError, match="no face found"):
        model.estimate(data.brick())
    for box in ((0, 0, 2, 2), (900, 0, 50, 50), (1, 2, 3)):
        with pytest.raises(UsageError):
            model.estimate(photo, faces=[box])


def test_a_tiny_face_that_is_found_is_estimated(tiny_weights: Path) -> None:
    photo = cv2.resize(data.astronaut(), (48, 48), interpolation=cv2.INTER_AREA)
    faces = lineament.load(str(tiny_weights)).estimate(photo, faces=lambda image: [Face((37.0, 38.0, 7.0, 7.0), 0.7)])
    assert len(faces) == 1
    assert faces[0].mask.shape == (48, 48)


def test_large_photos_are_pasted_in_strips(tiny_weights: Path, tmp_path: Path) -> None:
    photo = cv2.resize(data.astronaut()[:400, 60:460], (1800, 1500), interpolation=cv2.INTER_LINEAR)
    face = lineament.load(str(tiny_weights)).estimate(photo, faces=[(300, 200, 900, 900)])[0]
    face.save(tmp_path / "out")
    length = np.linalg.norm(face.normals, axis=-1)
    assert np.allclose(length[face.mask], 1, atol=1e-4)
    stored = cv2.imread(str(tmp_path / "out" / "normals.png"))[..., ::-1]
    assert np.array_equal(stored, encode_normals(face.normals))
    shading = cv2.imread(str(tmp_path / "out" / "shading.png"))
    assert shading.shape[0] <= 1024
    assert shading.shape[1] <= 4 * 1024


def test_the_second_look_is_mirrored_and_closer(tiny_weights: Path) -> None:
    model, mirror = lineament.load(str(tiny_weights)), np.array([-1, 1, 1], np.float32)
    crop = cv2.resize(data.astronaut()[40:168, 150:278], (64, 64), interpolation=cv2.INTER_AREA)
    crop = crop // 4 + 150  # of too little contrast for another tone curve
    plain = model.estimate_crop(crop, options=ONE_VIEW).normals[-1]
    middle = np.s_[5:59, 5:59]  # 64 / 1.2
    seen = cv2.resize(np.ascontiguousarray(crop[middle][:, ::-1]), (64, 64), interpolation=cv2.INTER_LINEAR)
    closer = model.estimate_crop(seen, options=ONE_VIEW).normals[-1][:, ::-1] * mirror
    closer = cv2.resize(closer, (54, 54), interpolation=cv2.INTER_LINEAR)
    both = model.estimate_crop(crop).normals[-1]
    mean = plain[middle] + closer
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    assert np.abs(both[middle] - mean)[3:-3, 3:-3].max() < 2e-3
    assert np.abs(both[middle] - plain[middle]).max() > 0.01
    outside = np.ones((64, 64), bool)
    outside[middle] = False
    assert np.abs(both - plain)[outside].max() < 1e-4  # the closer view does not see it


def test_photos_of_linear_light_are_seen_with_a_cameras_curve(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    crop = cv2.resize(data.astronaut()[40:168, 150:278], (64, 64), interpolation=cv2.INTER_AREA) // 4 + 150
    hard = np.rint(255 * (crop / 255) ** 9).astype(np.uint8)
    known = camera_tones(face_contrast(hard))[hard]
    assert face_contrast(known) < 0.99 * face_contrast(hard)
    seen, both = (model.estimate_crop(hard, options=each).normals[-1] for each in (ONE_VIEW, None))
    same = model.estimate_crop(crop, options=ONE_VIEW).normals[-1]
    with mock.patch.object(crops, "camera_tones", return_value=np.arange(256, dtype=np.uint8)):
        assert np.array_equal(seen, model.estimate_crop(known, options=ONE_VIEW).normals[-1])
        assert np.abs(both - model.estimate_crop(known).normals[-1]).mean() < 0.01  # enlarged before, after
        assert np.array_equal(same, model.estimate_crop(crop, options=ONE_VIEW).normals[-1])
        assert np.abs(seen - model.estimate_crop(hard, options=ONE_VIEW).normals[-1]).mean() > 0.02


def test_the_process_starts_and_lists_its_commands() -> None:
    run = subprocess.run([sys.executable, "-m", "lineament", "--help"], capture_output=True, text=True, check=False)
    assert run.returncode == 0
    for command in ("demo", "estimate", "faces", "check", "evaluate", "synth", "train", "export", "rig build"):
        assert command in run.stdout


def test_synth_and_training_by_command(tmp_path: Path) -> None:
    faces, run = tmp_path / "faces", tmp_path / "run"
    words = ["synth", "-n", "3", "-o", str(faces), "--size", "64", "--identities", "50"]
    assert main(words) == 0
    assert (faces / "sheet.png").exists()
    more = tmp_path / "more"
    words = ["synth", "-n", "2", "-o", str(more), "--size", "64", "--start", "7", "--glasses", "1.0"]
    assert main([*words, "--pictures", "image", "normals", "mask"]) == 0
    written = {"image", "normals", "mask", "manifest.json", "samples.jsonl", "sheet.png"}
    assert {p.name for p in more.iterdir() if p.name != ".lock"} == written
    assert (more / "mask" / "00000008.png").exists()
    train = ["train", "casfne", "--output", str(run), "--data", str(faces), "--size", "64", "--batch-size", "2"]
    train += ["--steps", "2", "--stages", "1", "--validation-batches", "1", "--losses", "rec"]
    assert main(train) == 0
    weights = run / "casfne-s.safetensors"
    assert main(["export", str(weights)]) == 0
    maps = lineament.load(str(weights)).estimate_crop(np.zeros((64, 64, 3), np.uint8)).normals
    assert len(maps) == 2


def test_a_photo_is_checked(portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = cv2.resize(data.astronaut(), (170, 170), interpolation=cv2.INTER_AREA)
    Image.fromarray(tiny).save(portrait.parent / "tiny.png")
    assert main(["check", str(portrait.parent)]) == 0
    said = capsys.readouterr().out
    assert "astronaut.png: 1 face" in said
    assert "turned " in said
    assert "warning: the face is small" in said


def test_estimate_warns(portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = portrait.parent / "tiny.png"
    Image.fromarray(cv2.resize(data.astronaut(), (170, 170), interpolation=cv2.INTER_AREA)).save(small)
    assert main(["estimate", str(small), "-o", str(tmp_path / "out"), "--method", str(tiny_weights)]) == 0
    assert "tiny.png: the face is small" in capsys.readouterr().err
    said = json.loads((tmp_path / "out" / "tiny" / "face.json").read_text())
    assert said["check"]["findings"][0]["severity"] == "warning"
    with Image.open(tmp_path / "out" / "tiny" / "parse.png") as opened:
        assert opened.mode == "P"
        assert np.asarray(opened).max() < len(MaskClass)


def test_uncertainty_is_in_degrees_where_the_face_is(tiny_weights: Path) -> None:
    face = lineament.load(str(tiny_weights)).estimate(data.astronaut())[0]
    assert face.uncertainty.shape == face.mask.shape
    assert (face.uncertainty[~face.mask] == 0).all()
    inside = face.uncertainty[face.mask]
    assert inside.min() > 0
    assert inside.max() <= 90


def test_large_faces_are_seen_finer(tiny_weights: Path) -> None:
    photo = cv2.resize(data.astronaut()[:400, 60:460], (900, 900), interpolation=cv2.INTER_CUBIC)
    model = lineament.load(str(tiny_weights))
    fine, coarse = (model.estimate(photo, options=lineament.Options(fine_crop=choice))[0] for choice in (True, False))
    assert fine.crop.size > coarse.crop.size == model.predictor.size
    assert fine.stages[0].shape[0] == fine.crop.size
    assert np.allclose(np.linalg.norm(fine.normals, axis=-1)[fine.mask], 1, atol=1e-4)


def test_a_leaning_face_is_turned_upright_and_its_normals_back(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    photo = np.ascontiguousarray(data.astronaut()[:400, 60:460])
    centre = (166, 128)
    turn = cv2.getRotationMatrix2D(centre, -30, 1.0)  # clockwise as seen
    leaning = cv2.warpAffine(photo, turn, (400, 400), borderMode=cv2.BORDER_REPLICATE)
    upright, leant = model.estimate(photo)[0], model.estimate(leaning)[0]
    assert leant.pose.roll - upright.pose.roll == pytest.approx(30, abs=6)
    assert leant.crop.roll - upright.crop.roll == pytest.approx(30, abs=6)
    both = cv2.warpAffine(upright.mask.astype(np.uint8), turn, (400, 400)) > 0
    assert (both & leant.mask).sum() > 0.8 * (both | leant.mask).sum()


def test_every_command_is_where_the_table_says() -> None:
    for command in COMMANDS.values():
        for reference in (command.run, command.options, command.kinds, command.lists):
            assert reference is None or resolved(reference) is not None
