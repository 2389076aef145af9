# SPDX-License-Identifier: Apache-2.0
"""Florence 2D/3D faces (also called MICC): 53 people, scanned and filmed.

Bagdanov, Del Bimbo and Masi, "The Florence 2D/3D hybrid face dataset", J-HGBU 2011. Asked for at the Media Integration
and Communication Center, University of Florence; research only. Tables: Cas-FNE III, HFFNE 2, L2R's figure 1, HRN's
supplement.

As Cross-modal, HFFNE and Cas-FNE do, the scans are rendered: the picture is the scan's texture seen from the front
where
there is one, else its shading, and the truth its normals.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb
from lineament.datasets.meshes import picture_of, read_mesh, view_mesh
from lineament.datasets.sample import Sample
from lineament.geometry.mesh import Mesh

SIZE = 256
"""Side of the renderings; HFFNE and Cas-FNE test at 256 × 256."""
_FACE = 0.72  # of the scan's height, from its middle: ears and neck are cut as in the papers' pictures


class Florence(Dataset):
    """One rendering per scan, frontal ones alone.

    Layout: subject_NN/Model/{frontal1,frontal2}/obj/*.obj, textures beside them.

    The scanner's frame is x to the image's right, y up, z to the viewer, in millimetres: ours.
    """

    NAME = "Florence 2D/3D"

    def find_items(self) -> Iterator[Item]:
        """The first frontal scan of each person; the second where the first is missing."""
        for folder in folders(self.root):
            for pose in ("frontal1", "frontal2"):
                scans = sorted((folder / "Model" / pose / "obj").glob("*.obj"))
                if scans:
                    files = {"scan": scans[0]}
                    photos = [path for path in pictures(scans[0].parent) if path.stem == scans[0].stem]
                    if photos:
                        files["texture"] = photos[0]
                    yield Item(f"{folder.name}-{pose}", folder.name, files)
                    break

    def read(self, item: Item) -> Sample:
        """The scan seen from the front."""
        whole = read_mesh(item.files["scan"])
        scan = cut_to_face(whole)
        view = view_mesh(scan, SIZE, margin=0.08, normals_of=whole)
        image = picture_of(view, scan, rgb(item.files["texture"]) if "texture" in item.files else None)
        return Sample(
            image,
            item.name,
            item.subject,
            normals=view.normals,
            mask=view.mask,
            depth=(view.depth * np.float32(view.scale)).astype(np.float32),
            scan=scan,
        )


def cut_to_face(scan: Mesh) -> Mesh:
    """The triangles in front of the middle of the head and around its height."""
    centres = scan.vertices[scan.triangles].mean(axis=1)
    low, high = np.percentile(scan.vertices, 1, axis=0), np.percentile(scan.vertices, 99, axis=0)
    middle, extent = (low + high) / 2, high - low
    kept = (np.abs(centres[:, 1] - middle[1]) < 0.5 * _FACE * extent[1]) & (centres[:, 2] > low[2] + 0.25 * extent[2])
    if not kept.any():
        return scan
    return Mesh(scan.vertices, scan.triangles[kept], None if scan.corner_uv is None else scan.corner_uv[kept])
