# SPDX-License-Identifier: Apache-2.0
"""A sheet to look at: photos from a folder with their normals, uncertainty and two relit shadings.

``python benchmarks/portraits.py FOLDER [--output portraits.jpg]``. Taken are photos at even steps through the folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.errors import NoFaceError
from lineament.images import encode_normals
from lineament.images.read import find_images
from lineament.render.preview import shade_normals

SIDE = 224
LIGHTS = ((-0.75, 0.25, 0.6), (0.6, 0.6, 0.5))


def tiles(path: Path) -> NDArray[np.uint8] | None:
    """Crop, normals, uncertainty and shadings of a photo's largest face, side by side."""
    try:
        faces = lineament.estimate(path)
    except NoFaceError:
        return None
    face = max(faces, key=lambda f: f.box[2])
    mask = face.crop.extract(face.mask * np.uint8(255)) > 127
    last = face.stages[-1]
    sure = np.repeat((np.clip(5.0 * face.crop_uncertainty, 0, 255) * mask).astype(np.uint8)[..., None], 3, axis=2)
    shown = [face.crop_image, encode_normals(last * mask[..., None]), sure]
    shown += [np.repeat(shade_normals(last, light, mask)[..., None], 3, axis=2) for light in LIGHTS]
    sized = [
        cv2.resize(np.asarray(tile, np.uint8)[..., :3], (SIDE, SIDE), interpolation=cv2.INTER_AREA) for tile in shown
    ]
    return np.concatenate(sized, axis=1)


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("portraits.jpg"))
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    photos = find_images([str(arguments.folder)])
    chosen = photos[arguments.first :: max(1, len(photos) // arguments.count)][: arguments.count]
    rows = [row for path in chosen if (row := tiles(path)) is not None]
    columns = 3
    rows += [np.zeros_like(rows[0])] * (-len(rows) % columns)
    sheet = np.concatenate([np.concatenate(rows[i : i + columns], axis=1) for i in range(0, len(rows), columns)])
    cv2.imwrite(str(arguments.output), sheet[..., ::-1])


if __name__ == "__main__":
    main()
