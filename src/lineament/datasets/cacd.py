# SPDX-License-Identifier: Apache-2.0
"""CACD: photos of people as they age; DF2Net trains on those with much detail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lineament.datasets.dataset import Dataset, Item, pictures, rgb
from lineament.datasets.sample import Sample


class CACD(Dataset):
    """160 thousand photos of 2000 celebrities over ten years (Chen, Chen and Hsu, "Cross-age reference coding", 2014).

    Layout: CACD2000/AGE_First_Last_NNNN.jpg (the photos may also lie in the folder itself)

    From bcsiriuschen.github.io/CARC; research only. Age and name are in the file's name; DF2Net trained its last stage
    on 5000 of these photos with much detail.
    """

    NAME = "CACD"

    def find_items(self) -> Iterator[Item]:
        """Photos whose name says age and person."""
        folder = self.root / "CACD2000" if (self.root / "CACD2000").is_dir() else self.root
        for photo in pictures(folder):
            match = re.fullmatch(r"(\d+)_(.+)_(\d{4})", photo.stem)
            if match:
                yield Item(photo.stem, match[2].replace("_", " "), {"image": photo}, {"age": float(match[1])})

    def read(self, item: Item) -> Sample:
        """A photo with the person's age."""
        return Sample(rgb(item.files["image"]), item.name, item.subject, meta=item.meta)
