# SPDX-License-Identifier: Apache-2.0
"""Crops that are turned: exact both ways, and normals turn with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.alignment.crop import LIFT, SPAN, roll_of
from lineament.annotations.landmarks import MIRROR, mirrored_landmarks
from lineament.face import FaceCrop, crop_of_box, crop_of_landmarks
from lineament.rig import load_rig

ROLLS = st.floats(-180, 180)


def mean_landmarks() -> np.ndarray:
    """The rig's mean landmarks from the front, [68, 2], y down."""
    rig = load_rig()
    return rig.mean[rig.landmarks][:, :2].astype(np.float64) * [1.0, -1.0]


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


@given(st.floats(-50, 300), st.floats(-50, 300), st.floats(40, 900), st.sampled_from([64, 256, 512]), ROLLS)
def test_coordinates_are_inverse(left: float, top: float, side: float, size: int, roll: float) -> None:
    crop = FaceCrop(left, top, side, size, roll)
    points = np.array([[0.0, 0.0], [size / 3, size / 2], [size, size]])
    assert np.allclose(crop.to_crop(crop.to_photo(points)), points, atol=1e-6)
    assert np.allclose(crop.to_photo(np.array([size / 2, size / 2])), crop.centre)


@given(st.floats(-50, 300), st.floats(40, 900), st.floats(1.0, 3.0), ROLLS)
def test_a_closer_crop_enlarges_about_the_same_centre(left: float, side: float, factor: float, roll: float) -> None:
    crop = FaceCrop(left, 0.5 * left, side, 128, roll)
    closer = crop.closer(factor)
    point = np.array([80.0, 50.0])
    assert np.allclose(closer.centre, crop.centre)
    assert np.allclose(closer.to_crop(crop.to_photo(point)) - 64, factor * (point - 64), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(60, 120), st.floats(60, 100), st.floats(60, 120), ROLLS)
def test_extracted_pixels_lie_where_the_transform_says(left: float, top: float, side: float, roll: float) -> None:
    x, y = np.meshgrid(np.arange(320) + 0.5, np.arange(280) + 0.5)
    photo = np.stack([x / 320, y / 280, np.zeros_like(x)], -1).astype(np.float32)
    crop = FaceCrop(left, top, side, 128, roll)
    picture = crop.extract(photo).astype(float) / 255
    for u, v in np.array([[10.5, 50.5], [64.5, 64.5], [110.5, 100.5]]):
        px, py = crop.to_photo(np.array([u, v]))
        if 4 < px < 316 and 4 < py < 276:
            assert picture[int(v), int(u), 0] * 320 == pytest.approx(px, abs=2.5)
            assert picture[int(v), int(u), 1] * 280 == pytest.approx(py, abs=2.5)


@pytest.mark.parametrize("roll", [0.0, 30.0, -75.0])
@pytest.mark.parametrize("side", [90.0, 256.0, 700.0])
def test_pasting_undoes_extracting(side: float, roll: float) -> None:
    crop = FaceCrop(131.3, 52.7, side, 256, roll)
    u = (np.arange(256, dtype=np.float32) + 0.5)[None, :].repeat(256, 0)
    places = np.stack([u, u.T], -1)  # a map that knows its own places
    x, y, w, h = crop.place(900, 1000)
    pasted = crop.paste(np.concatenate([places, places, places], -1), 900, 1000)
    assert pasted.shape == (h, w, 6)  # more channels than OpenCV takes at once
    columns, rows = np.meshgrid(x + np.arange(w) + 0.5, y + np.arange(h) + 0.5)
    expected = crop.to_crop(np.stack([columns, rows], -1))
    inside = ((expected > 10) & (expected < 246)).all(-1)
    assert crop.covers(900, 1000)[inside].all()
    assert np.abs(pasted[..., 4:] - expected)[inside].max() < 0.6 * max(1.0, crop.scale)
    outside = ((expected < -2 * crop.scale) | (expected > 256 + 2 * crop.scale)).any(-1)
    assert not crop.covers(900, 1000)[outside].any()


@pytest.mark.parametrize("roll", [25.0, -40.0, 90.0])
def test_normals_of_a_turned_crop_are_those_of_the_photo(roll: float) -> None:
    size = 128  # a sphere's normal shows the pixel's own place, however it is turned
    crop = FaceCrop(0.0, 0.0, float(size), size, roll)
    line = (np.arange(size) + 0.5) / (0.5 * size) - 1.0
    x, y = np.meshgrid(line, -line)
    inside = x**2 + y**2 < 0.9
    sphere = np.stack([x, y, np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))], -1).astype(np.float32)
    # The crop's picture of the sphere is a sphere again; in the photo its normals must be those of their new places.
    in_photo = crop.paste(crop.normals_to_photo(sphere), size, size)
    x0, y0, _, _ = crop.place(size, size)
    expected = sphere[y0 : y0 + in_photo.shape[0], x0 : x0 + in_photo.shape[1]]
    middle = inside[y0 : y0 + in_photo.shape[0], x0 : x0 + in_photo.shape[1]]
    assert np.abs(in_photo - expected)[middle].max() < 0.06


@given(st.floats(-60, 60), st.floats(0.3, 6.0), st.floats(-200, 200))
@settings(max_examples=30, deadline=None)
def test_the_canonical_crop_does_not_depend_on_the_photo(roll: float, scale: float, shift: float) -> None:
    points = mean_landmarks()
    first = crop_of_landmarks(points, 192)
    moved = turned(points, roll) * scale + shift
    second = crop_of_landmarks(moved, 192)
    assert roll_of(moved) == pytest.approx(roll_of(points) + roll, abs=1e-6)
    assert np.allclose(first.to_crop(points), second.to_crop(moved), atol=1e-6)
    within = second.to_crop(moved) / 192
    assert np.ptp(within, axis=0).max() == pytest.approx(SPAN)
    assert np.allclose(0.5 * (within.min(0) + within.max(0)), [0.5, 0.5 + LIFT])


def test_the_crop_of_a_box_is_near_that_of_the_landmarks() -> None:
    for roll in (0.0, 30.0, -45.0):
        points = turned(mean_landmarks(), roll) * 2.0 + 400.0
        low, high = points.min(0), points.max(0)
        by_box = crop_of_box((*low, *(high - low)), 192, roll)
        by_landmarks = crop_of_landmarks(points, 192)
        assert by_box.side == pytest.approx(by_landmarks.side, rel=0.12)
        assert np.allclose(by_box.centre, by_landmarks.centre, atol=0.08 * by_box.side)


def test_mirrored_landmarks_name_the_other_side() -> None:
    points = mean_landmarks() + np.array([100.0, 0.0])
    assert sorted(MIRROR.tolist()) == list(range(68))
    assert (MIRROR[MIRROR] == np.arange(68)).all()
    assert np.allclose(mirrored_landmarks(points, 200), points, atol=2.5)  # the mean face is nearly symmetric
