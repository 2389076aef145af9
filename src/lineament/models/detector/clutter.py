# SPDX-License-Identifier: Apache-2.0
"""Things that are no faces: shapes, letters, coins in rows, grass and gravel."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_LETTERS = list(string.ascii_letters + string.digits + "&%#?!@")


def rough_texture(size: int, random: np.random.Generator) -> Image:
    """Noise of a random grain, perhaps in hard black and white: size×size×3."""
    import cv2

    field: Any = np.zeros((size, size), np.float32)
    for _ in range(int(random.integers(1, 4))):
        stretch = random.uniform(0.4, 2.5)
        grain = float(np.exp(random.uniform(np.log(0.5), np.log(14.0))))
        octave: Any = random.normal(0.0, 1.0, (size, size)).astype(np.float32)
        octave = cv2.GaussianBlur(octave, (0, 0), grain * stretch**0.5, sigmaY=grain / stretch**0.5)
        field += octave / max(1e-6, float(octave.std())) * random.uniform(0.2, 1.0)
    field /= max(1e-6, float(field.std()))
    if random.random() < 0.3:
        field = np.tanh(field * random.uniform(1.0, 8.0))
    low, high = random.uniform(0, 255, 3), random.uniform(0, 255, 3)
    if random.random() < 0.5:
        low, high = np.repeat(low[:1], 3), np.repeat(high[:1], 3)
    share = (0.5 + 0.25 * field).clip(0, 1)[..., None]
    return np.asarray(low + (high - low) * share, dtype=np.uint8)


def draw_shapes(canvas: Image, random: np.random.Generator, most: int) -> None:
    """Draw up to ``most`` ellipses, boxes, lines, polygons and letters over a picture, scattered or in rows."""
    size = canvas.shape[0]
    count = int(random.integers(1, most + 1))
    rows = int(np.ceil(np.sqrt(count)))
    ordered = random.random() < 0.3
    one_kind, one_colour = int(random.integers(5)), random.integers(0, 256, 3)
    alike = random.random() < 0.4
    half = size / (2.4 * rows) if ordered else 0.0
    for number in range(count):
        place = random.uniform(0, size, 2)
        if ordered:
            place = (np.array([number % rows, number // rows]) + 0.5) * size / rows + random.normal(0, 0.05 * half, 2)
        reach = half * random.uniform(0.7, 1.0) if ordered else float(np.exp(random.uniform(np.log(2.0), np.log(40.0))))
        kind = one_kind if alike else int(random.integers(5))
        colour = one_colour if alike else random.integers(0, 256, 3)
        _draw(canvas, kind, place, reach, tuple(int(c) for c in colour), random)


def _draw(
    canvas: Image,
    kind: int,
    place: NDArray[np.float64],
    reach: float,
    colour: tuple[int, ...],
    random: np.random.Generator,
) -> None:
    """One shape around a place, about ``reach`` pixels in each direction."""
    import cv2

    x, y, r = int(place[0]), int(place[1]), max(1, round(reach))
    thick = -1 if random.random() < 0.6 else max(1, r // 8)
    if kind == 0:
        axes = (r, max(1, round(r * random.uniform(0.5, 1.0))))
        cv2.ellipse(canvas, (x, y), axes, random.uniform(0, 180), 0, 360, colour, thick, cv2.LINE_AA)
        if r > 5 and random.random() < 0.5:  # something in it: a coin, a button, a wheel
            inner = tuple(int(c) for c in random.integers(0, 256, 3))
            at = (x + int(random.integers(-r // 3, r // 3 + 1)), y + int(random.integers(-r // 3, r // 3 + 1)))
            cv2.circle(canvas, at, max(1, r // int(random.integers(2, 6))), inner, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(canvas, (x - r, y - r // 2), (x + r, y + r // 2), colour, thick)
    elif kind == 2:
        end = place + random.normal(0, reach, 2)
        cv2.line(canvas, (x, y), (int(end[0]), int(end[1])), colour, int(random.integers(1, 6)), cv2.LINE_AA)
    elif kind == 3:
        corners = (place + random.normal(0, reach, (int(random.integers(3, 7)), 2))).astype(np.int32)
        cv2.fillPoly(canvas, [corners], colour, cv2.LINE_AA)
    else:
        word = "".join(random.choice(_LETTERS, int(random.integers(1, 8))))
        font = int(random.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]))
        scale = max(0.2, reach / 18.0)
        cv2.putText(canvas, word, (x - r, y + r // 2), font, scale, colour, max(1, round(scale * 1.5)), cv2.LINE_AA)
