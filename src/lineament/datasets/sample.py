# SPDX-License-Identifier: Apache-2.0
"""One labelled photo, whatever dataset it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError


@dataclass(frozen=True)
class Sample:
    """A photo with its normals, in the project's frame and at the photo's own resolution."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    normals: NDArray[np.float32]
    """[H, W, 3], unit in the mask, camera frame: x to the image's right, y up, z towards the viewer."""
    mask: NDArray[np.bool_]
    """[H, W], where the normals are to be believed."""
    name: str
    """Of this photo, unique in its dataset."""
    subject: str
    """Of the person."""
    meta: Mapping[str, float | str] = field(default_factory=dict)
    """What else the dataset says, such as the light's direction."""

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        if self.image.shape != (*size, 3) or self.normals.shape != (*size, 3) or self.mask.shape != size:
            raise InputError(
                f"sample {self.name}: image {self.image.shape}, normals {self.normals.shape} and mask "
                f"{self.mask.shape} do not belong together"
            )
