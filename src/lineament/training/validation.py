# SPDX-License-Identifier: Apache-2.0
"""Angular error on people kept from training, alike for every method that estimates normals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lineament.render.vectors import dot
from lineament.training.batch import Batch
from lineament.training.log import write_sheet

Estimate = Callable[[Batch], tuple[Sequence[Tensor], Batch]]
"""From a batch to normals [B, 3, H, W] of every stage, and the batch at their resolution."""


@torch.no_grad()
def angular_errors(source: Iterable[Batch], estimate: Estimate, sheet: Path | None) -> list[float]:
    """Mean angular error in degrees over face pixels, per stage.

    Args:
        source: Labelled batches.
        estimate: What is measured.
        sheet: Where to draw the first batch, if anywhere.
    """
    totals: list[float] = []
    pixels = 0
    for number, given in enumerate(source):
        stages, batch = estimate(given)
        face = batch["face"][:, 0]
        totals = totals or [0.0] * len(stages)
        for stage, normals in enumerate(stages):
            cosine = dot(normals, batch["normals"])[:, 0].clamp(-1, 1)[face]
            totals[stage] += float(torch.rad2deg(torch.acos(cosine)).double().sum())
        pixels += int(face.sum())
        if number == 0 and sheet is not None:
            write_sheet(sheet, batch, stages)
    return [total / max(1, pixels) for total in totals]
