# SPDX-License-Identifier: Apache-2.0
"""BU-3DFE: 100 people in 25 scans each (seven expressions at up to four strengths).

Yin et al., "A 3D facial expression database for facial behavior research", FG 2006. Asked for at Binghamton University;
research only. Table: DF2Net 2, on all subjects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from lineament.datasets.dataset import Dataset, Item, folders, rgb
from lineament.datasets.meshes import picture_of, read_mesh, view_mesh
from lineament.datasets.sample import Sample

SIZE = 512
"""Side of the rendering, DF2Net's own input."""
_SCAN = re.compile(r"([FM]\d{4})_([A-Z]{2})(\d{2})([A-Z]{2})_F3D", re.IGNORECASE)


class BU3DFE(Dataset):
    """One rendering per scan: picture, depth in millimetres and normals.

    Layout: F0001/F0001_AN01WH_F3D.wrl with its texture F0001_AN01WH_F3D.bmp beside it

    The scanner's frame is x to the image's right, y up, z to the viewer, in millimetres: ours. "Aligned with the ground
    truth", as DF2Net asks, are the texture and the depth of one and the same view from the front.
    """

    NAME = "BU-3DFE"

    def find_items(self) -> Iterator[Item]:
        """One item per scan."""
        for folder in folders(self.root):
            for scan in sorted(folder.glob("*_F3D.wrl")):
                match = _SCAN.fullmatch(scan.stem)
                if match is None:
                    continue
                files = {"scan": scan}
                texture = scan.with_suffix(".bmp")
                if texture.is_file():
                    files["texture"] = texture
                yield Item(scan.stem, match[1], files, {"expression": match[2], "level": float(match[3])})

    def read(self, item: Item) -> Sample:
        """The scan seen from the front."""
        scan = read_mesh(item.files["scan"])
        view = view_mesh(scan, SIZE)
        texture = rgb(item.files["texture"]) if "texture" in item.files else None
        return Sample(
            picture_of(view, scan, texture),
            item.name,
            item.subject,
            normals=view.normals,
            mask=view.mask,
            depth=np.asarray(view.depth, np.float32),
            scan=scan,
            meta={**item.meta, "pixels_per_millimetre": view.scale},
        )
