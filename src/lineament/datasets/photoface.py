# SPDX-License-Identifier: Apache-2.0
"""Photoface: faces under four flashes, whose photometric stereo gives normals.

Zafeiriou et al., "The Photoface database", CVPR Workshops 2011. Asked for at the University of the West of England
(Centre for Machine Vision); research only. Tables: Cas-FNE I and II, HFFNE 1 and 3, L2R 6.

The publishers' split is not known; HFFNE and Cas-FNE drew one of their own (about 80 % for training). Ours is by
identity, with a fixed seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item, as_mask, pictures, rgb, unit_map
from lineament.datasets.sample import Sample
from lineament.errors import DataError
from lineament.geometry.normals import normalize
from lineament.geometry.photometric import photometric_stereo

_ROW = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
_DARK, _BRIGHT = 12.0, 250.0  # grey values of shadow and saturation
_WHITE = 0.995  # prepared maps are white where there is no face
LARGEST_RESIDUAL = 0.1


class Photoface(Dataset):
    """Either form, told apart folder by folder.

    Layout: SUBJECT/SESSION/{im0..im3, LightSource.m} (raw), or SUBJECT/SESSION/{photos, sn_c.png, mask_c.png}

    Prepared (the form that CARN, HFFNE and Cas-FNE trained on): `sn_c.png` holds (n + 1) / 2 with x to the right, y up,
    z to the viewer, which is our frame; `mask_c.png` is the face (without it: where `sn_c.png` is not white); every
    other picture of the folder is a sample, the four flashes and any other.

    Raw: `im0` to `im3` under one flash each, and the flashes' directions as four rows of three numbers in
    `LightSource.m` (or `lights.txt`), x to the right, y up, z to the viewer. Normals are photometric stereo with a
    choice for shadows; pixels in the dark, saturated, or with a relative residual above 0.1 are left out.
    """

    NAME = "Photoface"

    def find_items(self) -> Iterator[Item]:
        """One item per photo."""
        for folder in sorted(path for path in self.root.rglob("*") if path.is_dir()):
            prepared = {path.name.lower(): path for path in pictures(folder)}
            if "sn_c.png" in prepared:
                labels = {"normals": prepared["sn_c.png"]}
                if "mask_c.png" in prepared:
                    labels["mask"] = prepared["mask_c.png"]
                photos = [path for name, path in prepared.items() if name not in ("sn_c.png", "mask_c.png")]
            else:
                photos = [path for path in pictures(folder) if re.fullmatch(r"im[0-3]", path.stem.lower())]
                lights = [path for name in ("LightSource.m", "lights.txt") if (path := folder / name).is_file()]
                if len(photos) != 4 or not lights:
                    continue
                labels = {"lights": lights[0], **{f"flash{number}": path for number, path in enumerate(photos)}}
            subject = folder.relative_to(self.root).parts[0]
            for photo in photos:
                name = photo.relative_to(self.root).with_suffix("").as_posix()
                yield Item(name, subject, {"image": photo, **labels})

    def read(self, item: Item) -> Sample:
        """A photo with its session's normals."""
        image = rgb(item.files["image"])
        if "lights" in item.files:
            normals, mask = self._solved(item)
        else:
            encoded = unit_map(item.files["normals"])
            mask = np.asarray((encoded <= _WHITE).any(axis=2))
            if "mask" in item.files:
                mask &= as_mask(item.files["mask"])
            normals = normalize(2.0 * encoded - 1.0).astype(np.float32) * mask[..., None]
        return Sample(image, item.name, item.subject, normals=normals, mask=mask, meta=item.meta)

    @staticmethod
    def _solved(item: Item) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        lights = read_lights(item.files["lights"])
        grey = np.stack([rgb(item.files[f"flash{number}"]).astype(np.float32).mean(axis=2) for number in range(4)])
        # Photos are coded for a screen; photometric stereo wants light.
        solved = photometric_stereo((grey / 255.0) ** 2.2, lights)
        mask = (solved.residual < LARGEST_RESIDUAL) & (grey.max(axis=0) > _DARK) & (grey.max(axis=0) < _BRIGHT)
        mask &= solved.normals[..., 2] > 0
        return np.asarray(solved.normals * mask[..., None], np.float32), np.asarray(mask, np.bool_)


def read_lights(path: Path) -> NDArray[np.float64]:
    """Four directions [4, 3] from a text of twelve numbers (a MATLAB matrix will do).

    Raises:
        DataError: Another number of numbers.
    """
    text = re.sub(r"%[^\n]*", "", path.read_text(errors="replace"))
    numbers = [float(number) for number in _ROW.findall(text.partition("=")[2] or text)]
    if len(numbers) != 12:
        raise DataError(f"{path} should hold four directions of three numbers, not {len(numbers)} numbers")
    return normalize(np.array(numbers).reshape(4, 3))
