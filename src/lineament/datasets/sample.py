# SPDX-License-Identifier: Apache-2.0
"""One labelled photo, whatever dataset it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lineament.errors import DataError, InputError
from lineament.geometry.mesh import Mesh


@dataclass(frozen=True)
class Sample:
    """A photo with what its dataset knows of it, at the photo's own resolution and in the project's frames."""

    image: NDArray[np.uint8]
    """[H, W, 3] RGB."""
    name: str
    """Of this photo, unique in its dataset."""
    subject: str
    """Of the person; of the photo, where the dataset does not tell persons apart."""
    normals: NDArray[np.float32] | None = None
    """[H, W, 3], unit in the mask, camera frame: x to the image's right, y up, z towards the viewer."""
    mask: NDArray[np.bool_] | None = None
    """[H, W], where the labels are to be believed."""
    depth: NDArray[np.float32] | None = None
    """[H, W], larger is nearer; pixels or millimetres, as the dataset says; not a number outside the mask."""
    albedo: NDArray[np.float32] | None = None
    """[H, W, 3] linear RGB in [0, 1]."""
    landmarks: NDArray[np.float64] | None = None
    """[N, 2] pixels, or [N, 3] pixels and a depth, larger nearer, in pixels of the same scale."""
    scan: Mesh | None = None
    """The face's surface, in the scanner's frame."""
    head: NDArray[np.float64] | None = None
    """[4, 4], from the scan's frame to one where the head stands upright at the origin and looks along z."""
    regions: Mapping[str, Mesh] = field(default_factory=dict)
    """Parts of the scan by name."""
    meta: Mapping[str, float | str] = field(default_factory=dict)
    """What else the dataset says, such as the light's direction."""

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        wanted = {"image": (*size, 3), "normals": (*size, 3), "albedo": (*size, 3), "mask": size, "depth": size}
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise InputError(f"sample {self.name}: {name} is {value.shape}, the image is {self.image.shape}")

    def normals_and_mask(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The true normals and where they hold.

        Raises:
            DataError: This dataset has none.
        """
        if self.normals is None:
            raise DataError(f"sample {self.name} has no true normals")
        return self.normals, (self.normals != 0).any(axis=2) if self.mask is None else self.mask
