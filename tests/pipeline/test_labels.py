# SPDX-License-Identifier: Apache-2.0
"""Photos labelled by a method: a dataset like the generator's, whole, resumable, and read by trainings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import lineament
from lineament.annotations.parsing import FACE_CLASSES
from lineament.cli import main
from lineament.datasets.labelled_folder import DEPTH_STEPS, DEPTH_ZERO, labelled_samples, read_picture
from lineament.errors import DataError, InputError, OutputError, UsageError
from lineament.files.locking import folder_lock
from lineament.geometry import depth_to_normals
from lineament.geometry.angular import angular_error
from lineament.methods.df2net.config import DF2NetTrainConfig
from lineament.methods.df2net.recipe import DF2NetRecipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait, its mirror image in the middle of a wide picture, a picture without a face, and a damaged file."""
    folder = tmp_path_factory.mktemp("photos")
    portrait = data.astronaut()
    Image.fromarray(portrait).save(folder / "a.png")
    Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(folder / "b.png")
    (folder / "c.png").write_bytes(b"no picture")
    Image.fromarray(np.pad(portrait[:, ::-1], ((0, 0), (200, 200), (0, 0)))).save(folder / "d.png")
    return folder


@pytest.fixture(scope="module")
def labelled(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "faces"
    assert main(["label", str(photos), "-o", str(folder), "--size", "96"]) == 0
    return folder


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_the_manifest_names_guide_size_and_photos(labelled: Path, photos: Path) -> None:
    manifest = json.loads((labelled / "manifest.json").read_text())
    assert manifest["guide"] == {
        "method": "casfne",
        "weights": "casfne-s",
        "sha256": lineament.load("casfne-s").predictor.sha256,
    }
    assert manifest["size"] == 96
    assert [photo["name"] for photo in manifest["photos"]] == ["a.png", "b.png", "c.png", "d.png"]
    assert len({photo["sha256"] for photo in manifest["photos"]}) == 4
    assert str(photos) not in (labelled / "manifest.json").read_text()


def test_photos_without_a_face_are_listed(labelled: Path, photos: Path) -> None:
    assert [line["index"] for line in lines_of(labelled / "samples.jsonl")] == [0, 3]
    skipped = lines_of(labelled / "skipped.jsonl")
    assert [(line["index"], line["photo"]) for line in skipped] == [(1, "b.png"), (2, "c.png")]
    assert skipped[0]["reason"] == "no face found"
    assert "not a picture" in str(skipped[1]["reason"])
    assert str(photos) not in str(skipped)


def test_labels_are_what_the_method_says_in_the_crop(labelled: Path, photos: Path) -> None:
    (sample, _) = labelled_samples(
        (labelled,), "train", ("landmarks", "visible"), ("image", "normals", "depth", "mask")
    )
    files = sample["files"]
    image, normals, depth, mask = (read_picture(files[name]) for name in ("image", "normals", "depth", "mask"))
    assert image.shape == (96, 96, 3)
    assert depth.dtype == normals.dtype == np.uint16
    face = np.isin(mask, FACE_CLASSES)
    assert 0.2 < face.mean() < 0.8
    assert ((depth > 0) == face).all()
    assert (normals[~face] == 0).all()
    vectors = 2.0 * normals / 65535 - 1.0
    assert np.linalg.norm(vectors, axis=-1)[face] == pytest.approx(1.0, abs=1e-3)

    (found,) = lineament.load().estimate(photos / "a.png")
    crop = found.crop.at(96)
    assert (image == crop.extract(data.astronaut())).all()
    middle = crop.to_crop(found.landmarks[30])
    assert sample["landmarks"][30] == pytest.approx(middle.tolist())
    x, y = middle.astype(int)
    photo_x, photo_y = crop.to_photo(np.array([x + 0.5, y + 0.5])).astype(int)
    seen = found.crop.normals_to_crop(found.normals[None, None, photo_y, photo_x])[0, 0]
    assert angular_error(vectors[None, None, y, x], seen[None, None]).max() < 4.0

    heights = np.where(face, (depth.astype(float) - DEPTH_ZERO) / DEPTH_STEPS, 0.0)  # pixels of the crop
    assert heights[45:60, 44:52].max() > heights[face].mean() + 4.0  # the nose is nearest
    again = depth_to_normals(heights.astype(np.float32), face)
    both = face & (again != 0).any(-1)
    assert angular_error(again[both].astype(np.float32), vectors[both].astype(np.float32)).mean() < 8.0


def test_a_stopped_labelling_goes_on(labelled: Path, photos: Path, tmp_path: Path) -> None:
    whole = content(labelled)
    folder = tmp_path / "faces"
    shutil.copytree(labelled, folder)
    words = ["label", str(photos), "-o", str(folder), "--size", "96"]
    samples = (folder / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "samples.jsonl").write_bytes(samples[0] + samples[1][:30])  # cut off, as by a kill
    (folder / "depth" / "00000003.png").write_bytes(b"half")
    assert main(words) == 0
    assert content(folder) == whole
    assert main([*words[:-1], "64"]) == UsageError.exit_code
    assert main([*words, "--method", "hffne"]) == UsageError.exit_code
    assert main(["label", str(photos / "a.png"), *words[2:]]) == UsageError.exit_code
    assert content(folder) == whole
    with folder_lock(folder):
        assert main(words) == OutputError.exit_code
    (folder / "samples.jsonl").write_bytes(samples[1])
    assert main(words) == DataError.exit_code
    (folder / "manifest.json").write_bytes(b"{")
    assert main(words) == DataError.exit_code


def test_photos_of_nobody_and_no_photos_are_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label", str(photos / "b.png"), "-o", str(tmp_path / "nobody")]) == DataError.exit_code
    assert "no face was found in any of 1 photos" in capsys.readouterr().err
    assert main(["label", str(tmp_path / "none.png"), "-o", str(tmp_path / "none")]) == InputError.exit_code
    assert not (tmp_path / "none").exists()


def test_trainings_read_labelled_photos(labelled: Path, faces: Path, tmp_path: Path) -> None:
    config = DF2NetTrainConfig(
        tmp_path, data=(faces,), photos=(labelled,), size=128, batch_size=4, render_share=0.5, threads=1
    )
    config.check_places()
    own = config.of("fine")
    batch = next(DF2NetRecipe(own, "fine").batches("train", 0, CPU))
    assert batch.known.flatten().tolist() == [True, True, False, False]
    depth, face = batch["depth"], batch["face"]
    assert (depth[~face] == 0).all()
    assert depth[2:].amax((1, 2, 3)).min() > 0.04  # shares of the side
    assert (depth.sum((1, 2, 3)) / face.sum((1, 2, 3))).abs().max() < 1e-3
