# SPDX-License-Identifier: Apache-2.0
"""What the commands refuse: before any work, in one line, with nothing made, replaced or removed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from skimage import data

from lineament.cli import main
from lineament.errors import InputError, NotAnImageError, OutputError, UsageError, WeightsError
from lineament.pipeline.estimator import _predictor

USAGE, OUTPUT, UNREADABLE, WEIGHTS = (error.exit_code for error in (UsageError, OutputError, InputError, WeightsError))


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def state(folder: Path) -> dict[str, str]:
    """All files below a folder by their content."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    "words",
    [
        *(
            f"{command} --min-score {score}"
            for command in ("estimate", "faces", "check")
            for score in ("5", "nan", "-1")
        ),
        *(f"faces --smallest {size}" for size in ("-5", "0", "nan", "inf")),
        *(f"estimate --stages {stages}" for stages in ("9", "-1")),
        *(f"estimate --face-box {box}" for box in ("nan,0,90,90", "inf,0,90,90", "0,0,-9,9", "0,0,3,3", "1,2,3", "a")),
        "estimate --exemplar-axes foo",
    ],
)
def test_options_are_refused_once_and_before_any_work(
    words: str, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(portrait, portrait.with_name("other.png"))
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    command, *options = words.split()
    assert main([command, str(portrait.parent), *options]) == USAGE
    said = one_line(capsys)
    assert "finite" in said if "--face-box nan" in words or "--face-box inf" in words else True
    assert sorted(os.listdir()) == before


def test_an_output_that_is_a_file_is_refused_once(portrait: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "me.png").write_text("mine")
    for place in ("me.png", "me.png/in"):
        assert main(["estimate", str(portrait), "-o", str(tmp_path / place)]) == OUTPUT
        assert "is in the way and no folder" in one_line(capsys)
    assert (tmp_path / "me.png").read_text() == "mine"


@pytest.mark.parametrize(
    "words",
    [
        ["estimate", ""],
        ["estimate", "a.png", "-o", ""],
        ["estimate", "a.png", "--output="],
        ["faces", "", "a.png"],
        ["check", ""],
        ["synth", "-o", ""],
        ["train", "casfne", "--output", ""],
        ["export", ""],
        ["rig", "build", ""],
    ],
)
def test_empty_words_are_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == USAGE
    assert "is empty; is a variable of the shell unset?" in one_line(capsys)
    assert os.listdir() == []


def test_codes_of_files_that_cannot_be_read_agree(
    tmp_path: Path, portrait: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("text")
    cases = {"missing.png": UNREADABLE, "empty.png": NotAnImageError.exit_code, "text.png": NotAnImageError.exit_code}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        cases["pipe.png"] = UNREADABLE
    for name, code in cases.items():
        assert main(["check", str(tmp_path / name)]) == code, name
    real, listed = Path.iterdir, portrait.parent

    def locked(path: Path):  # as a folder without rights is for everybody but root
        if path == listed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", locked)
    monkeypatch.setattr(os, "access", lambda path, mode, **options: Path(path) != listed)
    capsys.readouterr()
    assert main(["check", str(listed), str(portrait)]) == UNREADABLE
    found = capsys.readouterr()
    assert "is a folder that cannot be read" in found.err
    assert "1 face" in found.out


def test_an_output_folder_that_cannot_be_read_is_an_output(
    portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, real = tmp_path / "out", os.path.lexists
    out.mkdir()

    def locked(path: object) -> bool:
        if str(path).startswith(str(out) + os.sep):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os.path, "lexists", locked)
    assert main(["estimate", str(portrait), "-o", str(out)]) == OUTPUT
    assert "cannot write" in one_line(capsys)


def test_skipping_sees_other_graphs_and_truncated_files(
    portrait: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in tiny_weights.parent.glob("tiny.*"):
        shutil.copy(file, tmp_path)
    out, weights = tmp_path / "out", tmp_path / "tiny.safetensors"
    words = ["estimate", str(portrait), "-o", str(out), "--method", str(weights), "--stages", "0", "--skip-existing"]
    words += ["--whole", "--no-second-view", "--no-fine-crop"]
    assert main(words) == 0, capsys.readouterr().err

    def skipped() -> bool:
        capsys.readouterr()
        assert main(words) == 0
        return "skipped" in capsys.readouterr().err

    assert skipped()
    os.truncate(out / "astronaut" / "normals.png", 0)
    assert not skipped()
    assert skipped()
    path = tmp_path / "tiny.initial.onnx"
    graph = onnx.load(path, load_external_data=False)
    graph.doc_string = "another"
    path.write_bytes(graph.SerializeToString())
    _predictor.cache_clear()  # weights are loaded once per process
    assert not skipped()


def test_one_file_by_several_paths_is_one_photo(
    portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(portrait.parent)
    os.symlink(portrait, tmp_path / "link.png")
    assert main(["check", portrait.name, str(portrait), f"../photos/{portrait.name}", "../link.png"]) == 0
    assert capsys.readouterr().out.count("1 face") == 1


TRAIN = [
    *("--size", "64", "--batch-size", "2", "--steps", "1", "--stages", "0", "--losses", "rec", "--threads", "1"),
    *("--validate-every", "1", "--validation-batches", "1", "--precision", "fp32", "--warmup", "1"),
]


def test_a_training_does_not_write_where_it_reads(
    faces: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    shutil.copytree(faces, own / "faces")
    for name in ("casfne-s", "hffne-coarse", "albedo"):
        shutil.copy(tiny_weights, own / f"{name}.safetensors")
    shutil.copytree(faces / "image", own / "photos")
    before = state(own)
    output = ["--output", str(own)]
    for words in (
        ["casfne", "--init", f"{own}/casfne-s.safetensors"],
        ["casfne", "--init", f"{own}/../own/casfne-s.safetensors"],
        ["casfne", "--start", f"{own}/casfne-s.safetensors"],
        ["casfne", "--data", f"{own}/faces"],
        ["hffne", "--coarse", f"{own}/hffne-coarse.safetensors"],
        ["hffne", "--features", f"{own}/albedo.safetensors"],
        ["hffne", "--photos", f"{own}/photos"],
        ["hffne", "--photos", f"{own}/photos/*.png"],
        ["df2net", "--photos", f"{own}/photos", "--albedo", f"{own}/albedo.safetensors"],
        ["albedo", "--init", f"{own}/albedo.safetensors"],
        ["parser", "--data", f"{own}/faces", "--init", f"{own}/albedo.safetensors"],
    ):
        assert main(["train", *words, *output]) == USAGE, words
        assert "is read; name another output" in one_line(capsys)
    for inside in (own / "faces", own / "faces" / "run"):
        assert main(["train", "casfne", "--data", f"{own}/faces", "--output", str(inside)]) == USAGE
        assert "is read; name another output" in one_line(capsys)
    assert state(own) == before


@pytest.mark.parametrize(
    "words",
    [
        "casfne --init",
        "hffne --init",
        "hffne --coarse",
        "hffne --coarse-init",
        "hffne --features",
        "df2net --photos {photo} --init",
        "df2net --photos {photo} --albedo",
        "albedo --init",
        "parser --data {faces} --init",
    ],
)
def test_weights_to_start_from_are_looked_at_first(
    words: str, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = faces / "image" / "00000000.png"
    run = tmp_path / "run"
    given = words.format(photo=photo, faces=faces).split()
    assert main(["train", *given, str(photo), "--output", str(run)]) == WEIGHTS
    said = one_line(capsys)
    assert "00000000.png" in said
    assert "weights_only" not in said
    assert not run.exists()


def test_others_files_are_never_replaced(
    faces: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, name in (("a", "image/00000000.png"), ("b", "sheet.png"), ("c", "samples.jsonl"), ("d", "depth/x.txt")):
        (tmp_path / place / name).parent.mkdir(parents=True)
        (tmp_path / place / name).write_text("mine")
        before = state(tmp_path)
        assert main(["synth", "-o", str(tmp_path / place), "-n", "1", "--size", "32"]) == OUTPUT
        assert "no dataset of ours" in one_line(capsys)
        assert state(tmp_path) == before
    for place, name in (("e", "config.json"), ("f", "casfne-s.safetensors"), ("g", "log.jsonl"), ("h", "sheet-1.png")):
        (tmp_path / place).mkdir()
        (tmp_path / place / name).write_text("{}")
        before = state(tmp_path)
        command = ["train", "casfne", "--data", str(faces), "--output", str(tmp_path / place), *TRAIN]
        assert main(command) in (OUTPUT, 12)
        assert name in one_line(capsys)
        assert state(tmp_path) == before
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "results.json").write_text('{"grades": [1, 2]}')
    before = state(tmp_path)
    assert main(["ablate", "casfne", "--folder", str(tmp_path / "i"), "--budget", "0.1"]) == 12
    assert "none of ours" in one_line(capsys)
    assert state(tmp_path) == before


def test_export_replaces_graphs_alone(tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "tiny.safetensors"
    shutil.copy(tiny_weights, weights)
    (tmp_path / "tiny.initial.onnx").write_text("mine")
    assert main(["export", str(weights)]) == OUTPUT
    assert "is no graph of ours" in one_line(capsys)
    assert (tmp_path / "tiny.initial.onnx").read_text() == "mine"
    assert not (tmp_path / "tiny.refine.onnx").exists()
    (tmp_path / "tiny.initial.onnx").unlink()
    assert main(["export", str(weights)]) == 0
    assert main(["export", str(weights)]) == 0


def test_rigs_are_built_from_bounded_files_and_replace_rigs_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rig.safetensors"
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", vertices=np.array([{}], object), faces=1)
    with (tmp_path / "declared.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)})
    import zipfile

    names = ("vertices", "faces", "face_material", "materials", "identity", "expression", "expression_names")
    with zipfile.ZipFile(tmp_path / "declared.npz", "w") as archive:
        for name in (*names, "landmarks68"):
            archive.write(tmp_path / "declared.npy", f"{name}.npy")
    Image.fromarray(data.astronaut()).save(tmp_path / "me.jpg")
    for name in ("objects.npy", "objects.npz", "declared.npy", "declared.npz", "me.jpg"):
        assert main(["rig", "build", str(tmp_path / name), "-o", str(out)]) in (3, 6), name
        said = one_line(capsys)
        assert name in said
        assert "pickle" not in said
        assert not out.exists()
    out.write_text("mine")
    assert main(["rig", "build", str(tmp_path / "me.jpg"), "-o", str(out)]) == OUTPUT
    assert "is no rig of ours" in one_line(capsys)
    assert out.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs modes")
def test_weights_have_the_mode_of_all_other_files(faces: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert main(["train", "albedo", "--data", str(faces), "--output", str(run), *ALBEDO]) == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.glob("*.*") if path.is_file()}
    plain = tmp_path / "plain"
    plain.touch()
    assert {"checkpoint.safetensors", "config.json"} <= set(modes)
    assert {mode for name, mode in modes.items() if name != ".lock"} == {stat.S_IMODE(plain.stat().st_mode)}
    assert json.loads((run / "config.json").read_text())["steps"] == 1


ALBEDO = [
    *("--size", "64", "--batch-size", "2", "--steps", "1", "--width", "4", "--threads", "1", "--levels", "4"),
    *("--validate-every", "1", "--validation-batches", "1", "--precision", "fp32", "--warmup", "1"),
]
