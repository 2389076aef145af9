# SPDX-License-Identifier: Apache-2.0
"""ESRC: scans with photos of several views (HRN's table 2)."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.datasets.dataset import Item, folders
from lineament.datasets.scans import MESHES, PhotosWithScan


class ESRC(PhotosWithScan):
    """ESRC 3D face database: 99 people, scanned with photos of several views (University of Stirling).

    Layout: SUBJECT/[EXPRESSION/] with a mesh (.obj, .ply or .wrl) and photos

    From pics.stir.ac.uk/ESRC; research only. Table: HRN 2, two views, split as Bai et al. (CVPR 2020). Scans are in
    millimetres. Pictures with the mesh's own name are its texture and no sample.
    """

    NAME = "ESRC"

    def find_items(self) -> Iterator[Item]:
        """One item per photo."""
        for person in folders(self.root):
            inner = [folder for folder in folders(person) if any(p.suffix.lower() in MESHES for p in folder.iterdir())]
            for folder in inner or [person]:
                yield from self.pair(folder, person.name)
