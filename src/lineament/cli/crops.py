# SPDX-License-Identifier: Apache-2.0
"""`lineament crops`: the training people of a published set as data for trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lineament.evaluation.systems.settings import PADDING
from lineament.files.overwriting import check_outputs
from lineament.options import check_options


def sets() -> dict[str, str]:
    """The sets that there are, and what each is."""
    from lineament.evaluation.training_crops import SETS

    return {name: f"{dataset.NAME}: {dataset.layout()}" for name, dataset in SETS.items()}


@dataclass(frozen=True)
class Crops:
    """Write a published set's training people with their true normals, in the crop that its tables show networks.

    `lineament train METHOD --data FOLDER --no-augment` then learns from them as the papers of normals do.
    An interrupted run goes on where it stopped. What cannot be read is listed in skipped.jsonl.
    """

    root: Path
    """The set's folder, laid out as its publishers ship it (docs/datasets.md)."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write."""
    size: int = 256
    """Side of the crops, pixels."""
    padding: float = PADDING
    """Margin around each photo, of its longer side; as the tables' --padding."""

    def __post_init__(self) -> None:
        check_options(self, {"size": "[32, 4096]", "padding": "[0, 2]"})


def run_crops(name: str, options: Crops) -> int:
    """Write the crops and say how many there are.

    Returns:
        0.
    """
    from lineament.cli.console import plain_console, progress_bar
    from lineament.evaluation.training_crops import write_crops

    check_outputs([options.output], [options.root])
    console = plain_console(stderr=True)
    with progress_bar(console, 1.0, "writing") as told:
        written = write_crops(
            name, options.root, options.output, options.size, options.padding, lambda done, total: told(done / total)
        )
    if written.skipped:
        console.print(f"{len(written.skipped)} items left out: {options.output / 'skipped.jsonl'}")
    console.print(f"{written.samples} crops of {written.people} people: {options.output}")
    return 0
