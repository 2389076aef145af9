# SPDX-License-Identifier: Apache-2.0
"""What sets of photos with a scan share (ESRC, MICC, FaceHD-100)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lineament.datasets.dataset import PICTURES, Dataset, Item, rgb
from lineament.datasets.meshes import read_mesh
from lineament.datasets.sample import Sample

MESHES = frozenset({".obj", ".ply", ".wrl"})


class PhotosWithScan(Dataset):
    """Reads items that consist of a photo and a scan."""

    def read(self, item: Item) -> Sample:
        """A photo with its scan."""
        scan = read_mesh(item.files["scan"])
        return Sample(rgb(item.files["image"]), item.name, item.subject, scan=scan, meta=item.meta)

    def pair(self, folder: Path, subject: str) -> Iterator[Item]:
        """Every photo under a folder with the first mesh under it."""
        inside = sorted(path for path in folder.rglob("*") if path.is_file())
        scans = [path for path in inside if path.suffix.lower() in MESHES]
        textures = {path.stem for path in scans}
        for photo in inside if scans else []:
            if photo.suffix.lower() in PICTURES and photo.stem not in textures:
                name = photo.relative_to(self.root).with_suffix("").as_posix()
                yield Item(name, subject, {"image": photo, "scan": scans[0]})
