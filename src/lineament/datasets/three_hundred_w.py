# SPDX-License-Identifier: Apache-2.0
"""300-W: photos with landmarks, for pictures (metrics of HFFNE and Cas-FNE)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb
from lineament.datasets.sample import Sample
from lineament.errors import DataError


class ThreeHundredW(Dataset):
    """300 indoor and 300 outdoor photos with 68 landmarks (Sagonas et al., "300 faces in-the-wild challenge", 2016).

    Layout: 01_Indoor/indoor_001.{png,pts}, 02_Outdoor/outdoor_001.{png,pts}

    Asked for at ibug.doc.ic.ac.uk; research only. Landmarks are pixels, (1, 1) the first pixel's centre in the files,
    (0.5, 0.5) here.
    """

    NAME = "300-W"

    def find_items(self) -> Iterator[Item]:
        """Photos that have a `.pts` file."""
        for folder in folders(self.root):
            for photo in pictures(folder):
                points = photo.with_suffix(".pts")
                if points.is_file():
                    name = f"{folder.name}/{photo.stem}"
                    yield Item(name, name, {"image": photo, "landmarks": points})

    def read(self, item: Item) -> Sample:
        """A photo with its landmarks [68, 2]."""
        return Sample(
            rgb(item.files["image"]), item.name, item.subject, landmarks=read_pts(item.files["landmarks"]) - 0.5
        )


def read_pts(path: Path) -> NDArray[np.float64]:
    """The points [N, 2] of a `.pts` file.

    Raises:
        DataError: Another number of points than the file announces.
    """
    text = path.read_text()
    announced = re.search(r"n_points:\s*(\d+)", text)
    body = re.search(r"\{([^}]*)\}", text)
    points = np.array(body[1].split() if body else [], dtype=np.float64)
    if announced is None or len(points) != 2 * int(announced[1]):
        raise DataError(f"{path} is no complete list of landmarks")
    return points.reshape(-1, 2)
