# SPDX-License-Identifier: Apache-2.0
"""Photoface: faces under four flashes, whose photometric stereo gives normals.

Zafeiriou et al., "The Photoface database", CVPR Workshops 2011, and the description that comes with it: a folder per
session, four flashes as bitmaps, zenith and azimuth of each in LightSource.m; normals are left to the user. Asked for
at the University of the West of England (Centre for Machine Vision); research only. Tables: Cas-FNE I and II, HFFNE 1
and 3, L2R 6.

The publishers' split is not known; HFFNE and Cas-FNE drew one of their own (about 80 % for training). Ours is by
identity, with a fixed seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item, as_mask, pictures, rgb, unit_map
from lineament.datasets.sample import Sample
from lineament.errors import DataError
from lineament.geometry.normals import normalize
from lineament.geometry.photometric import photometric_stereo

_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")
_DARK, _BRIGHT = 12.0, 250.0  # grey values of shadow and saturation
_WHITE = 0.995  # prepared maps are white where there is no face
LARGEST_RESIDUAL = 0.1
_BULGING = 0.2  # correlation of a normal's component with its place below which nothing bulges


class Photoface(Dataset):
    """Either form, told apart folder by folder.

    Layout: SUBJECT/SESSION/{im0..im3, LightSource.m} (raw), or SUBJECT/SESSION/{photos, sn_c.png, mask_c.png}

    Prepared (the form that CARN, HFFNE and Cas-FNE trained on): `sn_c.png` holds (n + 1) / 2; `mask_c.png` is the face
    (without it: where `sn_c.png` is not white); every other picture of the folder is a sample, the four flashes and any
    other.

    Raw: `im0` to `im3` under one flash each, and the flashes' zenith and azimuth in `LightSource.m`. Normals are
    photometric stereo with a choice for shadows; pixels in the dark, saturated, or with a relative residual above 0.1
    are left out.

    Which way x and y point is published for neither form (the prepared one is said to hold y in red and x, turned
    round, in green): it is told by the faces themselves, which bulge towards the viewer (`upright`).
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
                lights = folder / "LightSource.m"
                if len(photos) != 4 or not lights.is_file():
                    continue
                labels = {"lights": lights, **{f"flash{number}": path for number, path in enumerate(photos)}}
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
            normals = upright(normalize(2.0 * encoded - 1.0), mask).astype(np.float32) * mask[..., None]
        return Sample(image, item.name, item.subject, normals=normals, mask=mask, meta=item.meta)

    @staticmethod
    def _solved(item: Item) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        lights = read_lights(item.files["lights"])
        grey = np.stack([rgb(item.files[f"flash{number}"]).astype(np.float32).mean(axis=2) for number in range(4)])
        # Photos are coded for a screen; photometric stereo wants light.
        solved = photometric_stereo((grey / 255.0) ** 2.2, lights)
        mask = (solved.residual < LARGEST_RESIDUAL) & (grey.max(axis=0) > _DARK) & (grey.max(axis=0) < _BRIGHT)
        mask &= solved.normals[..., 2] > 0
        return upright(solved.normals, mask).astype(np.float32) * mask[..., None], np.asarray(mask, np.bool_)


def read_lights(path: Path) -> NDArray[np.float64]:
    """Four directions [4, 3] from zeniths and azimuths, a MATLAB matrix of a row per light or of a row per angle.

    Degrees, or radians where none is larger than a turn of them. Azimuths count from the first axis towards the second,
    wherever these point (`upright`).

    Raises:
        DataError: No such matrix.
    """
    text = re.sub(r"%[^\n]*", "", path.read_text(errors="replace"))
    rows = [_NUMBER.findall(row) for row in re.split(r"[;\n]", text.rpartition("[")[2].partition("]")[0])]
    rows = [row for row in rows if row]
    if [len(row) for row in rows] not in ([2] * 4, [4] * 2):
        raise DataError(f"{path} should hold zenith and azimuth of four lights, [z a; z a; z a; z a]")
    angles = np.array(rows, np.float64)
    zenith, azimuth = angles.T if len(angles) == 4 else angles
    if np.abs(angles).max() > 2.0 * np.pi:
        zenith, azimuth = np.radians(zenith), np.radians(azimuth)
    return np.stack([np.sin(zenith) * np.cos(azimuth), np.sin(zenith) * np.sin(azimuth), np.cos(zenith)], axis=1)


def upright(normals: NDArray[np.floating[Any]], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Normals whose first two axes point somewhere along the picture's, with x to the right and y up.

    Of something that bulges towards the viewer x grows to the right and y upwards: of the eight ways in which two axes
    can lie, the one is taken with which both do most clearly.

    Args:
        normals: [H, W, 3], z to the viewer.
        mask: [H, W] where they are known.

    Raises:
        DataError: Fewer than three pixels are known, or nothing bulges.
    """
    row, column = np.nonzero(mask)
    if len(row) < 3:
        raise DataError("no pixel of the face is known")
    right, up = column - column.mean(), row.mean() - row
    first, second = (normals[mask][:, axis] - normals[mask][:, axis].mean() for axis in (0, 1))

    def alike(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
        return float((a * b).sum() / max(1e-12, np.sqrt((a * a).sum() * (b * b).sum())))

    straight, crossed = (alike(first, right), alike(second, up)), (alike(second, right), alike(first, up))
    swapped = sum(map(abs, crossed)) > sum(map(abs, straight))
    x, y = crossed if swapped else straight
    if min(abs(x), abs(y)) < _BULGING:
        raise DataError("the normals are those of nothing that bulges towards the viewer, as a face does")
    axes = normals[..., [1, 0, 2]] if swapped else normals
    return np.asarray(axes * np.array([np.sign(x), np.sign(y), 1.0]))
