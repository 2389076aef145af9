# SPDX-License-Identifier: Apache-2.0
"""3DFAW: 23 thousand photos with 66 landmarks in space.

Jeni et al., "The first 3D face alignment in the wild (3DFAW) challenge", ECCV Workshops 2016. Asked for at
3dfaw.com; research only. Table: L2R 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb
from lineament.datasets.sample import Sample
from lineament.errors import DataError

LANDMARKS = 66


class ThreeDFAW(Dataset):
    """One sample per photo.

    Layout: train_img/NAME.jpg with train_lm/NAME*.{csv,txt,pts}; likewise valid_ and test_

    A landmark file has 66 rows of x, y (pixels) and z. z grows away from the camera in the files; here larger is
    nearer.
    """

    NAME = "3DFAW"

    def find_items(self) -> Iterator[Item]:
        """Photos whose landmarks are there."""
        for folder in folders(self.root):
            match = re.fullmatch(r"(.+)_img", folder.name)
            points = self.root / f"{match[1]}_lm" if match else folder
            files = sorted(path for path in points.iterdir() if path.is_file()) if match and points.is_dir() else []
            for photo in pictures(folder) if files else []:
                own = [p for p in files if p.stem == photo.stem or p.stem.startswith(f"{photo.stem}_")]
                if own and match:
                    name = f"{match[1]}/{photo.stem}"
                    yield Item(name, name, {"image": photo, "landmarks": own[0]}, {"part": match[1]})

    def split(self, items: Sequence[Item], split: str) -> list[Item]:
        """`train`, and for the test the validation photos, whose landmarks DepthNet, Unsup3D and L2R measure."""
        part = "train" if split == "train" else "valid"
        return [item for item in items if item.meta["part"] == part]

    def read(self, item: Item) -> Sample:
        """A photo with its landmarks [66, 3]."""
        text = item.files["landmarks"].read_text()
        rows = [re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", line) for line in text.splitlines()]
        points = np.array([row[-3:] for row in rows if len(row) >= 3], dtype=np.float64)
        if points.shape != (LANDMARKS, 3):
            raise DataError(f"{item.files['landmarks'].name} has {len(points)} landmarks in space, not {LANDMARKS}")
        points[:, 2] *= -1.0
        return Sample(rgb(item.files["image"]), item.name, item.subject, landmarks=points, meta=item.meta)
