# SPDX-License-Identifier: Apache-2.0
"""CelebA and CelebAMask-HQ: photos; Unsup3D and L2R train on them, HFFNE and Cas-FNE show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lineament.datasets.dataset import Dataset, Item, as_mask, pictures, rgb
from lineament.datasets.sample import Sample

_BOX = ("x", "y", "width", "height")


class CelebA(Dataset):
    """200 thousand photos of 10 thousand people (Liu et al., "Deep learning face attributes in the wild", ICCV 2015).

    Layout: img_align_celeba/NNNNNN.jpg (or img_celeba/), list_eval_partition.txt, identity_CelebA.txt

    From mmlab.ie.cuhk.edu.hk/projects/CelebA; non-commercial research only. The split is the publishers'
    (validation counts as training); without the list, ours by identity. With `celeba_crop_bbox.txt` of Unsup3D beside
    it (a line per photo: name, split, x, y, width, height) photos are cut to its squares, borders repeated outwards,
    and its split and choice of photos count (data/celeba_crop.py of github.com/elliottwu/unsup3d; it makes them 128²).
    """

    NAME = "CelebA"

    def find_items(self) -> Iterator[Item]:
        """Photos with their identity and the publishers' split, where the lists are there."""
        people, parts = _pairs(self.root / "identity_CelebA.txt"), _pairs(self.root / "list_eval_partition.txt")
        boxes = _boxes(self.root / "celeba_crop_bbox.txt")
        folder = next(
            (self.root / name for name in ("img_align_celeba", "img_celeba") if (self.root / name).is_dir()), None
        )
        for photo in pictures(folder) if folder is not None else []:
            meta: dict[str, float | str] = {"part": parts[photo.name]} if photo.name in parts else {}
            if boxes and photo.name not in boxes:
                continue
            if boxes:
                part, *box = boxes[photo.name]
                meta = {"part": part, **dict(zip(_BOX, map(float, box), strict=True))}
            yield Item(photo.stem, people.get(photo.name, photo.stem), {"image": photo}, meta)

    def split(self, items: Sequence[Item], split: str) -> list[Item]:
        """The publishers' split: 0 training, 1 validation, 2 test."""
        if not all("part" in item.meta for item in items):
            return super().split(items, split)
        return [item for item in items if (item.meta["part"] == "2") == (split == "test")]

    def read(self, item: Item) -> Sample:
        """A photo, or the square of it that Unsup3D cuts out."""
        image = rgb(item.files["image"])
        if "width" in item.meta:
            x, y, width, height = (int(item.meta[name]) for name in _BOX)
            framed = np.pad(image, [(height, height), (width, width), (0, 0)], mode="edge")
            image = framed[y + height : y + 2 * height, x + width : x + 2 * width]
        return Sample(image, item.name, item.subject, meta=item.meta)


def _boxes(path: Path) -> dict[str, list[str]]:
    """Lines of six words by their first; empty if there is no such file."""
    if not path.is_file():
        return {}
    words = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: line[1:] for line in words if len(line) == 6}


def _pairs(path: Path) -> dict[str, str]:
    """Lines of two words as a mapping; empty if there is no such file."""
    if not path.is_file():
        return {}
    words = [line.split() for line in path.read_text().splitlines()]
    return {pair[0]: pair[1] for pair in words if len(pair) == 2}


class CelebAMaskHQ(Dataset):
    """30 thousand photos at 1024² with parts labelled (Lee et al., "MaskGAN", CVPR 2020).

    Layout: CelebA-HQ-img/N.jpg, CelebAMask-HQ-mask-anno/K/NNNNN_skin.png and other parts

    From github.com/switchablenorms/CelebAMask-HQ; non-commercial research only. The mask is skin, nose, eyes, brows,
    mouth and lips, less glasses, at the photo's resolution.
    """

    NAME = "CelebAMask-HQ"
    PARTS = ("skin", "nose", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")

    def find_items(self) -> Iterator[Item]:
        """Photos with the parts that are labelled."""
        for photo in pictures(self.root / "CelebA-HQ-img"):
            number = int(photo.stem) if photo.stem.isdigit() else -1
            folder = self.root / "CelebAMask-HQ-mask-anno" / str(number // 2000)
            wanted = (*self.PARTS, "eye_g")
            parts = {part: folder / f"{number:05d}_{part}.png" for part in wanted}
            yield Item(photo.stem, photo.stem, {"image": photo, **{k: v for k, v in parts.items() if v.is_file()}})

    def read(self, item: Item) -> Sample:
        """A photo with its face's mask."""
        import cv2

        image = rgb(item.files["image"])
        mask = np.zeros(image.shape[:2], np.bool_)
        for part in (*self.PARTS, "eye_g"):
            if part in item.files:
                labelled = as_mask(item.files[part]).astype(np.uint8)
                resized = cv2.resize(labelled, image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
                mask = mask & ~resized if part == "eye_g" else mask | resized
        return Sample(image, item.name, item.subject, mask=mask)
