# SPDX-License-Identifier: Apache-2.0
"""`lineament evaluate yaleb`: measure a method on a dataset on disk and print a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lineament.evaluation.yaleb import PADDING


@dataclass(frozen=True)
class EvaluateYaleB:
    """Angular error on the Extended Yale Face Database B (cropped)."""

    root: Path
    """Folder with yaleB01, yaleB02, ..."""
    method: str = "casfne-s"
    """Method whose shipped weights to measure."""
    predictions: Path | None = None
    """Measure normals from this folder instead: one .npy or .png per photo, named like it."""
    stages: tuple[int, ...] = field(default=())
    """Stages to report; all when left out."""
    subset: Literal["front", "frontal35", "lateral"] = "frontal35"
    """Lights to test."""
    subjects: tuple[str, ...] = field(default=())
    """Folders to test; all when left out."""
    padding: float = PADDING
    """Margin around each photo before estimating, as a share of its height."""
    flip: bool = True
    """Average with the estimate of the mirrored photo, as `lineament estimate` does."""
    per_light: bool = False
    """Add a row per light."""
    output: Path | None = None
    """Write the table here, too: .md, .csv or .json."""


def evaluate_yaleb(options: EvaluateYaleB) -> int:
    """Evaluate, print the table to the console and write it if asked to.

    Returns:
        Zero.

    Raises:
        LineamentError: If data, method or output cannot be used.
    """
    from rich.console import Console
    from rich.progress import Progress

    from lineament.cli.console import plain_console
    from lineament.datasets.yaleb import YaleB
    from lineament.evaluation import yaleb as protocol
    from lineament.evaluation.framing import FramedPredictor, Framing
    from lineament.evaluation.report import write_table, yaleb_table

    dataset = YaleB(options.root, options.subjects or None)
    predict: protocol.SamplePredictor
    if options.predictions is not None:
        predict, name = protocol.StoredPredictions(options.predictions), options.predictions.name
    else:
        import lineament

        estimator = lineament.load(options.method)
        framing = Framing(options.padding)
        predict = FramedPredictor(lambda crop: estimator.estimate_crop(crop, flip=options.flip).normals, framing)
        name = options.method
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("evaluating", total=len(dataset.subjects))
        place = {subject: index for index, subject in enumerate(dataset.subjects)}

        def progress(subject: str, done: int, of: int) -> None:
            bar.update(task, completed=place[subject] + done / of, description=subject)

        result = protocol.evaluate_yaleb(dataset, predict, name, options.subset, options.stages or None, progress)
    table = yaleb_table([result], options.per_light)
    plain_console().print(table.to_markdown())
    if options.output is not None:
        write_table(table, options.output)
    return 0
