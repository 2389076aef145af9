# SPDX-License-Identifier: Apache-2.0
"""A sheet to look at: photos from a folder with their normals, uncertainty and two relit shadings.

``python tools/portraits.py FOLDER [--output portraits.jpg] [--method hffne-s --every-stage]``. Taken are photos at even
steps through the folder. Each stage's normals and shadings, or the last one's.
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


def tiles(path: Path, estimator: lineament.Estimator, every_stage: bool) -> NDArray[np.uint8] | None:
    """Crop, normals, uncertainty and shadings of a photo's largest face, side by side."""
    try:
        faces = estimator.estimate(path)
    except NoFaceError:
        return None
    face = max(faces, key=lambda f: f.box[2])
    mask = face.crop.extract(face.mask * np.uint8(255)) > 127
    stages = face.stages if every_stage else face.stages[-1:]
    shown = [face.crop_image, *(encode_normals(stage * mask[..., None]) for stage in stages)]
    if face.crop_uncertainty is not None:
        sure = (np.clip(5.0 * face.crop_uncertainty, 0, 255) * mask).astype(np.uint8)
        shown.append(np.repeat(sure[..., None], 3, axis=2))
    lit = (shade_normals(stage, light, mask) for light in LIGHTS for stage in stages)
    shown += [np.repeat(shading[..., None], 3, axis=2) for shading in lit]
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
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--every-stage", action="store_true")
    parser.add_argument("--columns", type=int, default=3)
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method)
    photos = find_images([str(arguments.folder)])
    chosen = photos[arguments.first :: max(1, len(photos) // arguments.count)][: arguments.count]
    rows = [row for path in chosen if (row := tiles(path, estimator, arguments.every_stage)) is not None]
    columns = arguments.columns
    rows += [np.zeros_like(rows[0])] * (-len(rows) % columns)
    sheet = np.concatenate([np.concatenate(rows[i : i + columns], axis=1) for i in range(0, len(rows), columns)])
    cv2.imwrite(str(arguments.output), sheet[..., ::-1])


if __name__ == "__main__":
    main()
