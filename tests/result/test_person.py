# SPDX-License-Identifier: Apache-2.0
"""What several photos show together: one texture, one picture of the head."""

from __future__ import annotations

import numpy as np

from lineament.geometry.head import Head
from lineament.result.head_picture import head_picture
from lineament.result.head_texture import HeadTexture
from lineament.result.merged_texture import merged_map, merged_texture, sharpness_of
from lineament.rig import load_rig

SIDE = 128


def pattern() -> np.ndarray:
    """Stripes on a gradient, in the range of skin."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    grey = 110 + 40 * rows / SIDE + 12 * np.sin(columns / 3.0)
    return np.repeat(grey[..., None], 3, axis=-1)


def test_halves_of_a_texture_make_the_whole() -> None:
    truth = pattern()
    columns = np.arange(SIDE)[None].repeat(SIDE, 0)
    left, right = (np.clip((each * (columns - 64) + 24) / 16, 0, 1).astype(np.float32) for each in (-1, 1))
    darker = truth * 0.7  # the other photo's light
    parts = [
        HeadTexture(np.where(left[..., None] > 0, truth, 20).astype(np.uint8), left),
        HeadTexture(np.where(right[..., None] > 0, darker, 20).astype(np.uint8), right * 0.9),
    ]
    merged = merged_texture(parts, (1.0, 1.0))
    assert np.abs(merged.colours - truth).mean() < 4.0
    assert np.abs(merged.colours - truth)[:, 56:72].max() < 15.0  # no seam
    assert merged.visibility.min() > 0.0
    assert np.allclose(merged.visibility, np.maximum(left, 0.9 * right))


def test_one_texture_stays_what_it_is() -> None:
    seen = np.full((SIDE, SIDE), 0.8, np.float32)
    merged = merged_texture([HeadTexture(pattern().astype(np.uint8), seen)], (0.3,))
    assert np.abs(merged.colours.astype(int) - pattern().astype(np.uint8)).max() <= 1


def test_the_sharper_photo_gives_the_detail() -> None:
    import cv2

    sharp, seen = pattern().astype(np.uint8), np.ones((SIDE, SIDE), np.float32)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4.0)
    weights = [sharpness_of(sharp), sharpness_of(blurred)]
    assert weights[0] > 1.5 * weights[1]
    merged = merged_texture([HeadTexture(blurred, seen), HeadTexture(sharp, seen)], weights[::-1])
    assert merged.colours[..., 0].std(axis=1).mean() > 0.8 * sharp[..., 0].std(axis=1).mean()


def test_maps_are_weighted() -> None:
    one, two = np.full((4, 4), 1.0, np.float32), np.full((4, 4), 3.0, np.float32)
    half = np.zeros((4, 4), np.float32)
    half[:2] = 1.0
    merged = merged_map([one, two], [half, np.ones((4, 4), np.float32) * half])
    assert np.allclose(merged[:2], 2.0)
    assert not merged[2:].any()


def test_a_head_is_seen_from_its_sides() -> None:
    rig = load_rig()
    head = Head(rig.mean.astype(float), rig.faces.astype(np.int64), rig.uv.astype(float), rig.weld())
    front, side = (head_picture(head, yaw, 96) for yaw in (0.0, 70.0))
    shown = [(picture != 236).any(-1) for picture in (front, side)]
    assert all(0.2 < each.mean() < 0.8 for each in shown)
    assert np.abs(shown[0][:, ::-1] ^ shown[0]).mean() < 0.03  # the mean head is symmetric
    nose = np.flatnonzero(shown[1][48])
    assert nose.max() > np.flatnonzero(shown[0][48]).max()  # turned to the right, the face reaches farther there
    red = head_picture(head, 0.0, 96, np.full((8, 8, 3), (200, 10, 10), np.uint8))
    assert (red[shown[0]] == (200, 10, 10)).all()
