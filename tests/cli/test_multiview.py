# SPDX-License-Identifier: Apache-2.0
"""`lineament multiview`, and the same in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import UsageError
from lineament.inference.multiview import FitOptions, MultiviewFit
from lineament.pipeline.multiview import fitted, largest_face


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """One photo, and its mirror image."""
    whole = data.astronaut()[:256, 90:346]
    paths = [tmp_path / "photos" / name for name in ("a.png", "b.png")]
    paths[0].parent.mkdir()
    for path, picture in zip(paths, (whole, whole[:, ::-1]), strict=True):
        Image.fromarray(picture).save(path)
    return [str(path) for path in paths]


def test_two_photos_make_a_head(
    photos: list[str], hrn_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["multiview", *photos, "-o", str(out), "--method", str(hrn_weights), "--steps", "2"]
    assert main([*words, "--mesh-formats", "glb,ply"]) == 0
    assert "one head of 2 photos, 2 steps" in capsys.readouterr().err
    said = json.loads((out / "person.json").read_text())
    assert [view["photo"] for view in said["views"]] == ["a.png", "b.png"]
    head = trimesh.load(out / "mesh.ply", process=False)
    assert len(head.vertices) == said["mesh"]["vertices"]
    assert trimesh.load(out / "mesh.glb").geometry
    for name in ("report.png", "uv/texture.png", "uv/displacement.exr", "views/a/mesh.glb", "views/b/face.json"):
        assert (out / name).is_file(), name
    identities = [
        json.loads((out / "views" / name / "coefficients.json").read_text())["identity"] for name in ("a", "b")
    ]
    assert identities[0] == identities[1]
    assert main(words) == 0  # an earlier result is replaced
    assert not (out / "mesh.ply").exists()


def test_what_makes_no_head_is_said_in_one_line(
    photos: list[str], tiny_weights: Path, hrn_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out")]
    for words, line in (
        ([photos[0], "--method", str(hrn_weights)], "two photos of a person or more"),
        ([*photos, "--method", str(tiny_weights)], "only hrn does"),
        ([*photos, "--steps", "-1"], "steps"),
    ):
        assert main(["multiview", *words, *out]) not in (0, 1)
        said = capsys.readouterr().err
        assert line in said
        assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "photos" / "none.png")
    words = [*photos, str(tmp_path / "photos" / "none.png"), "--method", str(hrn_weights), *out]
    assert main(["multiview", *words]) not in (0, 1)
    assert "none.png: no face found" in capsys.readouterr().err
    with pytest.raises(UsageError, match="in a list"):
        lineament.multiview(photos[0])
    with pytest.raises(UsageError, match="not to 1"):
        lineament.multiview(photos[:1])


def test_a_photo_that_spoils_the_fit_is_named_and_left_out(photos: list[str], hrn_weights: Path) -> None:
    estimator = lineament.load(str(hrn_weights), options=lineament.Options(second_view=False))
    faces = [largest_face(estimator, photo) for photo in (*photos, photos[0])]
    asked: list[int] = []

    def fit(seen, options, told):  # type: ignore[no-untyped-def]
        asked.append(len(seen))
        residuals = np.array([0.5, 0.6, 4.0])[: len(seen)]
        return MultiviewFit(tuple(face.said for face in seen), residuals, 0)

    plain = fitted(["a", "b", "c"], faces, fit, FitOptions(steps=0))
    assert len(plain.views) == 3
    assert "c does not fit the others" in plain.warnings
    robust = fitted(["a", "b", "c"], faces, fit, FitOptions(steps=0), robust=True)
    assert [view.name for view in robust.views] == ["a", "b"]
    assert "c does not fit the others and is left out" in robust.warnings
    assert asked == [3, 3, 2]
