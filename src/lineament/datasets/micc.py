# SPDX-License-Identifier: Apache-2.0
"""MICC: the Florence scans with frames of the videos (figure 1 of L2R, supplement of HRN)."""

from __future__ import annotations

from collections.abc import Iterator

from lineament.datasets.dataset import PICTURES, Item, folders
from lineament.datasets.scans import PhotosWithScan


class MICC(PhotosWithScan):
    """The Florence set with frames of its videos, as scan-to-mesh tables use it.

    Layout: subject_NN/Model/frontal1/obj/*.obj, and frames or photos anywhere else under subject_NN

    Asked for where `florence.Florence` is. Videos must be turned into frames first (ffmpeg does).
    """

    NAME = "MICC"

    def find_items(self) -> Iterator[Item]:
        """One item per frame."""
        for person in folders(self.root):
            scans = sorted((person / "Model").rglob("*.obj"))
            frames = sorted(path for path in person.rglob("*") if path.suffix.lower() in PICTURES)
            for frame in frames if scans else []:
                if "Model" not in frame.relative_to(person).parts:
                    name = frame.relative_to(self.root).with_suffix("").as_posix()
                    yield Item(name, person.name, {"image": frame, "scan": scans[0]})
