# SPDX-License-Identifier: Apache-2.0
"""FaceHD-100: HRN's own scans with photos, for its training."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.datasets.dataset import Item, folders
from lineament.datasets.scans import PhotosWithScan


class FaceHD100(PhotosWithScan):
    """FaceHD-100: 100 people, nine cameras (Lei et al., HRN, CVPR 2023).

    Layout: SUBJECT/[EXPRESSION/] with a mesh and photos

    Announced at younglbw.github.io/HRN-homepage. Its layout is not published, so this is the plainest one: whoever
    holds
    the data arranges it so. HRN trained on all of it.
    """

    NAME = "FaceHD-100"

    def find_items(self) -> Iterator[Item]:
        """One item per photo."""
        for person in folders(self.root):
            for folder in folders(person) or [person]:
                yield from self.pair(folder, person.name)
