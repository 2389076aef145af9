# SPDX-License-Identifier: Apache-2.0
"""Real photos without labels: endless batches of their crops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from lineament.errors import DataError
from lineament.files.writing import atomic_path
from lineament.training.data import Batch
from lineament.training.parallel import dealt, rank, wait

Crops = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Crops [N, S, S, 3] RGB, and where the face is in each, [N, S, S]."""


def kept_arrays(path: Path, make: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """The arrays of a file (.npz). Where there is none, or a damaged one, process 0 makes it; the others wait for it.

    Raises:
        OutputError: The file cannot be written.
    """
    if rank() == 0 and _arrays_of(path) is None:
        with atomic_path(path) as temporary:
            np.savez(temporary, **make())  # type: ignore[arg-type]  # the stubs take them for allow_pickle
    wait()
    kept = _arrays_of(path)
    if kept is None:
        raise DataError(f"cannot read {path}; delete it, and it is made again")
    return kept


def _arrays_of(path: Path) -> dict[str, NDArray[Any]] | None:
    """The arrays of a file, or None where there is no file or a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, EOFError, BadZipFile):
        return None


def photo_batches(crops: Crops, count: int, seed: int, first: int, device: torch.device) -> Iterator[Batch]:
    """Endless batches of photos from the ``first`` on, with zero normals; batch n is a function of (seed, n).

    Args:
        crops: Crops and masks.
        count: Photos of a batch.
        seed: Of the choice.
        first: Number of the first batch.
        device: Where batches are put.
    """
    pictures, masks = crops
    for number in dealt(first, "train"):
        picked = np.random.default_rng((seed, number)).integers(0, len(pictures), count)
        image = torch.from_numpy(pictures[picked]).permute(0, 3, 1, 2).float() / 255.0
        face = torch.from_numpy(masks[picked])[:, None]
        yield Batch(image, torch.zeros_like(image), face).to(device)
