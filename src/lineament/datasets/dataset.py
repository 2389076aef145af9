# SPDX-License-Identifier: Apache-2.0
"""What all datasets share: items that are listed first and read one at a time, and broken ones that are named."""

from __future__ import annotations

import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import DataError, LineamentError
from lineament.images.read import read_image
from lineament.images.resize import to_uint8

log = logging.getLogger(__name__)

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm"})
SPLIT_SEED = 20240
"""Of the split by identity; published splits are not at hand, so that every table says which one it used."""


@dataclass(frozen=True)
class Item:
    """Where one sample's files are."""

    name: str
    """Unique in the dataset."""
    subject: str
    files: Mapping[str, Path]
    meta: Mapping[str, float | str] = field(default_factory=dict)


class Dataset(ABC):
    """A dataset on disk. Iterating reads one sample at a time and keeps none."""

    NAME: ClassVar[str]
    """As papers write it."""

    def __init__(self, root: Path | str, split: str = "all") -> None:
        """Look for the items; no picture is opened.

        Args:
            root: The dataset's folder, laid out as its publishers ship it.
            split: "all", or "train" and "test" as `by_identity` (or the dataset's own lists) tells them apart.

        Raises:
            DataError: No such folder, no item in it, or an unknown split.
        """
        self.root = Path(root)
        self.skipped: list[str] = []
        """A line for each item that could not be read, filled while iterating."""
        if not self.root.is_dir():
            raise DataError(f"there is no folder {self.root}")
        if split not in ("all", "train", "test"):
            raise DataError(f"unknown split {split!r}: take all, train or test")
        items = sorted(self.find_items(), key=lambda item: item.name)
        if not items:
            raise DataError(f"{self.root} holds no item of {self.NAME}: {self.layout()}")
        self.items: tuple[Item, ...] = tuple(items if split == "all" else self.split(items, split))

    @abstractmethod
    def find_items(self) -> Iterator[Item]:
        """All items in the folder, in any order."""

    @abstractmethod
    def read(self, item: Item) -> Sample:
        """Read one item.

        Raises:
            LineamentError, OSError, ValueError: It is damaged; iterating skips it then.
        """

    @classmethod
    def layout(cls) -> str:
        """The layout that is looked for: the line of the class's docstring that begins with the word."""
        lines = [line.strip() for line in (cls.__doc__ or "").splitlines()]
        return next((line for line in lines if line.startswith("Layout: ")), "see its documentation")

    def split(self, items: Sequence[Item], split: str) -> list[Item]:
        """The items of a split; eighty of a hundred identities are for training, chosen by `SPLIT_SEED`."""
        return by_identity(items, split)

    def only(self, items: Sequence[Item]) -> Dataset:
        """The same dataset with fewer items."""
        chosen = copy.copy(self)
        chosen.items, chosen.skipped = tuple(items), []
        return chosen

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        """Every sample that can be read. The others are named in the log and in `skipped`, and counted at the end."""
        self.skipped = []
        for item in self.items:
            try:
                sample = self.read(item)
            except (LineamentError, OSError, ValueError, KeyError, IndexError, SyntaxError) as error:
                self.skipped.append(f"{item.name}: {' '.join(str(error).split()) or type(error).__name__}")
                log.warning("left out %s", self.skipped[-1])
                continue
            yield sample
        if self.skipped:
            log.warning("%s: %d of %d items could not be used", self.NAME, len(self.skipped), len(self.items))


def by_identity(items: Sequence[Item], split: str, share: float = 0.8, seed: int = SPLIT_SEED) -> list[Item]:
    """Items of "train" or "test": identities are shuffled by the seed, so that no person is in both."""
    people = sorted({item.subject for item in items})
    order = np.random.default_rng(seed).permutation(len(people))
    training = {people[number] for number in order[: round(share * len(people))]}
    return [item for item in items if (item.subject in training) == (split == "train")]


def pictures(folder: Path) -> list[Path]:
    """Picture files directly in a folder, sorted; an empty list if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())


def folders(folder: Path) -> list[Path]:
    """Folders directly in a folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def rgb(path: Path) -> NDArray[np.uint8]:
    """A photo as [H, W, 3] uint8."""
    return to_uint8(read_image(path))


def unit_map(path: Path) -> NDArray[np.float32]:
    """A picture's values in [0, 1], [H, W, 3], in the file's precision."""
    picture = read_image(path)
    return (
        picture.astype(np.float32) / np.float32(255) if picture.dtype == np.uint8 else np.asarray(picture, np.float32)
    )


def as_mask(path: Path) -> NDArray[np.bool_]:
    """Where a mask picture is brighter than half."""
    return np.asarray(unit_map(path).mean(axis=2) > 0.5)
