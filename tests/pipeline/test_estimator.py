# SPDX-License-Identifier: Apache-2.0
"""Several photos, many faces one by one, given boxes that stand in any way, animations, and faces that are none."""

from __future__ import annotations

import json
import weakref
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

import lineament
from lineament.alignment.crop import crop_of_whole
from lineament.cli import main
from lineament.errors import InputError, NoFaceError, UsageError
from lineament.face import detect_faces
from lineament.face.parse import parse_crop
from lineament.face.quality import measure
from lineament.geometry import angular_error
from lineament.inference.predictor import Prediction
from lineament.result.geometry import CombinedMap, combined_map

BOX = (174.0, 72.0, 96.0, 96.0)
ONE_VIEW = lineament.Options(second_view=False)
PLAIN = lineament.Options(second_view=False, fine_crop=False)


def pair() -> NDArray[np.uint8]:
    """Two faces beside each other."""
    photo = data.astronaut()[20:230, 130:320]
    return np.concatenate([photo, photo[:, ::-1]], axis=1)


def plain_json(path: Path) -> dict[str, object]:
    """A JSON file without NaN or Infinity, which are none."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path} holds {word}")

    read: dict[str, object] = json.loads(path.read_text(), parse_constant=refuse)
    return read


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_face_in_a_given_box_may_stand_in_any_way(turns: int) -> None:
    model = lineament.load()
    upright = model.estimate(data.astronaut(), faces=[BOX], options=PLAIN)[0]
    box, size = BOX, 512
    for _ in range(turns):  # counter-clockwise, as rot90 does
        x, y, w, h = box
        box = (y, size - x - w, h, w)
    photo = np.ascontiguousarray(np.rot90(data.astronaut(), turns))
    face = model.estimate(photo, faces=[box], options=PLAIN)[0]
    back = np.rot90(face.normals, -turns)
    cosine, sine = np.cos(np.pi / 2 * turns), np.sin(np.pi / 2 * turns)
    x, y, z = np.moveaxis(back, -1, 0)
    back = np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)
    both = upright.mask & np.rot90(face.mask, -turns)
    assert both.sum() > 0.98 * upright.mask.sum()
    assert angular_error(back[both], upright.normals[both]).mean() < 1.0
    assert any("turn the photo upright" in warning for warning in face.check.warnings)
    assert not any("turn the photo upright" in warning for warning in upright.check.warnings)


def test_boxes_of_no_face_are_doubted_and_senseless_ones_refused(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    away = model.estimate(data.astronaut(), faces=[(20, 350, 90, 90)], options=ONE_VIEW)[0]
    assert any("hardly reads as a face" in warning for warning in away.check.warnings)
    valid = model.estimate(data.astronaut(), faces=[BOX], options=ONE_VIEW)[0]
    assert not any("hardly" in warning for warning in valid.check.warnings)
    with pytest.raises(UsageError, match="far larger"):
        model.estimate(data.astronaut(), faces=[(-1e9, -1e9, 2e9, 2e9)])


def test_a_face_that_is_less_than_a_pixel_of_its_crop_is_saved_as_valid_json(
    tiny_weights: Path, tmp_path: Path
) -> None:
    model = lineament.load(str(tiny_weights))
    face = model.estimate(data.astronaut(), faces=[(-1000, -1000, 3000, 3000)], options=ONE_VIEW)[0]
    plain_json(face.save(tmp_path / "out") / "face.json")
    mask = np.zeros_like(face.region.mask)
    mask[200, 200] = True
    for lost in (mask, np.zeros_like(mask)):
        face = replace(face, region=replace(face.region, mask=lost, crop_share=np.zeros_like(face.region.crop_share)))
        assert not face.region.in_crop.any()
        said = plain_json(face.save(tmp_path / "out") / "face.json")["uncertainty"]
        assert isinstance(said, dict)
        assert said["mean"] is None
    with pytest.raises(InputError, match="no face in the crop"):
        _ = face.depth


def test_an_even_picture_has_finite_measures() -> None:
    for level in (0, 128, 255):
        picture = np.full((64, 64, 3), level, np.uint8)
        measures = measure(picture, parse_crop(picture, crop_of_whole(64, 64)))
        assert np.isfinite(list(asdict(measures).values())).all()


def test_faces_are_estimated_when_they_are_asked_for(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    together = model.estimate(pair(), options=ONE_VIEW)
    one_by_one = model.iter_estimate(pair(), options=ONE_VIEW)
    assert one_by_one.count == len(together) == 2
    first = next(one_by_one)
    assert np.array_equal(first.normals, together[0].normals)
    gone = weakref.ref(first)
    del first
    assert gone() is None  # neither the photo's other faces nor what makes them holds it
    assert np.array_equal(next(one_by_one).normals, together[1].normals)
    with pytest.raises(StopIteration):
        next(one_by_one)


def test_faces_of_a_photo_run_together_and_come_out_as_one_by_one(
    tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lineament.load(str(tiny_weights), options=lineament.Options(fine_crop=False))
    photo = np.concatenate([pair(), pair()[::-1, ::-1], pair()], axis=1)
    boxes = [(44.0 + 190.0 * number, 52.0, 96.0, 96.0) for number in range(6)]
    alone = [model.estimate(photo, [box])[0] for box in boxes]
    views, run = [], model.predictor.run

    def counted(crops: NDArray[np.uint8], *others: object) -> Prediction:
        views.append(len(crops))
        return run(crops, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(model.predictor, "run", counted)
    together = model.iter_estimate(photo, boxes)
    assert views == []  # nothing is estimated before it is asked for
    for one, other in zip(together, alone, strict=True):
        assert one.box == other.box
        assert np.allclose(one.crop_estimate.normals[-1], other.crop_estimate.normals[-1], atol=1e-5)
        assert np.allclose(one.crop_uncertainty, other.crop_uncertainty, atol=1e-3)
        assert np.array_equal(one.mask, other.mask)
    assert views == [8, 4]


def test_large_faces_run_together_in_smaller_numbers(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lineament.load(str(tiny_weights))
    pixels, run = [], model.predictor.run
    boxes = [(174.0, 72.0, 96.0, 96.0), (20.0, 350.0, 20.0, 20.0), (170.0, 70.0, 100.0, 100.0)]

    def counted(crops: NDArray[np.uint8], *others: object) -> Prediction:
        pixels.append(crops[..., 0].size)
        return run(crops, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(model.predictor, "run", counted)
    large, small, other = model.estimate(data.astronaut(), boxes)
    size = model.predictor.size
    assert large.crop.size == other.crop.size == 96 > small.crop.size == size
    assert [face.about["fine_crop"] for face in (large, small, other)] == [True, False, True]
    assert pixels == [6 * size**2, 2 * 96**2]
    assert max(pixels) <= 8 * size**2


def test_the_mask_of_the_crop_is_that_of_the_photo(tiny_weights: Path) -> None:
    turned = np.ascontiguousarray(np.rot90(data.astronaut()))
    for photo, faces in ((data.astronaut(), None), (turned, [(72.0, 242.0, 96.0, 96.0)])):
        face = lineament.load(str(tiny_weights)).estimate(photo, faces)[0]
        again = face.crop.extract(face.mask * np.uint8(255)) > 127
        both = (face.region.in_crop & again).sum() / (face.region.in_crop | again).sum()
        assert both > 0.97


def test_options_are_the_estimators_unless_a_call_brings_its_own(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights), options=lineament.Options(stages=0, second_view=False))
    (face,) = model.estimate(data.astronaut(), [BOX])
    assert len(face.stages) == 1
    assert face.about["second_view"] is False
    (other,) = model.estimate(data.astronaut(), [BOX], options=lineament.Options(stages=1))
    assert len(other.stages) == 2
    assert other.about["second_view"] is True
    assert len(model.estimate_crop(data.astronaut()[50:200, 150:300]).normals) == 1
    assert lineament.load(str(tiny_weights)).predictor is model.predictor  # weights are loaded once
    with pytest.raises(UsageError, match="number of stages"):
        model.estimate(data.astronaut(), [BOX], options=lineament.Options(stages=9))


def test_a_large_crop_is_seen_finer_too(tiny_weights: Path) -> None:
    model = lineament.load(str(tiny_weights))
    crop = np.ascontiguousarray(data.astronaut()[40:200, 140:300])
    fine = model.estimate_crop(crop).normals[-1]
    assert fine.shape == (160, 160, 3)
    coarse = model.estimate_crop(crop, options=lineament.Options(fine_crop=False)).normals[-1]
    assert np.abs(fine - coarse).max() > 0.01
    small = np.ascontiguousarray(crop[::2, ::2])
    assert np.array_equal(
        model.estimate_crop(small).normals[-1],
        model.estimate_crop(small, options=lineament.Options(fine_crop=False)).normals[-1],
    )


def test_maps_as_large_as_the_photo_are_kept_for_one_face_at_a_time(tiny_weights: Path) -> None:
    left, right = lineament.load(str(tiny_weights)).estimate(pair(), options=ONE_VIEW)
    normals = left.normals
    assert left.normals is normals
    kept = weakref.ref(normals)
    del normals
    assert kept() is not None
    assert right.mask.shape == right.depth.shape == right.albedo.shape[:2] == pair().shape[:2]
    assert kept() is None
    assert left.normals.any()


def test_a_face_holds_its_surroundings_alone(tiny_weights: Path) -> None:
    photo = np.zeros((1500, 2000, 3), np.uint8)
    photo[400:912, 700:1212] = data.astronaut()
    face = lineament.load(str(tiny_weights)).estimate(photo, faces=[(874, 472, 96, 96)], options=ONE_VIEW)[0]
    held = [face.region.mask, face.region.parse, face.crop_image, *face.crop_estimate.normals]
    assert sum(part.nbytes for part in held) < 0.5 * photo[..., 0].size
    assert face.mask.shape == face.parse.shape == (1500, 2000)
    assert face.mask.dtype == bool
    assert not face.mask[:400].any()
    assert not face.mask[:, 1212:].any()
    assert face.mask[500:600, 900:950].any()


def test_where_faces_overlap_the_surer_is_seen_in_any_order(tiny_weights: Path) -> None:
    boxes = [BOX, (200.0, 90.0, 96.0, 96.0)]
    faces = lineament.load(str(tiny_weights)).estimate(data.astronaut(), faces=boxes, options=ONE_VIEW)
    weaker, surer = sorted(faces, key=lambda face: face.confidence)
    assert (weaker.mask & surer.mask).any()
    expected = surer.encoded(onto=weaker.encoded())
    assert np.array_equal(combined_map(faces), expected)
    other = CombinedMap(512, 512)
    for face in reversed(faces):
        other.add(face)
    assert np.array_equal(other.colours, expected)


def test_several_photos_give_a_list_each(tiny_weights: Path, tmp_path: Path) -> None:
    model = lineament.load(str(tiny_weights))
    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(path)
    several = model.estimate([path, pair()], options=ONE_VIEW)
    assert [len(faces) for faces in several] == [1, 2]
    assert np.array_equal(several[0][0].normals, model.estimate(path, options=ONE_VIEW)[0].normals)
    with pytest.raises(NoFaceError, match="image 2"):
        model.estimate((pair(), data.brick()), options=ONE_VIEW)
    with pytest.raises(UsageError, match="exemplar belongs to one photo"):
        model.estimate([path, path], exemplar=np.zeros((512, 512, 3), np.float32))  # type: ignore[call-overload]


def test_of_an_animation_the_first_frame_with_a_face_is_taken(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.fromarray(np.zeros((512, 512, 3), np.uint8)), Image.fromarray(data.astronaut())]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert (
        main(["estimate", str(path), "-o", str(tmp_path / "out"), "--method", str(tiny_weights), "--no-second-view"])
        == 0
    )
    assert "frame 2" in capsys.readouterr().err
    assert plain_json(tmp_path / "out" / "moving" / "face.json")["animation_frame"] == 2
    frames[0].save(path, save_all=True, append_images=[Image.new("RGB", (512, 512), (9, 9, 90))], duration=100)
    with pytest.raises(NoFaceError, match="in its first 2 frames"):
        lineament.load(str(tiny_weights)).estimate(path)


def test_faces_and_check_take_the_frame_that_estimate_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "moving.gif"
    frames = [Image.fromarray(np.zeros((512, 512, 3), np.uint8)), Image.fromarray(data.astronaut())]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert main(["faces", str(path), "-o", str(tmp_path / "out")]) == 0
    assert "1 face in frame 2, the first one with a face" in " ".join(capsys.readouterr().out.split())
    with Image.open(tmp_path / "out" / "moving.png") as drawn:
        assert np.asarray(drawn.convert("RGB")).mean() > 30  # not the black frame
    assert main(["check", str(path)]) == 0
    assert "1 face in frame 2" in " ".join(capsys.readouterr().out.split())
    frames[0].save(path, save_all=True, append_images=[Image.new("RGB", (512, 512), (9, 9, 90))], duration=100)
    assert main(["faces", str(path), "-o", str(tmp_path / "out")]) == 0
    assert main(["check", str(path)]) == 0
    assert "no faces" in capsys.readouterr().out


def test_advice_is_in_the_words_of_the_interface_and_right() -> None:
    with pytest.raises(NoFaceError) as caught:
        lineament.load().estimate(data.brick())
    python, command = str(caught.value), caught.value.for_command_line()
    assert "any_rotation=True" in python
    assert "faces=[(x, y, width, height)]" in python
    assert "--" not in python
    assert "--any-rotation" in command
    assert "--face-box" in command
    assert "=" not in command
    assert "score" not in python + command  # less sure ones are seldom faces


def test_large_levels_are_searched_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = np.full((700, 900, 3), 90, np.uint8)
    for top, left in ((40, 60), (260, 330), (470, 660)):
        photo[top : top + 210, left : left + 190] = data.astronaut()[20:230, 130:320]
    whole = detect_faces(photo)
    assert len(whole) == 3
    monkeypatch.setattr(import_module("lineament.face.detect"), "_TILE", 256)
    tiled = detect_faces(photo)
    assert len(tiled) == 3  # none twice where tiles meet
    assert np.allclose([face.box for face in tiled], [face.box for face in whole], atol=4)


def test_the_version_is_told() -> None:
    from importlib.metadata import version

    assert lineament.__version__ == version("lineament")


def test_tones_are_left_as_they_are_on_request(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    linear = np.rint(255.0 * (data.astronaut()[:256, 90:346] / 255.0) ** 3.0).astype(np.uint8)
    estimator = lineament.load(tiny_weights)
    run, shown = estimator.predictor.run, []

    def noting(crops: NDArray[np.uint8], *rest: object) -> Prediction:
        shown.append(crops[0].astype(float))
        return run(crops, *rest)

    monkeypatch.setattr(estimator.predictor, "run", noting)
    for tones in (False, True):
        options = lineament.Options(second_view=False, fine_crop=False, camera_tones=tones)
        estimator.estimate(linear, faces="whole", options=options)
    as_it_is, curved = shown
    assert np.array_equal(as_it_is, crop_of_whole(256, 256, len(as_it_is)).extract(linear))
    assert curved.mean() > as_it_is.mean() + 10.0
