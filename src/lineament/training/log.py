# SPDX-License-Identifier: Apache-2.0
"""What a run leaves to look at: a JSONL log, TensorBoard curves and sample sheets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import Tensor

from lineament.errors import OutputError
from lineament.files.reading import MAXIMUM_BYTES, parse_json, read_bounded
from lineament.files.writing import atomic_path
from lineament.images.write import write_png
from lineament.training.batch import Batch


class RunLog:
    """Writes metrics by step; a resumed run appends, without the lines that it will write again."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Open the log of a run that goes on after ``first_step`` steps.

        Raises:
            OutputError: The folder cannot be written.
        """
        self.path = folder / "log.jsonl"
        self._validated = 0
        if self.path.exists():
            content = read_bounded(self.path, MAXIMUM_BYTES, OutputError)
            lines = [line for line in content.splitlines() if _step_of(line) <= first_step]
            with atomic_path(self.path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in lines))
            # A step has a line of its own, and another one where it was validated.
            self._validated = max((_step_of(a) for a, b in pairwise(lines) if _step_of(a) == _step_of(b)), default=0)
        try:
            self._file = self.path.open("a")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._board = _tensorboard(folder, first_step)
        self._last = first_step

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line of metrics; those that are not finite, as a validation's may be, are null.

        Raises:
            OutputError: The file cannot be written.
        """
        metrics = {name: round(value, 6) if math.isfinite(value) else None for name, value in values.items()}
        try:
            self._file.write(json.dumps({"step": step, **metrics}, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        if step == self._last:
            self._validated = step
        self._last = step
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def is_validated(self, step: int) -> bool:
        """Whether a step has its line of validation."""
        return step == self._validated

    def __enter__(self) -> RunLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _step_of(line: bytes) -> int:
    try:
        return int(parse_json(line)["step"])
    except (ValueError, OverflowError, KeyError, TypeError):
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
    rows = [batch.image, 0.5 * batch["normals"] + 0.5, *(0.5 * n + 0.5 for n in stages)]
    face = batch["face"][:columns]
    strips = []
    for number, row in enumerate(rows):
        shown = row[:columns].float() if number == 0 else row[:columns].float() * face
        pixels = (shown.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        strips.append(np.concatenate(list(pixels), axis=1))
    write_png(path, np.concatenate(strips, axis=0))
