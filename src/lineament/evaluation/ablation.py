# SPDX-License-Identifier: Apache-2.0
"""A paper's ablation table in small: each of its rows trained for the same number of steps on synthetic faces.

The papers train every row for hundreds of thousands of steps on Photoface. Here minutes decide, so the order of rows
may differ; what the table shows is what a change is worth early in a training.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch

from lineament.errors import DataError, UsageError
from lineament.evaluation.metrics.angular import masked_angular_error
from lineament.evaluation.protocols.scoring import RunningAngles
from lineament.evaluation.report.published import published_tables
from lineament.evaluation.report.table import Cell, Table
from lineament.files.locking import folder_lock
from lineament.files.reading import parse_json, read_bounded
from lineament.files.writing import write_json
from lineament.inference.component import resolved
from lineament.methods.discovery import all_methods
from lineament.options import check_multiple, check_options
from lineament.synth.config import SynthConfig
from lineament.synth.write import write_dataset
from lineament.training.batch import Batch
from lineament.training.config import FaceConfig
from lineament.training.data import batches
from lineament.training.loop import uses_bf16
from lineament.training.plan import carry_out
from lineament.training.recipe import learners_of
from lineament.training.study import Normals, Shared, Study

log = logging.getLogger(__name__)

_TEST_SEED = 99
_TRIAL_STEPS = 3
_RESULTS = "results.json"


@dataclass(frozen=True)
class AblationConfig:
    """How the table is trained; everything else is the paper's."""

    output: Path
    """Folder of the runs. Rows that are there already are not trained again."""
    budget: float
    """Minutes for all rows together, without making the faces and what all rows share."""
    method: str = "casfne"
    """Whose table: a method that has a study."""
    faces: int = 2000
    """Synthetic faces to train on."""
    test_faces: int = 200
    """Synthetic faces of other people to test on."""
    size: int = 96
    batch_size: int = 16
    learning_rate: float = 6e-4
    rows: tuple[str, ...] = ()
    """Rows to train; all when left out."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        "budget": "(0, 1000000]",
        "faces": "[2, 1000000000]",
        "test_faces": "[1, 1000000]",
        **{name: FaceConfig.INTERVALS[name] for name in ("size", "batch_size", "learning_rate")},
    }
    """What each number may be (`lineament.options.check_options`). Of two faces, one is for validation."""

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)
        check_multiple("size", self.size, 32)
        known = study_of(self.method).rows
        unknown = sorted(set(self.rows) - set(known))
        if unknown:
            raise UsageError(f"rows must be some of {', '.join(known)}, not {', '.join(unknown)}")


def study_of(method: str) -> Study:
    """A method's ablation.

    Raises:
        UsageError: It has none, or there is no such method.
    """
    known = studied_methods()
    if method not in known:
        raise UsageError(f"{method} has no ablation; {', '.join(known)} have")
    reference = all_methods()[method].study
    assert reference is not None
    study: Study = resolved(reference)()
    return study


def studied_methods() -> list[str]:
    """Names of the methods that have an ablation."""
    return [name for name, method in all_methods().items() if method.study is not None]


def ablate(config: AblationConfig, say: Callable[[str], None] = log.info) -> Table:
    """Train the rows and measure them.

    Args:
        config: Budget and sizes.
        say: Told what happens.

    Returns:
        The table: our metrics, and the paper's mean beside them.
    """
    _known_results(config.output / _RESULTS)  # said before anything is written
    with folder_lock(config.output):
        return _ablate(config, say)


def _ablate(config: AblationConfig, say: Callable[[str], None]) -> Table:
    study = study_of(config.method)
    faces = config.output / "faces"
    if not (faces / "samples.jsonl").exists():
        say(f"making {config.faces} faces")
    write_dataset(faces, config.faces, SynthConfig(size=config.size), batch_size=16)  # goes on where it was stopped
    shared = Shared(config.output, faces, config.size, config.batch_size, config.learning_rate)
    rows = config.rows or tuple(study.rows)
    tests = _test_batches(config)
    results_file = config.output / _RESULTS
    known = _known_results(results_file)
    steps = known.get("steps") or _affordable_steps(config, study, rows, faces, say)
    for row in rows:
        if row in known:
            continue
        *shared_steps, own = study.steps(shared, row, steps)
        carry_out(shared_steps)
        say(f"{row}: {steps} steps")
        started = time.monotonic()
        carry_out([own])
        values = _measured(study.normals(own.weights, row), tests)
        known = {**known, "steps": steps, row: {"metrics": values, "minutes": (time.monotonic() - started) / 60}}
        write_json(results_file, known)
    return ablation_table(known, study, rows, config)


def _known_results(path: Path) -> dict[str, Any]:
    """What rows that are there already gave."""
    try:
        known: dict[str, Any] = parse_json(read_bounded(path, error=DataError)) if path.exists() else {}
        if not all(name == "steps" or {"metrics", "minutes"} <= set(row) for name, row in known.items()):
            raise ValueError("it holds no rows of ours")
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged or none of ours ({error}); name another folder, or delete it, and all rows are "
            "measured again"
        ) from error
    return known


def ablation_table(results: Mapping[str, Any], study: Study, rows: Sequence[str], config: AblationConfig) -> Table:
    """Results in the published table's form."""
    paper = {} if study.table is None else dict(published_tables()[study.table].rows)
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        if row in results:
            published = paper.get(study.published.get(row, row))
            mean = None if published is None else published[0]
            lines.append((row, *results[row]["metrics"], results[row]["minutes"], mean))
    return Table(
        title=study.title,
        columns=("", "mean °", "std °", "<20° %", "<25° %", "<30° %", "minutes", "paper, mean °"),
        rows=tuple(lines),
        notes=(
            f"{results.get('steps')} steps of {config.batch_size} synthetic faces of {config.size} pixels each; tested "
            f"on {config.test_faces} other synthetic people.",
            *([] if study.table is None else [f"The paper's column is {study.paper}."]),
        ),
        details={"results": dict(results)},
    )


def _affordable_steps(
    config: AblationConfig, study: Study, rows: Sequence[str], faces: Path, say: Callable[[str], None]
) -> int:
    """How many steps of every row the budget has room for, from a few steps of each."""
    seconds = 0.0
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        shared = Shared(Path(folder), faces, config.size, config.batch_size, config.learning_rate)
        for row in rows:
            *before, own = study.steps(shared, row, 1)
            carry_out(before)
            recipe = own.ready()
            recipe.model.to(memory_format=torch.channels_last)
            learners = learners_of(recipe, recipe.optimizers(), own.config.clip)
            autocast = torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16(own.config))
            source = recipe.batches("train", 0, device)
            taken = []
            for number in range(_TRIAL_STEPS):
                batch = next(source)
                started = time.monotonic()
                recipe.step(batch, number, learners, autocast)
                taken.append(time.monotonic() - started)
            seconds += min(taken)
    steps = max(10, int(60 * config.budget / seconds))
    say(f"{steps} steps a row")
    return steps


def _test_batches(config: AblationConfig) -> list[Batch]:
    run = FaceConfig(Path(), size=config.size, batch_size=10, seed=_TEST_SEED)
    source = batches(run, "validation", 0, torch.device("cpu"))
    return list(islice(source, -(-config.test_faces // 10)))


@torch.no_grad()
def _measured(normals: Normals, tests: Sequence[Batch]) -> tuple[float, ...]:
    """Mean, deviation and shares of the angular errors."""
    running = RunningAngles()
    for batch in tests:
        maps = (m.permute(0, 2, 3, 1).numpy() for m in (normals(batch.image), batch["normals"], batch["face"]))
        for found, truth, face in zip(*maps, strict=True):
            running.add(masked_angular_error(found, truth, face[..., 0]))
    return running.summary()
