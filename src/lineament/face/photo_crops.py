# SPDX-License-Identifier: Apache-2.0
"""The largest face of each of many photos, cut to its canonical crop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import DataError, LineamentError
from lineament.face.detect import find, largest
from lineament.face.paste import region_of
from lineament.images.read import find_images, read_image
from lineament.training.photos import Crops, kept_arrays


def face_crops(photos: Sequence[Path], size: int) -> Crops:
    """The largest face of each photo in its canonical crop; photos without one, or damaged ones, are left out.

    Args:
        photos: Files and folders.
        size: Side of the crops, pixels.

    Raises:
        DataError: No face in any of them.
        NoImagesError: No photos.
    """
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
