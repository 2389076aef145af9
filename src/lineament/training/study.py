# SPDX-License-Identifier: Apache-2.0
"""A paper's ablation table as trainings: which rows there are, and how each is trained and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from lineament.training.plan import Step

Normals = Callable[[Tensor], Tensor]
"""From photos [B, 3, S, S] in [0, 1] to unit normals [B, 3, S, S]."""


@dataclass(frozen=True)
class Shared:
    """What all rows of a table are trained with."""

    output: Path
    faces: Path
    size: int
    batch_size: int
    learning_rate: float

    def of(self, kind: type[Any], folder: str, steps: int, **more: Any) -> Any:
        """A training's configuration of some kind, in a folder of its own."""
        return kind(
            self.output / folder,
            data=(self.faces,),
            size=self.size,
            batch_size=self.batch_size,
            steps=steps,
            learning_rate=self.learning_rate,
            warmup=max(1, steps // 20),
            ema=0.99,
            validate_every=steps,
            validation_batches=1,
            **more,
        )


class Study(Protocol):
    """One table."""

    title: str
    table: str | None
    """The published table, if it is one."""
    rows: Mapping[str, dict[str, Any]]
    """What each row changes in the configuration, by the names of our table."""
    published: Mapping[str, str]
    """Names in the published table of rows that are called otherwise there."""
    paper: str
    """What the paper's column stands for."""

    def steps(self, shared: Shared, row: str, steps: int) -> Sequence[Step]:
        """A row's training, the row's own step last; those before it may be shared with other rows."""

    def normals(self, weights: Path, row: str) -> Normals:
        """A trained row, ready to be measured."""


def folder_of(row: str) -> str:
    """The name of a row's folder."""
    return row.lower().replace(" ", "").replace("=", "").replace("+", "-")
