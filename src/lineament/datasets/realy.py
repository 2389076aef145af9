# SPDX-License-Identifier: Apache-2.0
"""REALY: 100 scans of Headspace cut into nose, mouth, forehead and cheek, with frontal and side pictures.

Chai et al., "REALY: rethinking the evaluation of 3D face reconstruction", ECCV 2022. With Headspace from the University
of York (www-users.york.ac.uk/~np7/research/Headspace); research only. Table: HRN 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lineament.datasets.dataset import PICTURES, Dataset, Item, rgb
from lineament.datasets.meshes import read_mesh, read_points
from lineament.datasets.sample import Sample
from lineament.errors import DataError
from lineament.files.reading import reading

REGIONS = ("nose", "mouth", "forehead", "cheek")


class REALY(Dataset):
    """One sample per picture, named as predictions must be (`1` is the frontal one, `1_1` to `1_4` are side views).

    Layout: REALY_image/**/ID[_VIEW].png, REALY_scan_region/ID/{nose,...}.obj, REALY_HIFI3D_keypoints/ID.obj

    Besides metrical_scale.txt of its code (github.com/czh-98/REALY, folder data), a line per scan from scan 1 on: the
    millimetres of a unit. The keypoints are 85 landmarks (68 and 17 on the cheeks) in the scan's frame.
    """

    NAME = "REALY"

    def find_items(self) -> Iterator[Item]:
        """Pictures whose scan is there."""
        scales = self._scales()
        seen: set[str] = set()
        for photo in sorted(path for path in (self.root / "REALY_image").rglob("*") if path.suffix.lower() in PICTURES):
            match = re.fullmatch(r"(\d+)(?:_(\d+))?", photo.stem)
            if match is None or photo.stem in seen:
                continue
            folder = self.root / "REALY_scan_region" / match[1]
            files = {name: folder / f"{name}.obj" for name in REGIONS}
            files["keypoints"] = self.root / "REALY_HIFI3D_keypoints" / f"{match[1]}.obj"
            if all(path.is_file() for path in files.values()):
                seen.add(photo.stem)
                meta: dict[str, float | str] = {"view": match[2] or "frontal"}
                if 0 < int(match[1]) <= len(scales):
                    meta["scale"] = scales[int(match[1]) - 1]
                yield Item(photo.stem, match[1], {"image": photo, **files}, meta)

    def _scales(self) -> list[float]:
        """Millimetres of a unit of each scan; none where the file is missing."""
        path = self.root / "metrical_scale.txt"
        if not path.is_file():
            return []
        with reading(path, "a number per scan", DataError):
            return [float(word) for word in path.read_text().split()]

    def read(self, item: Item) -> Sample:
        """A picture with its scan's regions and landmarks [85, 3], all in the scan's frame."""
        if "scale" not in item.meta:
            raise DataError(
                f"no scale of scan {item.subject}: copy metrical_scale.txt of REALY's code (data/) to {self.root}"
            )
        regions = {name: read_mesh(item.files[name]) for name in REGIONS}
        landmarks = read_points(item.files["keypoints"])
        image = rgb(item.files["image"])
        return Sample(image, item.name, item.subject, landmarks=landmarks, regions=regions, meta=item.meta)
