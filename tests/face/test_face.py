# SPDX-License-Identifier: Apache-2.0
"""Crops are exact both ways; a real photo's face is found where it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from lineament.errors import UsageError
from lineament.face import Face, FaceCrop, crop_of_box, crop_of_whole, draw_faces, find, largest
from lineament.face.crop import SPAN


@given(st.floats(-50, 300), st.floats(-50, 300), st.floats(40, 900), st.sampled_from([64, 256, 512]))
def test_crop_coordinates_are_inverse(left: float, top: float, side: float, size: int) -> None:
    crop = FaceCrop(left, top, side, size)
    points = np.array([[0.0, 0.0], [size / 3, size / 2], [size, size]])
    assert np.allclose(crop.to_crop(crop.to_photo(points)), points, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.floats(-20, 120), st.floats(-20, 100), st.floats(100, 400))
def test_extracted_pixels_lie_where_the_transform_says(left: float, top: float, side: float) -> None:
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(280) + 0.5)
    photo = np.stack([x / 320, y / 280, np.zeros_like(x)], -1).astype(np.float32)
    crop = FaceCrop(left, top, side, 128)
    picture = crop.extract(photo).astype(float) / 255
    centres = np.array([[40.5, 50.5], [64.5, 64.5], [90.5, 70.5]])
    for u, v in centres:
        px, py = crop.to_photo(np.array([u, v]))
        if 4 < px < 316 and 4 < py < 276:
            assert picture[int(v), int(u), 0] * 320 == pytest.approx(px, abs=2.5)
            assert picture[int(v), int(u), 1] * 280 == pytest.approx(py, abs=2.5)


@pytest.mark.parametrize("side", [90.0, 256.0, 700.0])
def test_pasting_undoes_extracting(side: float) -> None:
    crop = FaceCrop(31.3, -12.7, side, 256)
    u = (np.arange(256, dtype=np.float32) + 0.5)[None, :].repeat(256, 0)
    coordinates = np.stack([u, u.T, np.ones_like(u)], -1)  # a map that knows its own places
    x, y, w, h = crop.place(600, 800)
    pasted = crop.paste(coordinates, 600, 800)
    assert pasted.shape == (h, w, 3)
    columns = x + np.arange(w) + 0.5
    expected = (columns - crop.left) * crop.scale
    middle = slice(w // 8, -w // 8)
    assert np.abs(pasted[h // 2, middle, 0] - expected[middle]).max() < 0.5 * max(1.0, crop.scale)
    strip = crop.paste(coordinates, 600, 800, slice(y + 10, y + 30))
    assert np.allclose(strip, pasted[10:30], atol=1e-3)


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
    faces = find(photo)
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
    assert find(photo) == []


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
    centres = [face.box[0] + 0.5 * face.box[2] for face in find(group)]
    assert len(centres) == 3
    assert np.allclose(centres, [92, 288, 472], atol=20)
