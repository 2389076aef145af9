# SPDX-License-Identifier: Apache-2.0
"""FFHQ: photos; L2R trains and tests its texture on them (tables 3 and 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lineament.datasets.dataset import PICTURES, Dataset, Item, rgb
from lineament.datasets.sample import Sample


class FFHQ(Dataset):
    """70 thousand photos at 1024² (Karras et al., "A style-based generator architecture", CVPR 2019).

    Layout: images1024x1024/NNNNN/NNNNN.png (or in-the-wild-images/, thumbnails128x128/)

    From github.com/NVlabs/ffhq-dataset; CC BY-NC-SA, each photo under its own licence. Numbers from 60000 on are the
    publishers' test split.
    """

    NAME = "FFHQ"

    def find_items(self) -> Iterator[Item]:
        """Photos, of the best resolution that is there."""
        for name in ("images1024x1024", "in-the-wild-images", "thumbnails128x128"):
            found = sorted(path for path in (self.root / name).rglob("*") if path.suffix.lower() in PICTURES)
            if found:
                for photo in found:
                    yield Item(photo.stem, photo.stem, {"image": photo})
                return

    def split(self, items: Sequence[Item], split: str) -> list[Item]:
        """The publishers' split by number."""
        return [item for item in items if (item.name.isdigit() and int(item.name) >= 60000) == (split == "test")]

    def read(self, item: Item) -> Sample:
        """A photo."""
        return Sample(rgb(item.files["image"]), item.name, item.subject)
