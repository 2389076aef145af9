# SPDX-License-Identifier: Apache-2.0
"""Faces in moving pictures: filters, fusion, tracking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from skimage import data

import lineament
from lineament.errors import UsageError
from lineament.geometry import angular_error
from lineament.pipeline.options import Options
from lineament.pipeline.video import VideoEstimator, VideoOptions
from lineament.pipeline.video.fusion import Estimate, NormalsFusion
from lineament.pipeline.video.smoothing import OneEuroFilter
from lineament.pipeline.video.tracking import CutDetector

SIDE = 96


def test_a_filter_without_speed_gain_is_an_exponential_one() -> None:
    rate, cutoff = 30.0, 1.5
    step = OneEuroFilter(rate, cutoff, 0.0)
    step(np.zeros(2))
    shown = [float(step(np.array([1.0, 2.0]))[0]) for _ in range(4)]
    turn = 2.0 * np.pi * cutoff / rate
    left = (1.0 / (turn + 1.0)) ** np.arange(1, 5)
    assert np.allclose(shown, 1.0 - left)


def test_a_filter_follows_motion_closer_than_it_follows_noise() -> None:
    rng = np.random.default_rng(0)
    rate, t = 30.0, np.arange(90) / 30.0
    noise = 0.01 * rng.standard_normal(90)
    at_rest = OneEuroFilter(rate, 1.0, 8.0)
    still = np.array([float(at_rest(np.array([v]))[0]) for v in noise])
    assert still[10:].std() < 0.5 * noise[10:].std()
    moving, fixed = OneEuroFilter(rate, 1.0, 8.0), OneEuroFilter(rate, 1.0, 0.0)
    late = [abs(float(moving(np.array([v]))[0]) - v) for v in 2.0 * t]
    later = [abs(float(fixed(np.array([v]))[0]) - v) for v in 2.0 * t]
    assert late[-1] < 0.25 * later[-1]


def sphere(side: int = SIDE) -> NDArray[np.float32]:
    line = np.linspace(-0.7, 0.7, side, dtype=np.float32)
    x, y = np.meshgrid(line, -line)
    z = np.sqrt(1.0 - x**2 - y**2)
    return np.stack([x, y, z], axis=-1)


def estimate(normals: NDArray[np.float32], picture: NDArray[np.uint8], rotation: NDArray[np.float64]) -> Estimate:
    parse = np.zeros((32, 32, 8), np.float32)
    parse[..., 1] = 1.0
    return Estimate(picture, normals, np.full(normals.shape[:2], 100.0, np.float32), parse, rotation)


def texture() -> NDArray[np.uint8]:
    grey = cv2.GaussianBlur(np.random.default_rng(1).random((2 * SIDE, 2 * SIDE)), (0, 0), 3.0)
    grey = (grey - grey.min()) / np.ptp(grey)
    return np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)


def noisy(normals: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    moved = normals + 0.15 * rng.standard_normal(normals.shape)
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True), np.float32)


def test_noise_is_averaged_away_and_motion_followed() -> None:
    rng, whole = np.random.default_rng(0), texture()
    truth = sphere()
    fusion = NormalsFusion(memory=5.0)
    errors, raw = [], []
    for number in range(12):
        # The head turns about the viewing axis, which turns its normals, too, while the picture moves to the side.
        turn = Rotation.from_euler("z", 1.5 * number, degrees=True).as_matrix()
        shown = truth @ turn.T.astype(np.float32)
        seen = noisy(shown, rng)
        picture = np.ascontiguousarray(whole[20 : 20 + SIDE, 20 + number : 20 + number + SIDE])
        fused = fusion(estimate(seen, picture, turn))
        errors.append(angular_error(fused.normals, shown)[20:-20, 20:-20].mean())
        raw.append(angular_error(seen, shown)[20:-20, 20:-20].mean())
    assert errors[0] == pytest.approx(raw[0])
    assert errors[-1] < 0.6 * raw[-1]


def test_what_has_changed_is_let_go_at_once() -> None:
    picture = np.ascontiguousarray(texture()[:SIDE, :SIDE])
    fusion, still = NormalsFusion(memory=10.0), np.eye(3)
    for _ in range(8):
        fusion(estimate(sphere(), picture, still))
    flat = np.zeros((SIDE, SIDE, 3), np.float32)
    flat[..., 2] = 1.0
    fused = fusion(estimate(flat, picture, still))
    error = angular_error(fused.normals, flat)
    edge = angular_error(sphere(), flat) > 20.0
    assert error[edge].mean() < 2.0


def test_without_memory_a_frame_stays_as_it_is() -> None:
    picture = np.ascontiguousarray(texture()[:SIDE, :SIDE])
    fusion, rng = NormalsFusion(memory=0.0), np.random.default_rng(0)
    for _ in range(3):
        seen = noisy(sphere(), rng)
        assert np.array_equal(fusion(estimate(seen, picture, np.eye(3))).normals, seen)


def test_a_cut_is_noticed_and_motion_is_not() -> None:
    whole = texture()
    scene, other = whole[:108, :192], 255 - whole[50:158, :192]
    cuts = CutDetector()
    seen = [cuts(np.roll(scene, number, axis=1)) for number in range(6)]
    assert not any(seen)
    assert cuts(np.ascontiguousarray(other // 2))
    assert not cuts(np.ascontiguousarray(other // 2))


def moving_astronaut(count: int, step: float = 4.0) -> Iterator[NDArray[np.uint8]]:
    for number in range(count):
        matrix = np.array([[1.0, 0.0, step * number - 60.0], [0.0, 1.0, 0.0]])
        yield np.asarray(cv2.warpAffine(data.astronaut(), matrix, (384, 256), borderMode=cv2.BORDER_REPLICATE))


@pytest.fixture
def plain(tiny_weights: object) -> lineament.Estimator:
    return lineament.load(str(tiny_weights), options=Options(second_view=False, fine_crop=False))


def test_a_face_is_followed_with_one_number_and_no_search(
    plain: lineament.Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lineament.pipeline.video import estimator as module

    searches = []
    search = module.detect_boxes
    monkeypatch.setattr(module, "detect_boxes", lambda *given: (searches.append(1), search(*given))[1])
    video = VideoEstimator(plain, rate=30.0)
    frames = list(video.frames(moving_astronaut(8)))
    assert [[face.number for face in frame.faces] for frame in frames] == [[1]] * 8
    assert len(searches) == 1
    centres = [frame.faces[0].face.box[0] + 0.5 * frame.faces[0].face.box[2] for frame in frames]
    assert np.diff(centres).mean() == pytest.approx(4.0, abs=0.7)


def test_a_cut_starts_anew_and_nobody_is_no_error(plain: lineament.Estimator) -> None:
    video = VideoEstimator(plain, rate=30.0)
    (first, *_) = frames = list(moving_astronaut(2))
    empty = np.full_like(first, 220)
    seen = [video.step(frame) for frame in (*frames, empty, empty, *frames)]
    assert [frame.cut for frame in seen] == [False, False, True, False, True, False]
    assert [[face.number for face in frame.faces] for frame in seen] == [[1], [1], [], [], [2], [2]]


def test_a_frame_gives_what_a_photo_gives() -> None:
    plain = lineament.load(options=Options(second_view=False, fine_crop=False))
    (image,) = moving_astronaut(1)
    (followed,) = VideoEstimator(plain, options=VideoOptions(memory=0.0)).step(image).faces
    face, (photo,) = followed.geometry(), plain.estimate(image)
    assert face.normals.shape == photo.normals.shape
    both = face.mask & photo.mask
    assert both.sum() > 0.9 * photo.mask.sum()
    assert angular_error(face.normals[both], photo.normals[both]).mean() < 1.5
    assert face.about["person"] == 1
    assert face.uncertainty is not None
    assert photo.uncertainty is not None
    assert np.abs(face.uncertainty - photo.uncertainty)[both].mean() < 0.5


def test_many_frames_of_one_mistake_are_no_surer_than_one(plain: lineament.Estimator) -> None:
    (image,) = moving_astronaut(1)
    video = VideoEstimator(plain)
    first, *_, last = [video.step(image).faces[0] for _ in range(6)]
    assert last.uncertainty is not None
    assert first.uncertainty is not None
    assert last.uncertainty.mean() == pytest.approx(first.uncertainty.mean(), rel=0.1)


def test_what_makes_no_sense_is_refused(plain: lineament.Estimator) -> None:
    with pytest.raises(UsageError, match="rate"):
        VideoEstimator(plain, rate=0.0)
    with pytest.raises(UsageError, match="memory"):
        VideoOptions(memory=-1.0)
    with pytest.raises(lineament.LineamentError):
        VideoEstimator(plain).step(np.zeros((4, 4), complex))
    assert replace(VideoOptions(), most=1).most == 1
