# SPDX-License-Identifier: Apache-2.0
"""The photo that ships, to try things with."""

from __future__ import annotations

from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from lineament.images.read import read_image


def sample_photo() -> NDArray[np.uint8]:
    """The astronaut Eileen Collins, 512×512×3 RGB (NASA, public domain; the pixels of scikit-image's copy)."""
    with as_file(files("lineament.images").joinpath("astronaut.webp")) as path:
        return np.asarray(read_image(path), np.uint8)
