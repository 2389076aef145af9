# SPDX-License-Identifier: Apache-2.0
"""Published sets as training data: the benchmark's crop, the training people, their true normals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineament.cli import main
from lineament.datasets.labelled_folder import decoded_normals, read_picture
from lineament.datasets.photoface import Photoface
from lineament.errors import UsageError
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.training_crops import write_crops
from lineament.geometry import angular_error
from tests.datasets.files import florence, photoface_prepared, picture, sphere_map


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_crops_are_the_benchmarks_and_normals_the_truth(tmp_path: Path) -> None:
    root = photoface_prepared(tmp_path / "photoface", people=5)
    # Each photo of its own: which one became which crop can be told.
    for number, path in enumerate(sorted(root.rglob("im0.png"))):
        picture(path, np.random.default_rng(number).random((48, 48, 3)))
    written = write_crops("photoface", root, tmp_path / "crops", size=96, padding=0.25)
    training = Photoface(root, "train")
    assert written.samples == len(training)
    assert written.people == 4  # of five, one is the test's
    assert written.skipped == ()
    by_name = {item.name: item for item in training.items}
    _, truth, inside = sphere_map()
    framing = Framing(0.25)
    for line in lines_of(tmp_path / "crops" / "samples.jsonl"):
        sample = training.read(by_name[str(line["photo"])])
        files = line["files"]
        assert isinstance(files, dict)
        shown = read_picture(tmp_path / "crops" / files["image"])
        assert np.array_equal(shown, framing.apply(sample.image, 96))
        normals = decoded_normals(read_picture(tmp_path / "crops" / files["normals"]))
        back = framing.undo(normals, 48, 48)
        core = inside & (np.hypot(*np.meshgrid(np.arange(48) - 23.5, np.arange(48) - 23.5)) < 15)
        assert angular_error(back[core], truth[core].astype(np.float32)).mean() < 1.5
        mask = read_picture(tmp_path / "crops" / files["mask"])
        assert ((mask > 0) == (normals != 0).any(-1)).all()
        assert mask[:8].sum() == 0  # beside the photo


def test_damaged_photos_are_listed_and_a_run_goes_on(tmp_path: Path) -> None:
    root = photoface_prepared(tmp_path / "photoface", people=5)
    damaged = Photoface(root, "train").items[1].files
    next(iter(damaged.values())).write_bytes(b"no picture")
    out = tmp_path / "crops"
    written = write_crops("photoface", root, out, size=64)
    assert len(written.skipped) >= 1
    before = (out / "samples.jsonl").read_bytes()
    lines = before.splitlines(keepends=True)
    (out / "samples.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:10])  # killed while it wrote
    assert write_crops("photoface", root, out, size=64) == written
    assert (out / "samples.jsonl").read_bytes() == before
    with pytest.raises(UsageError, match="another configuration"):
        write_crops("photoface", root, out, size=96)


@pytest.mark.parametrize(("name", "make"), [("photoface", photoface_prepared), ("florence", florence)])
def test_a_training_learns_from_a_published_set(name: str, make: object, tmp_path: Path) -> None:
    assert callable(make)
    root, crops = make(tmp_path / "set"), tmp_path / "crops"
    assert main(["crops", name, "--root", str(root), "-o", str(crops), "--size", "64"]) == 0
    people = {line["person"] for line in lines_of(crops / "samples.jsonl")}
    if len(people) < 2:
        pytest.skip("one training person is no training and validation")
    words = [
        "train",
        "casfne",
        "--output",
        str(tmp_path / "run"),
        "--data",
        str(crops),
        "--no-augment",
        "--stages",
        "0",
    ]
    small = ["--size", "64", "--batch-size", "2", "--steps", "30", "--warmup", "2", "--learning-rate", "2e-3"]
    rest = ["--validate-every", "30", "--validation-batches", "1", "--precision", "fp32", "--threads", "1"]
    assert main([*words, *small, *rest]) == 0
    losses = [line["rec"] for line in lines_of(tmp_path / "run" / "log.jsonl") if "rec" in line]
    assert sum(map(float, losses[-5:])) < 0.8 * sum(map(float, losses[:5]))


def test_what_is_no_set_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "set"
    root.mkdir()
    Image.new("RGB", (8, 8)).save(root / "a.png")
    assert main(["crops", "photoface", "--root", str(root), "-o", str(tmp_path / "out")]) == 12
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["crops", "imagenet", "--root", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "photoface or florence or ict3drfe" in capsys.readouterr().err
