# SPDX-License-Identifier: Apache-2.0
"""The renderings of the Basel Face Model that Unsup3D made and tested on.

Wu, Rupprecht and Vedaldi, "Unsupervised learning of probably symmetric deformable 3D objects", CVPR 2020. Downloaded
with
that repository's `data/download_synface.sh`. Tables: L2R 2 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb, unit_map
from lineament.datasets.sample import Sample

NEAREST, FARTHEST = 0.9, 1.1
"""Distances from the camera, in Unsup3D's unit, that depth maps span."""
FIELD_OF_VIEW = 10.0
"""Degrees across the middle of a rendering."""
MIDDLE = 170 / 256
"""Share of a rendering's side that this middle spans: Unsup3D crops it out before it looks at anything."""


class SynFace(Dataset):
    """One sample per rendering.

    Layout: {train,val,test}/image/NAME.png, {train,val,test}/depth/NAME.png

    Of picture and depth map the middle is taken, 170 of 256 pixels (`crop: 170` of its experiments,
    unsup3d/dataloaders.py). A depth map is brighter where nearer: a value v in [0, 1] is the distance
    0.9 + 0.2 (1 - v); black is background (unsup3d/model.py). `Sample.depth` is minus that distance, so that larger is
    nearer; the mask is eroded by one pixel, as Unsup3D's evaluation does. It looks at 64 × 64 pixels, here all that the
    files have count.
    """

    NAME = "BFM renderings of Unsup3D"

    def find_items(self) -> Iterator[Item]:
        """Pictures with a depth map of the same name."""
        for part in folders(self.root):
            depths = {path.stem: path for path in pictures(part / "depth")}
            for photo in pictures(part / "image"):
                depth = depths.get(photo.stem) or depths.get(photo.stem.replace("image", "depth"))
                if depth is not None:
                    name = f"{part.name}/{photo.stem}"
                    yield Item(name, name, {"image": photo, "depth": depth}, {"part": part.name})

    def split(self, items: Sequence[Item], split: str) -> list[Item]:
        """The publishers' split: `test` against the rest."""
        return [item for item in items if (item.meta["part"] == "test") == (split == "test")]

    def read(self, item: Item) -> Sample:
        """A rendering with its depth."""
        value = middle(unit_map(item.files["depth"])[..., 0])
        mask = ndimage.binary_erosion(value > 0, np.ones((3, 3), np.bool_), border_value=1)
        distance = NEAREST + (FARTHEST - NEAREST) * (1.0 - value)
        depth = np.where(mask, -distance, np.nan).astype(np.float32)
        photo = middle(rgb(item.files["image"]))
        return Sample(photo, item.name, item.subject, mask=mask, depth=depth, meta=item.meta)


def middle(picture: NDArray[Any]) -> NDArray[Any]:
    """The middle of a square picture [S, S] or [S, S, C], `MIDDLE` of its side."""
    side = round(MIDDLE * len(picture))
    first = (len(picture) - side) // 2
    return np.ascontiguousarray(picture[first : first + side, first : first + side])
