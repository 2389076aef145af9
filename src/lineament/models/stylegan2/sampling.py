# SPDX-License-Identifier: Apache-2.0
"""What both of StyleGAN2's trainings share: growth, and a sheet of what the generator makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lineament.errors import WeightsError
from lineament.models.stylegan2.model import StyleGAN2
from lineament.networks.weight_files import load_weights

_ROWS, _COLUMNS = 3, 8


def grow(model: StyleGAN2, path: Path) -> None:
    """Give a generator the weights of a file's, which may be of smaller pictures: its stages become the first ones.

    Raises:
        WeightsError: The file cannot be read, or its generator is no part of this one.
    """
    known, size = load_weights(path, StyleGAN2), model.config.size
    if known.config.size > size or replace(known.config, size=size) != model.config:
        raise WeightsError(f"{path} holds a StyleGAN2 of another size than the one that is asked for")
    model.load_state_dict({**model.state_dict(), **known.state_dict()})


@torch.no_grad()
def write_samples(model: StyleGAN2, device: torch.device, sheet: Path) -> None:
    """Write a PNG with pictures of latents that are always the same."""
    from lineament.images.write import write_png

    chance = torch.Generator().manual_seed(1)
    z = torch.randn(_ROWS * _COLUMNS, model.config.latent, generator=chance).to(device)
    pixels = (255 * model(z, noise=False)).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = [np.concatenate(list(row), axis=1) for row in pixels.reshape(_ROWS, _COLUMNS, *pixels.shape[1:])]
    write_png(sheet, np.concatenate(rows))
