# SPDX-License-Identifier: Apache-2.0
"""DF²Net's photos with depth from another method, and photos alone (section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lineament.errors import DataError, LineamentError
from lineament.training.depth_data import DepthBatch
from lineament.training.parallel import dealt
from lineament.training.photos import kept_arrays


@dataclass(frozen=True)
class PhotoDepths:
    """Real faces with depth from another method of ours."""

    crops: NDArray[np.uint8]  # [N, S, S, 3]
    masks: NDArray[np.bool_]  # [N, S, S]
    depths: NDArray[np.float32]  # [N, S, S] shares of the side, mean of the face zero

    def batches(self, count: int, seed: int, first: int, device: torch.device) -> Iterator[DepthBatch]:
        """Endless batches from the ``first`` on, each a function of (seed, number); their albedo is not known."""
        for number in dealt(first, "train"):
            picked = np.random.default_rng((seed, number)).integers(0, len(self.crops), count)
            image = torch.from_numpy(self.crops[picked]).permute(0, 3, 1, 2).float() / 255.0
            depth, face = (torch.from_numpy(a[picked])[:, None] for a in (self.depths, self.masks))
            yield DepthBatch(image, depth, torch.zeros_like(image), face).to(device)


def photo_depths(photos: Sequence[Path], size: int, folder: Path, method: str = "casfne-s") -> PhotoDepths:
    """The largest face of each photo with the depth that a method's normals integrate to; kept in a folder.

    Args:
        photos: Files and folders; those without a face, or damaged, are left out.
        size: Side of the crops, pixels.
        folder: Where the result is kept, so that a run that goes on need not estimate again.
        method: Whose normals.

    Raises:
        DataError: No face in any of them.
        NoImagesError: No photos.
    """
    kept = kept_arrays(folder / f"photo-depths-{size}.npz", lambda: _estimated(photos, size, method))
    return PhotoDepths(**kept)


def _estimated(photos: Sequence[Path], size: int, method: str) -> dict[str, NDArray[Any]]:
    import cv2

    import lineament
    from lineament.images.read import find_images, read_image

    estimator = lineament.load(method)
    crops, masks, depths = [], [], []
    for path in find_images(photos):
        try:
            image = read_image(path)
            face = max(estimator.estimate(image), key=lambda found: found.box[2])
            surface = face.surface
        except LineamentError:
            continue
        depth = cv2.resize(surface.crop_depth / surface.crop.side, (size, size), interpolation=cv2.INTER_LINEAR)
        crops.append(surface.crop.at(size).extract(image))
        masks.append(surface.crop.at(size).extract(face.mask * np.uint8(255)) > 127)
        depths.append(np.asarray(depth, np.float32))
    if not crops:
        raise DataError(f"no face was found in {', '.join(map(str, photos))}")
    return {"crops": np.stack(crops), "masks": np.stack(masks), "depths": np.stack(depths)}
