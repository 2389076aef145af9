# SPDX-License-Identifier: Apache-2.0
"""Varying single pictures in NumPy: what a worker that reads data does to them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

_CHAINS = (  # of the iBUG order: points whose mirror images are themselves in reverse
    (range(17), range(16, -1, -1)),
    (range(17, 27), range(26, 16, -1)),
    (range(27, 31), range(27, 31)),
    (range(31, 36), range(35, 30, -1)),
    (range(36, 40), range(45, 41, -1)),
    (range(40, 42), range(47, 45, -1)),
    (range(42, 46), range(39, 35, -1)),
    (range(46, 48), range(41, 39, -1)),
    (range(48, 55), range(54, 47, -1)),
    (range(55, 60), range(59, 54, -1)),
    (range(60, 65), range(64, 59, -1)),
    (range(65, 68), range(67, 64, -1)),
)
MIRROR = np.empty(68, dtype=np.int64)
"""Which landmark becomes which when the picture is mirrored."""
for _to, _from in _CHAINS:
    MIRROR[list(_to)] = list(_from)


def mirrored_landmarks(values: NDArray[Scalar], width: int | None) -> NDArray[Scalar]:
    """Quantities of the 68 landmarks in the mirrored picture.

    Args:
        values: [68, ...]; positions [68, 2] when a width is given.
        width: Of the picture, pixels.
    """
    mirrored = values[MIRROR]
    if width is not None:
        mirrored = mirrored.copy()
        mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored


def recolour(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Grey, gamma, gain, blur, coarseness and noise by chance; H×W×3 uint8."""
    import cv2

    image: Any = picture
    if random.random() < 0.3:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    if random.random() < 0.25:  # seen from afar
        factor = random.uniform(1.5, 4.5)
        small = (max(8, round(image.shape[1] / factor)), max(8, round(image.shape[0] / factor)))
        how = cv2.INTER_LINEAR if random.random() < 0.5 else cv2.INTER_CUBIC
        shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        image = cv2.resize(shrunk, image.shape[1::-1], interpolation=how)
    elif random.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 2.0))
    levels = (np.arange(256) / 255.0) ** np.exp(random.normal(0.0, 0.35)) * np.exp(random.normal(0.0, 0.2))
    levels = levels + (random.uniform(0.0, 0.2) if random.random() < 0.1 else 0.0)
    table = (255.0 * levels).clip(0, 255).astype(np.uint8)
    image = cv2.LUT(np.ascontiguousarray(image), table)
    if random.random() < 0.3:
        grain = random.normal(0.0, random.uniform(1.0, 12.0), image.shape[:2]).astype(np.float32)
        image = np.clip(image + grain[..., None], 0, 255).astype(np.uint8)
    if random.random() < 0.2:
        quality = int(random.integers(20, 90))
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return np.asarray(image, dtype=np.uint8)
