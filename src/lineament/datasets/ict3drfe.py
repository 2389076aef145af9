# SPDX-License-Identifier: Apache-2.0
"""ICT-3DRFE: 23 people in 15 expressions from a light stage, with albedo and photometric normals.

Stratou et al., "Effect of illumination on automatic expression recognition: a novel 3D relightable facial database",
FG 2011. Asked for at USC ICT. For relighting with estimated normals (metrics 7 of HFFNE and Cas-FNE); no table uses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb, unit_map
from lineament.datasets.sample import Sample
from lineament.geometry.normals import normalize

_KINDS = {
    "albedo": re.compile(r"diff(use)?[^n]*(albedo|texture|$)|albedo", re.IGNORECASE),
    "normals": re.compile(r"norm", re.IGNORECASE),
    "image": re.compile(r"(^|_)(photo|image|full|uniform|mixed)", re.IGNORECASE),
}


class ICT3DRFE(Dataset):
    """One sample per person and expression.

    Layout: SUBJECT/EXPRESSION/ with a picture of each kind in its name: albedo or diffuse, normal, and photo if any

    The publishers name files differently from release to release, so each kind is found by the words in its name.
    Normals are (n + 1) / 2, x to the right, y up, z to the viewer; albedo is stored with a screen's curve and comes out
    linear. Without a photo the albedo under a light at the camera takes its place.
    """

    NAME = "ICT-3DRFE"

    def find_items(self) -> Iterator[Item]:
        """Folders that hold an albedo and normals."""
        for person in folders(self.root):
            for folder in folders(person):
                kinds: dict[str, Path] = {}
                for path in pictures(folder):
                    kind = next((k for k in ("normals", "albedo", "image") if _KINDS[k].search(path.stem)), None)
                    if kind is not None:
                        kinds.setdefault(kind, path)
                if {"albedo", "normals"} <= set(kinds):
                    yield Item(f"{person.name}/{folder.name}", person.name, kinds)

    def read(self, item: Item) -> Sample:
        """Photo, albedo and normals."""
        encoded = unit_map(item.files["normals"])
        mask = np.linalg.norm(2.0 * encoded - 1.0, axis=2) > 0.5
        mask &= (encoded > 0.02).any(axis=2)
        normals = normalize(2.0 * encoded - 1.0).astype(np.float32) * mask[..., None]
        albedo = (unit_map(item.files["albedo"]) ** 2.2).astype(np.float32)
        if "image" in item.files:
            image = rgb(item.files["image"])
        else:
            lit = albedo * np.maximum(normals[..., 2:], 0.0)
            image = np.asarray(255.0 * lit.clip(0, 1) ** (1 / 2.2) + 0.5, np.uint8)
        return Sample(image, item.name, item.subject, normals=normals, mask=mask, albedo=albedo)
