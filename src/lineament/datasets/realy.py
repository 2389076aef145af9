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

REGIONS = ("nose", "mouth", "forehead", "cheek")


class REALY(Dataset):
    """One sample per picture, named as predictions must be (`1` is the frontal one, `1_1` to `1_4` are side views).

    Layout: REALY_image/**/ID[_VIEW].png, REALY_scan_region/ID/{nose,...}.obj, REALY_HIFI3D_keypoints/ID.obj

    The keypoints are 85 landmarks (68 and 17 on the cheeks) in the scan's frame; `metrical_scale.txt`, where it is
    there,
    has a line per scan with the millimetres of a unit.
    """

    NAME = "REALY"

    def detect_faces(self) -> Iterator[Item]:
        """Pictures whose scan is there."""
        scale_file = self.root / "metrical_scale.txt"
        scales = [float(word) for word in scale_file.read_text().split()] if scale_file.is_file() else []
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
                number = int(match[1])
                scale = scales[number - 1] if 0 < number <= len(scales) else 1.0
                meta: dict[str, float | str] = {"view": match[2] or "frontal", "scale": scale}
                yield Item(photo.stem, match[1], {"image": photo, **files}, meta)

    def read(self, item: Item) -> Sample:
        """A picture with its scan's regions and landmarks [85, 3], all in the scan's frame."""
        regions = {name: read_mesh(item.files[name]) for name in REGIONS}
        landmarks = read_points(item.files["keypoints"])
        image = rgb(item.files["image"])
        return Sample(image, item.name, item.subject, landmarks=landmarks, regions=regions, meta=item.meta)
