# SPDX-License-Identifier: Apache-2.0
"""What a run leaves to look at: a JSONL log, TensorBoard curves and sample sheets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from lineament.training.data import Batch


class RunLog:
    """Writes figures by step; a resumed run appends, without the lines that it will write again."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Open the log of a run that goes on after ``first_step`` steps."""
        self.path = folder / "log.jsonl"
        if self.path.exists():
            lines = [line for line in self.path.read_text().splitlines() if _step_of(line) <= first_step]
            self.path.write_text("".join(line + "\n" for line in lines))
        self._file = self.path.open("a")
        self._board = _tensorboard(folder, first_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line of figures."""
        self._file.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in values.items()}}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):
        return 1 << 62  # a line that a stopped run left half-written


def _tensorboard(folder: Path, first_step: int) -> Any:
    """A writer, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)


def write_sheet(path: Path, batch: Batch, stages: Sequence[Tensor], columns: int = 8) -> None:
    """Write a PNG with rows of photos, true normals, and predicted normals of each stage."""
    from PIL import Image

    rows = [batch.image, 0.5 * batch.normals + 0.5, *(0.5 * n + 0.5 for n in stages)]
    face = batch.face[:columns]
    strips = []
    for number, row in enumerate(rows):
        shown = row[:columns].float() if number == 0 else row[:columns].float() * face
        pixels = (shown.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        strips.append(np.concatenate(list(pixels), axis=1))
    Image.fromarray(np.concatenate(strips, axis=0)).save(path)
