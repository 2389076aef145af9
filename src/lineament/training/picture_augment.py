# SPDX-License-Identifier: Apache-2.0
"""Varying single pictures in NumPy: what a worker that reads data does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


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
