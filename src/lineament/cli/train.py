# SPDX-License-Identifier: Apache-2.0
"""`lineament train casfne`: the training loop behind a progress bar."""

from __future__ import annotations

from collections.abc import Mapping

from lineament.training.config import TrainConfig


def train_casfne(config: TrainConfig) -> int:
    """Train Cas-FNE and say where the weights are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lineament.methods.casfne.recipe import CasFNERecipe
    from lineament.training.loop import train

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(config.model, total=config.steps)

        def progress(step: int, figures: Mapping[str, float]) -> None:
            bar.update(task, completed=step, description=f"{config.model}  loss {figures['loss']:.4f}")

        weights = train(CasFNERecipe(config), config, progress)
    console.print(f"weights: {weights}\nlog, curves and sheets: {config.output}")
    return 0
