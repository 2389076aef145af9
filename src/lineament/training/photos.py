# SPDX-License-Identifier: Apache-2.0
"""Real photos without labels: canonical crops of their faces, and endless batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from lineament.errors import DataError, LineamentError
from lineament.images.write import atomic_path
from lineament.training.data import Batch
from lineament.training.parallel import dealt, rank, wait

Crops = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""Crops [N, S, S, 3] RGB, and where the face is in each, [N, S, S]."""


def face_crops(photos: Sequence[Path], size: int) -> Crops:
    """The largest face of each photo in its canonical crop; photos without one, or damaged ones, are left out.

    Args:
        photos: Files and folders.
        size: Side of the crops, pixels.

    Raises:
        DataError: No face in any of them.
        NoImagesError: No photos.
    """
    from lineament.face import find, largest
    from lineament.face.paste import region_of
    from lineament.images.read import find_images, read_image

    crops, masks = [], []
    for path in find_images(photos):
        try:
            image = read_image(path)
        except LineamentError:
            continue
        for face in largest(find)(image):
            assert face.reading is not None
            crop = face.reading.crop.at(size)
            crops.append(crop.extract(image))
            masks.append(region_of(face.reading, crop, *image.shape[:2]).in_crop)
    if not crops:
        raise DataError(f"no face was found in {', '.join(map(str, photos))}")
    return np.stack(crops), np.stack(masks)


def kept_face_crops(photos: Sequence[Path], size: int, folder: Path) -> Crops:
    """`face_crops`, kept in a folder, so that a run that goes on need not search again."""

    def made() -> dict[str, NDArray[Any]]:
        crops, masks = face_crops(photos, size)
        return {"crops": crops, "masks": masks}

    kept = kept_arrays(folder / f"photos-{size}.npz", made)
    return kept["crops"], kept["masks"]


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
