# SPDX-License-Identifier: Apache-2.0
"""What the validations of L2R's steps measure on people kept from training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lineament.methods.l2r.camera import HALF
from lineament.methods.l2r.warp import Warp, turned, viewed
from lineament.render.vectors import dot, masked_mean, unit
from lineament.training.batch import Batch, centred


@dataclass(frozen=True)
class Shown:
    """A canonical shape in the pictures that show it."""

    normals: Tensor
    """[B, 3, S, S] unit, camera frame; zero where nothing is seen."""
    depth: Tensor
    """[B, 1, S, S] shares of the picture's side, larger is nearer; zero where nothing is seen."""
    seen: Tensor
    """[B, 1, S, S] bool."""


def shown(points: Tensor, normals: Tensor, view: Tensor, seen: Warp) -> Shown:
    """What pictures show of canonical points and normals, of which `warp` said where they are."""
    depth = (seen.of(viewed(points, view)[:, 2:]) + 1.0 * seen.seen) / (2.0 * HALF)
    return Shown(unit(turned(seen.of(normals), view)), depth, seen.seen)


class ViewErrors:
    """Running means over batches."""

    def __init__(self) -> None:
        self._found: list[dict[str, float]] = []

    def add(self, batch: Batch, shape: Shown, picture: Tensor, sheet: Path | None = None) -> None:
        """Measure a batch with normals and depth.

        Args:
            batch: The truth; its pictures are what should have been restored.
            shape: What is measured.
            picture: [B, 3, S, S] the picture rendered from it.
            sheet: Where to draw the batch, if anywhere.
        """
        inside = batch["face"] & shape.seen
        angle = torch.rad2deg(torch.acos(dot(shape.normals, batch["normals"]).clamp(-1.0, 1.0)))
        side = []
        for depth, truth, face in zip(shape.depth, batch["depth"], inside, strict=True):
            if int(face.sum()) > 16:
                distance = (1.0 - 2.0 * HALF * depth[face]).clamp_min(0.1)
                side.append(float((distance.log() - (1.0 - 2.0 * HALF * truth[face]).log()).std()))
        self._found.append(
            {
                "side_100": 100.0 * float(np.mean(side)) if side else float("nan"),
                "angle": float(masked_mean(angle, inside)),
                "colour": float(masked_mean((picture - batch.image).abs(), inside)),
                "seen": float(inside.sum() / batch["face"].sum().clamp_min(1)),
            }
        )
        if sheet is not None:
            write_sheet(sheet, batch, [picture, 0.5 * shape.normals + 0.5, 0.5 + centred(shape.depth, batch["face"])])

    def means(self) -> dict[str, float]:
        """By name, for the log."""
        return {f"validation_{name}": float(np.mean([f[name] for f in self._found])) for name in self._found[0]}


def write_sheet(path: Path, batch: Batch, rows: Sequence[Tensor], columns: int = 8) -> None:
    """Write a PNG: pictures, what the rows show of each, and the true normals."""
    from lineament.images.write import write_png

    strips = []
    for row in (batch.image, *rows, (0.5 * batch["normals"] + 0.5) * batch["face"]):
        pixels = (row[:columns].float().clamp(0, 1) * 255).round().byte().expand(-1, 3, -1, -1)
        strips.append(np.concatenate(list(pixels.permute(0, 2, 3, 1).cpu().numpy()), axis=1))
    write_png(path, np.concatenate(strips, axis=0))
