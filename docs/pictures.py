# SPDX-License-Identifier: Apache-2.0
"""Make the README's pictures with the current code: ``python docs/pictures.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import lineament
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig

FOLDER = Path(__file__).parent / "images"


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(lineament.estimate(data.astronaut())[0].sheet()).save(FOLDER / "demo.png", optimize=True)
    batch = Generator(SynthConfig(size=192), load_rig()).batch(range(100, 116))
    photos = batch.image.permute(0, 2, 3, 1).numpy()
    normals = (0.5 * batch.normals + 0.5 * (batch.normals.norm(dim=1, keepdim=True) > 0)).permute(0, 2, 3, 1).numpy()
    rows = [np.concatenate(list(tiles[start : start + 8]), axis=1) for start in (0, 8) for tiles in (photos, normals)]
    picture = (np.concatenate(rows, axis=0).clip(0, 1) * 255).astype(np.uint8)
    Image.fromarray(picture).save(FOLDER / "synthetic.jpg", quality=88)


if __name__ == "__main__":
    main()
