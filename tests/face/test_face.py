# SPDX-License-Identifier: Apache-2.0
"""Crops are exact both ways; a real photo's face is found where it is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage import data

from lineament.alignment.crop import SPAN
from lineament.annotations.landmarks import mirrored_landmarks
from lineament.errors import UsageError
from lineament.face import (
    Face,
    FaceCrop,
    FaceParsing,
    MaskClass,
    Pose,
    crop_of_box,
    crop_of_whole,
    detect_faces,
    draw_faces,
    largest,
    parse_face,
)
from lineament.face.parse import brows_not_glasses, glasses_with_a_bridge
from lineament.face.quality import check_face
from lineament.face.region import one_piece, region_of


def test_a_box_outside_the_photo_is_refused() -> None:
    with pytest.raises(UsageError, match="outside"):
        FaceCrop(900, 0, 100, 64).paste(np.zeros((64, 64), np.float32), 200, 300)


def test_a_whole_picture_is_its_own_crop() -> None:
    crop = crop_of_whole(192, 168, 256)
    assert crop.side == 192
    assert crop.to_photo(np.array([128.0, 128.0])).tolist() == [84.0, 96.0]


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_astronauts_face_is_found(factor: float, mirrored: bool) -> None:
    photo = data.astronaut()[:, ::-1] if mirrored else data.astronaut()
    photo = cv2.resize(np.ascontiguousarray(photo), None, fx=factor, fy=factor)
    faces = detect_faces(photo)
    assert len(faces) == 1
    crop = crop_of_box(faces[0].box)
    eyes_and_chin = np.array([[205.0, 107.0], [248.0, 107.0], [224.0, 172.0]])  # seen in the photo
    if mirrored:
        eyes_and_chin[:, 0] = 512 - eyes_and_chin[:, 0]
    inside = crop.to_crop(eyes_and_chin * factor) / crop.size
    margin = 0.5 * (1 - SPAN)
    assert (inside > margin).all()
    assert (inside < 1 - margin + 0.06).all()


@pytest.mark.parametrize("name", ["coffee", "brick", "text"])
def test_pictures_without_faces_give_none(name: str) -> None:
    photo = getattr(data, name)()
    photo = np.repeat(photo[..., None], 3, -1) if photo.ndim == 2 else photo
    assert detect_faces(photo) == []


def test_the_largest_face_is_kept() -> None:
    faces = [Face((0, 0, 20, 20), 0.9), Face((50, 50, 60, 60), 0.7), Face((150, 0, 30, 30), 0.8)]
    assert largest(lambda image: faces)(data.astronaut()) == [faces[1]]
    assert largest(lambda image: [])(data.astronaut()) == []


def test_large_photos_are_drawn_smaller() -> None:
    photo = np.zeros((300, 400, 3), np.float32)
    drawn = draw_faces(photo, [Face((100, 100, 80, 80), 0.8)], longest_side=200)
    assert drawn.shape == (150, 200, 3)
    assert drawn[50:90, 50].any()  # the box's left side
    assert not drawn[:20].any()


def test_everyone_in_a_group_is_found() -> None:
    photo = data.astronaut()[20:230, 130:320]
    group = np.concatenate([photo, photo[:, ::-1], cv2.GaussianBlur(photo, (0, 0), 1.5)], axis=1)
    centres = [face.box[0] + 0.5 * face.box[2] for face in detect_faces(group)]
    assert len(centres) == 3
    assert np.allclose(centres, [92, 288, 472], atol=20)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_faces_are_found_lying_and_upside_down(turns: int) -> None:
    photo = data.astronaut()
    upright = detect_faces(photo)[0]
    turned = np.ascontiguousarray(np.rot90(photo, turns))
    face = detect_faces(turned, any_rotation=True)[0]
    assert face.pose is not None
    assert upright.pose is not None
    difference = (face.pose.roll - upright.pose.roll + 90 * turns + 180) % 360 - 180  # rot90 turns counter-clockwise
    assert abs(difference) < 12
    x, y, w, h = face.box
    centre = np.array([x + w / 2, y + h / 2])
    for _ in range(turns):
        centre = np.array([512 - centre[1], centre[0]])
    assert np.allclose(centre, [upright.box[0] + upright.box[2] / 2, upright.box[1] + upright.box[3] / 2], atol=12)


def test_small_faces_are_found_when_asked_for() -> None:
    wide = np.full((600, 2400, 3), 90, np.uint8)
    small = cv2.resize(data.astronaut()[:400, 60:460], (130, 130), interpolation=cv2.INTER_AREA)
    wide[200:330, 1000:1130] = small  # the face is about 32 pixels large
    assert len(detect_faces(wide, smallest=24)) == 1
    with pytest.raises(UsageError, match="smallest"):
        detect_faces(wide, smallest=0)


def test_landmarks_lie_on_the_face() -> None:
    face = detect_faces(data.astronaut())[0]
    assert face.landmarks is not None
    eyes, chin = face.landmarks[36:48].mean(0), face.landmarks[8]
    assert np.allclose(eyes, [226, 107], atol=8)  # seen in the photo
    assert np.allclose(chin, [226, 172], atol=9)
    right, left = face.landmarks[36:42].mean(0), face.landmarks[42:48].mean(0)
    assert right[0] < left[0]  # the subject's right eye is to the left


def test_landmarks_move_with_the_photo() -> None:
    photo = data.astronaut()
    marks = detect_faces(photo)[0].landmarks
    assert marks is not None
    gap = np.linalg.norm(marks[36] - marks[45])
    flipped = detect_faces(np.ascontiguousarray(photo[:, ::-1]))[0].landmarks
    assert flipped is not None
    assert np.linalg.norm(mirrored_landmarks(flipped, 512) - marks, axis=1).mean() < 0.06 * gap
    larger = detect_faces(cv2.resize(photo, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC))[0].landmarks
    assert larger is not None
    assert np.linalg.norm(larger / 1.7 - marks, axis=1).mean() < 0.06 * gap


def test_the_parse_knows_skin_from_hair_and_background() -> None:
    face = detect_faces(data.astronaut())[0]
    assert face.parsing is not None
    region = region_of(face.parsing, face.parsing.crop, 512, 512)
    parse, mask = region.whole(region.parse), region.whole(region.mask)
    assert parse[150, 226] in (int(MaskClass.MOUTH), int(MaskClass.TEETH), int(MaskClass.SKIN))
    assert parse[130, 200] == int(MaskClass.SKIN)  # a cheek
    assert (parse[60:110, 160:178] == int(MaskClass.HAIR)).mean() > 0.6  # beside the face
    assert parse[300, 60] == int(MaskClass.OTHER)  # outside the crop
    assert mask[130, 200]
    assert not mask[60:110, 160:178].any()
    assert mask[60:170].any()
    assert not mask[190:].any()  # the neck is no face


def test_flaws_are_measured() -> None:
    photo = data.astronaut()
    face = detect_faces(photo)[0]
    plain = check_face(photo, face)
    blurred = check_face(cv2.GaussianBlur(photo, (0, 0), 2.5), face)
    assert blurred.measures.blur > plain.measures.blur + 0.1
    dark = check_face((photo * 0.12).astype(np.uint8), face)
    assert dark.measures.brightness < 0.16 < plain.measures.brightness
    assert any("dark" in finding.text for finding in dark.findings)
    burnt = check_face(np.minimum(photo.astype(int) * 2, 255).astype(np.uint8), face)
    assert burnt.measures.clipped > plain.measures.clipped + 0.2
    assert burnt.warnings
    cut = parse_face(photo[:, 205:], Face((-28.0, 76.0, 100.0, 97.0), 1.0))
    assert check_face(photo[:, 205:], cut).measures.covered > 0.1
    with pytest.raises(UsageError, match="not been read"):
        check_face(photo, Face((170.0, 70.0, 100.0, 110.0), 1.0))


def test_a_face_is_one_piece_without_holes() -> None:
    probability = np.zeros((128, 128), np.float32)
    probability[20:110, 30:100] = 1.0
    probability[50:60, 40:90] = 0.0  # a shadow over the eyes, as large as sunglasses
    probability[60:62, 100:120] = 1.0  # a thread
    probability[5:9, 60:64] = 1.0  # a stray bright spot
    kept = one_piece(probability) > 0.5
    assert kept[24:106, 34:96].all()
    assert not kept[7, 62]
    assert not kept[61, 110]
    assert not one_piece(np.zeros((128, 128), np.float32)).any()


def read_face(parts: dict[MaskClass, tuple[slice, slice]], crop: FaceCrop) -> FaceParsing:
    """A face from the chin at row 220 of 256 to the brows at row 100, and what its pixels show."""
    angle = np.linspace(np.pi, 0.0, 17)
    marks = np.zeros((68, 2))
    marks[:17] = np.stack([128 + 70 * np.cos(angle), 110 + 110 * np.sin(angle)], axis=1)
    marks[17:27] = np.stack([np.linspace(80, 176, 10), np.full(10, 100.0)], axis=1)
    marks[27:] = [128.0, 150.0]
    parse = np.zeros((256, 256, len(MaskClass)), np.float32)
    parse[..., MaskClass.SKIN] = 1.0  # as of a bald head before a wall of its colour
    for part, place in parts.items():
        parse[place] = 0.0
        parse[place][..., part] = 1.0
    return FaceParsing(marks, np.ones(68, np.float32), Pose(0.0, 0.0, 0.0), crop, parse)


def test_a_mask_ends_at_chin_forehead_and_frame_and_goes_on_under_glasses() -> None:
    crop = FaceCrop(0.0, 0.0, 256.0, 256)
    parsing = read_face({MaskClass.GLASSES: (slice(110, 116), slice(40, 216))}, crop)
    mask = region_of(parsing, crop, 256, 256).mask
    assert mask[112, 128]
    assert mask[60, 128]  # the forehead
    assert not mask[:20].any()
    assert not mask[240:].any()
    widths = mask[30:90].sum(1)  # no straight cut: a forehead grows narrower upwards
    top = np.flatnonzero(mask.any(1))[0]
    assert mask[top + 2].sum() < 0.6 * widths.max()
    # The same where the photo begins at the forehead's middle, and the crop repeats its border upwards.
    high = replace(crop, top=-80.0)
    cut = region_of(replace(parsing, crop=high, landmarks=parsing.landmarks - [0.0, 80.0]), high, 256, 256)
    assert not cut.in_crop[:78].any()
    assert cut.in_crop[90, 128]
    assert region_of(parsing, crop, 256, 256).in_crop[60:78].any()


def test_ears_are_face_on_request() -> None:
    crop = FaceCrop(0.0, 0.0, 256.0, 256)
    parsing = read_face({}, crop)
    without, with_ears = (region_of(parsing, crop, 256, 256, ears).mask for ears in (False, True))
    assert (with_ears | without == with_ears).all()
    assert with_ears[120].sum() > without[120].sum() + 20


def test_a_mask_is_soft_at_its_edge() -> None:
    crop = FaceCrop(0.0, 0.0, 256.0, 256)
    region = region_of(read_face({}, crop), crop, 256, 256)
    alpha = region.alpha()
    assert (alpha[~region.mask] == 0.0).all()
    assert alpha[150, 128] == 1.0
    assert ((alpha > 0.1) & (alpha < 0.9)).sum() > 100


def test_dark_brows_are_no_glasses_and_frames_stay_what_they_are() -> None:
    marks = np.zeros((68, 2))
    marks[17:27, 1], marks[36:48, 1] = 30.0, 40.0
    parse = np.zeros((64, 64, len(MaskClass)), np.float32)
    parse[..., MaskClass.SKIN] = 1.0

    def put(rows: slice, columns: slice) -> None:
        parse[rows, columns] = 0.0
        parse[rows, columns, [MaskClass.GLASSES]] = 1.0

    put(slice(28, 33), slice(10, 25))  # a brow
    put(slice(30, 46), slice(35, 38))  # a frame from the brow down over the eye
    put(slice(4, 8), slice(20, 40))  # sunglasses on the forehead
    mended = brows_not_glasses(parse, marks).argmax(-1)
    assert (mended[28:33, 10:25] == MaskClass.BROWS).all()
    assert (mended[30:46, 35:38] == MaskClass.GLASSES).all()
    assert (mended[4:8, 20:40] == MaskClass.GLASSES).all()
    assert np.allclose(brows_not_glasses(parse, marks).sum(-1), 1.0)
    assert np.array_equal(brows_not_glasses(parse, marks - [0.0, 60.0]), parse)  # nothing near the brows


def test_glasses_have_a_bridge() -> None:
    marks = np.zeros((68, 2))
    marks[39], marks[42] = [24.0, 30.0], [40.0, 30.0]
    parse = np.zeros((64, 64, len(MaskClass)), np.float32)
    parse[..., MaskClass.SKIN] = 0.4
    for rows, columns in ((slice(26, 34), slice(8, 24)), (slice(26, 34), slice(40, 56))):  # two dark sockets
        parse[rows, columns, MaskClass.GLASSES] = 0.6
    without = glasses_with_a_bridge(parse, marks)
    assert not (without.argmax(-1) == MaskClass.GLASSES).any()
    assert np.allclose(without.sum(-1), 1.0)
    parse[29:31, 24:40, MaskClass.GLASSES] = 0.6  # and what joins them
    assert np.array_equal(glasses_with_a_bridge(parse, marks), parse)
