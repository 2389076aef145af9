# SPDX-License-Identifier: Apache-2.0
"""Table I of Cas-FNE in small: each of its rows trained for the same number of steps on synthetic faces.

The paper trains every row for 500 thousand steps on Photoface. Here minutes decide, so the order of rows may differ;
what the table shows is what a change is worth early in a training.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from lineament.errors import UsageError
from lineament.evaluation.measures import RunningAngles
from lineament.evaluation.metrics import masked_angular_error
from lineament.evaluation.published import published_tables
from lineament.evaluation.report import Cell, Table
from lineament.images.write import atomic_path
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.synth.config import SynthConfig
from lineament.synth.write import write_dataset
from lineament.training.config import LossName, TrainConfig
from lineament.training.data import Batch, batches
from lineament.training.export import load_weights
from lineament.training.loop import train, uses_bf16

log = logging.getLogger(__name__)

ALL: tuple[LossName, ...] = ("rec", "tv", "adv")
ROWS: Mapping[str, dict[str, Any]] = {
    "Rec": {"losses": ("rec",)},
    "Rec+adv": {"losses": ("rec", "adv")},
    "Rec+tv": {"losses": ("rec", "tv")},
    "AdaIN": {"fusion": "adain"},
    "FMM": {"fusion": "fmm"},
    **{f"t = {stages}": {"stages": stages} for stages in range(6)},
}
"""The table's rows that are configurations of Cas-FNE, by their names there. "t = 2" is also CAT and all losses."""

_PUBLISHED = {"t = 2": "t = 2 (Cas-FNE)"}
_TEST_SEED = 99
_TRIAL_STEPS = 3


@dataclass(frozen=True)
class AblationConfig:
    """How the table is trained; everything else is the paper's."""

    output: Path
    """Folder of the runs. Rows that are there already are not trained again."""
    budget: float
    """Minutes for all rows together, without making the faces."""
    faces: int = 2000
    """Synthetic faces to train on."""
    test_faces: int = 200
    """Synthetic faces of other people to test on."""
    size: int = 96
    batch_size: int = 16
    learning_rate: float = 6e-4
    rows: tuple[str, ...] = tuple(ROWS)
    """Rows to train."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rows) - set(ROWS))
        if unknown or not self.rows:
            raise UsageError(f"rows must be some of {', '.join(ROWS)}, not {', '.join(unknown) or 'none'}")
        if self.budget <= 0:
            raise UsageError(f"the budget must be more than zero minutes, not {self.budget}")


def ablate(config: AblationConfig, say: Callable[[str], None] = log.info) -> Table:
    """Train the rows and measure them.

    Args:
        config: Budget and sizes.
        say: Told what happens.

    Returns:
        The table: our figures, and the paper's mean beside them.
    """
    faces = config.output / "faces"
    if not (faces / "samples.jsonl").exists():
        say(f"making {config.faces} faces")
        write_dataset(faces, config.faces, SynthConfig(size=config.size), batch_size=16)
    tests = _test_batches(config)
    results_file = config.output / "results.json"
    known: dict[str, Any] = json.loads(results_file.read_text()) if results_file.exists() else {}
    steps = known.get("steps") or _affordable_steps(config, faces, say)
    for row in config.rows:
        if row in known:
            continue
        say(f"{row}: {steps} steps")
        started = time.monotonic()
        weights = train(CasFNERecipe(run := _run_config(config, faces, row, steps)), run)
        figures = _measured(load_weights(weights, CasFNE), run.stages, tests)
        known = {**known, "steps": steps, row: {"figures": figures, "minutes": (time.monotonic() - started) / 60}}
        with atomic_path(results_file) as temporary:
            temporary.write_text(json.dumps(known, indent=1) + "\n")
    return ablation_table(known, config)


def ablation_table(results: Mapping[str, Any], config: AblationConfig) -> Table:
    """Results as Cas-FNE's table I."""
    paper = dict(published_tables()["casfne-table1"].rows)
    rows: list[tuple[Cell, ...]] = []
    for row in config.rows:
        if row in results:
            published = paper[_PUBLISHED.get(row, row)][0]
            rows.append((row, *results[row]["figures"], results[row]["minutes"], published))
    return Table(
        title="Cas-FNE, table I in small",
        columns=("", "mean °", "std °", "<20° %", "<25° %", "<30° %", "minutes", "paper, mean °"),
        rows=tuple(rows),
        notes=(
            f"{results.get('steps')} steps of {config.batch_size} synthetic faces of {config.size} pixels each; tested "
            f"on {config.test_faces} other synthetic people.",
            "The paper's column is Photoface after 500 000 steps of 8.",
        ),
        details={"results": dict(results)},
    )


def _run_config(config: AblationConfig, faces: Path, row: str, steps: int) -> TrainConfig:
    folder = config.output / row.lower().replace(" ", "").replace("=", "").replace("+", "-")
    base = TrainConfig(
        folder,
        data=(faces,),
        size=config.size,
        batch_size=config.batch_size,
        steps=steps,
        learning_rate=config.learning_rate,
        warmup=max(1, steps // 20),
        ema=0.99,
        losses=ALL,
        validate_every=steps,
        validation_batches=1,
    )
    return replace(base, **ROWS[row])


def _affordable_steps(config: AblationConfig, faces: Path, say: Callable[[str], None]) -> int:
    """How many steps of every row the budget has room for, from a few steps of each."""
    seconds = 0.0
    device = torch.device("cpu")
    for row in config.rows:
        run = _run_config(config, faces, row, 1)
        recipe = CasFNERecipe(run)
        recipe.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizers = recipe.optimizers()
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16(run))
        source = recipe.batches("train", 0, device)
        taken = []
        for step in range(_TRIAL_STEPS):
            batch = next(source)
            started = time.monotonic()
            recipe.step(batch, step, optimizers, autocast)
            taken.append(time.monotonic() - started)
        seconds += min(taken)
    steps = max(10, int(60 * config.budget / seconds))
    say(f"{steps} steps a row")
    return steps


def _test_batches(config: AblationConfig) -> list[Batch]:
    run = TrainConfig(Path(), size=config.size, batch_size=10, seed=_TEST_SEED)
    source = batches(run, "validation", 0, torch.device("cpu"))
    return list(islice(source, -(-config.test_faces // 10)))


@torch.no_grad()
def _measured(model: CasFNE, stages: int, tests: Sequence[Batch]) -> tuple[float, ...]:
    """Mean, deviation and shares of the last stage's angular errors."""
    running = RunningAngles()
    for batch in tests:
        normals = model(batch.image, stages).normals[-1]
        maps = (m.permute(0, 2, 3, 1).numpy() for m in (normals, batch.normals, batch.face))
        for found, truth, face in zip(*maps, strict=True):
            running.add(masked_angular_error(found, truth, face[..., 0]))
    return running.figures()
