# SPDX-License-Identifier: Apache-2.0
"""NoW: photos of 100 people in four challenges, of 20 of whom (validation) the neutral scans are published.

Sanyal et al., "Learning to Regress 3D Face Shape and Expression from an Image without 3D Supervision", CVPR 2019. From
now.is.tue.mpg.de; research only. The layout is that of its evaluation code (github.com/soubhiksanyal/now_evaluation,
compute_error.py) and of DECA's reader (github.com/yfeng95/DECA, decalib/datasets/now.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item, rgb
from lineament.datasets.meshes import read_mesh
from lineament.datasets.sample import Sample
from lineament.errors import DataError
from lineament.files.reading import read_bounded

CHALLENGES = ("multiview_neutral", "multiview_expressions", "multiview_occlusions", "selfie")
_POINT = re.compile(r"<point\b[^>]*>")
_LARGEST_LIST = 1 << 20


class NoW(Dataset):
    """One sample per photo of the validation list, named as predictions must be: SUBJECT/CHALLENGE/PHOTO.

    Layout: imagepathsvalidation.txt, final_release_version/iphone_pictures/, scans/ and scans_lmks_onlypp/

    Photos are iphone_pictures/SUBJECT/CHALLENGE/*.jpg, also without final_release_version; scans are
    scans/SUBJECT/*.obj, their landmarks scans_lmks_onlypp/SUBJECT/*.pp. A line of the list ends in
    SUBJECT/CHALLENGE/PHOTO.jpg. A scan is in millimetres; its seven landmarks are MeshLab's picked points.
    """

    NAME = "NoW"

    def find_items(self) -> Iterator[Item]:
        """Photos of the list whose scan and landmarks are there."""
        listed = self.root / "imagepathsvalidation.txt"
        if not listed.is_file():
            return
        released = self.root / "final_release_version"
        photos = (released if released.is_dir() else self.root) / "iphone_pictures"
        for line in read_bounded(listed, _LARGEST_LIST, DataError).decode("utf-8", "replace").split():
            subject, challenge, name = (["", "", *line.split("/")])[-3:]
            photo = photos / subject / challenge / name
            scan, points = (self._only(folder, subject) for folder in (("scans", ".obj"), ("scans_lmks_onlypp", ".pp")))
            if scan is not None and points is not None and photo.is_file():
                files = {"image": photo, "scan": scan, "landmarks": points}
                yield Item(f"{subject}/{challenge}/{photo.stem}", subject, files, {"challenge": challenge})

    def read(self, item: Item) -> Sample:
        """A photo with its person's scan and seven landmarks."""
        scan, landmarks = read_mesh(item.files["scan"]), picked_points(item.files["landmarks"])
        image = rgb(item.files["image"])
        return Sample(image, item.name, item.subject, scan=scan, landmarks=landmarks, meta=item.meta)

    def _only(self, folder: tuple[str, str], subject: str) -> Path | None:
        """The first file of a kind in a person's folder."""
        name, suffix = folder
        for base in (self.root, self.root / "final_release_version"):
            found = sorted((base / name / subject).glob(f"*{suffix}"))
            if found:
                return found[0]
        return None


def picked_points(path: Path) -> NDArray[np.float64]:
    """The points [K, 3] of a MeshLab file of picked points, in its order.

    Raises:
        DataError: It cannot be read, or is no list of points.
    """
    text = read_bounded(path, _LARGEST_LIST, DataError).decode("utf-8", "replace")
    rows = []
    for point in _POINT.findall(text):
        values = dict(re.findall(r"\b([xyz])\s*=\s*\"([^\"]*)\"", point))
        try:
            rows.append([float(values[axis]) for axis in "xyz"])
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} has a point without numbers x, y and z") from error
    points = np.array(rows, dtype=np.float64).reshape(-1, 3)
    if not len(points) or not np.isfinite(points).all():
        raise DataError(f"{path} holds no picked points, or some that are not finite")
    return points
