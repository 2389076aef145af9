# SPDX-License-Identifier: Apache-2.0
"""What Python programmes may get wrong: an error of ours that says what, whatever they pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from lineament.errors import InputError, LineamentError, OutputError, UsageError, WeightsError
from lineament.face import Face
from lineament.images.read import find_images, read_image
from lineament.pipeline.estimator import Estimator, load
from lineament.pipeline.options import Options
from lineament.result.geometry import FaceGeometry

WHOLE: Any = "whole"


@pytest.fixture(scope="module")
def tiny(tiny_weights: Path) -> Estimator:
    return load(str(tiny_weights), options=Options(stages=0, second_view=False, fine_crop=False))


@pytest.fixture(scope="module")
def face(tiny: Estimator) -> FaceGeometry:
    return tiny.estimate(data.astronaut()[50:200, 150:300], WHOLE)[0]


@pytest.mark.parametrize("faces", [5, 1.5, True, b"x", object(), [5], [None], [(1, 2, 3)], ["abcd"], (1, 2, 3, 4)])
def test_faces_that_are_none(tiny: Estimator, faces: Any) -> None:
    with pytest.raises(UsageError, match="box"):
        tiny.estimate(data.astronaut(), faces)


@pytest.mark.parametrize(
    "found",
    [
        *(5, None, "faces", [5], [None], [(0, 0, 90, 90)], {"box": 1}, np.zeros((1, 4))),
        [Face((0.0, 0.0, 90.0, 90.0), float("nan"))],
        [Face((0.0, 0.0, 90.0, 90.0), "high")],  # type: ignore[arg-type]
        [Face((0.0, 0.0, 90.0, 90.0), 1.0, parsing=5)],  # type: ignore[arg-type]
        [Face(5, 1.0)],  # type: ignore[arg-type]
        [Face((0.0, float("nan"), 90.0, 90.0), 1.0)],
    ],
)
def test_detectors_that_give_nonsense(tiny: Estimator, found: Any) -> None:
    with pytest.raises(UsageError, match=r"a detector gives a list|face's box"):
        tiny.estimate(data.astronaut(), lambda image: found)


@pytest.mark.parametrize(
    "options",
    [
        *({"stages": value} for value in (1.5, "1", True, -1, 101, float("nan"), (1,))),
        *({flag: value} for flag in ("second_view", "fine_crop") for value in ("no", 1, 0, None, np.ones(2))),
    ],
)
def test_options_of_wrong_types(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(options))):
        Options(**options)


def test_options_that_are_none_and_stages_that_a_method_has_not(tiny: Estimator, tiny_weights: Path) -> None:
    assert Options(stages=np.int64(2)).stages == 2  # type: ignore[arg-type]
    for wrong in ({"stages": 1}, 5, "fast"):
        with pytest.raises(UsageError, match="options must be"):
            tiny.estimate(data.astronaut(), WHOLE, options=wrong)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="must be 0 to 5, not 9"):
        tiny.estimate("not-there.png", options=Options(stages=9))
    with pytest.raises(UsageError, match="must be 0 to 5, not 9"):
        load(str(tiny_weights), options=Options(stages=9))
    with pytest.raises(UsageError, match="an exemplar is an array"):
        tiny.estimate(data.astronaut(), WHOLE, 5)  # type: ignore[call-overload]


def test_what_cannot_be_loaded(tiny_weights: Path) -> None:
    for name in (None, 5, b"x", [], {}, 1.5, object()):
        with pytest.raises(UsageError, match="by their name or by a file's path"):
            load(name)  # type: ignore[arg-type]
    for text in ("", "nobody", "not-there.safetensors", "a\0b.safetensors", "x" * 300 + ".safetensors"):
        with pytest.raises(WeightsError):
            load(text)
    for threads in ("2", -1, 1.5, float("nan"), None):
        with pytest.raises(UsageError, match="threads"):
            load(str(tiny_weights), threads)  # type: ignore[arg-type]
    assert load(tiny_weights).predictor.weights == tiny_weights


def test_what_cannot_be_saved(face: FaceGeometry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in (None, 5, b"x", [], ""):
        with pytest.raises(UsageError, match="folder's path is needed"):
            face.save(directory)  # type: ignore[arg-type]
    for name in ("a\0b", "x" * 300):
        with pytest.raises(OutputError, match="cannot write"):
            face.save(name)
    for words in (
        {"photo": 5},
        {"convention": "x"},
        {"convention": None},
        {"convention": ["opengl"]},
        {"outputs": ("nope",)},
        {"outputs": "depth"},
        {"outputs": 5},
        {"outputs": (5,)},
        {"mesh_formats": ("fbx",)},
        {"mesh_formats": "glb"},
        {"mesh_formats": None},
    ):
        with pytest.raises(UsageError, match=next(iter(words))):
            face.save("out", **words)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    face.save("out", outputs=["normals"])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_photos_that_are_none(tiny: Estimator) -> None:
    with pytest.raises(UsageError, match="empty"):
        find_images([""])
    for photo in ("", ".", "a\0b", "x" * 300):
        with pytest.raises(InputError):
            read_image(photo)
    for given in (None, 5, b"x", object(), {}):
        with pytest.raises(LineamentError):
            tiny.estimate(given)  # type: ignore[call-overload]
