# SPDX-License-Identifier: Apache-2.0
"""`lineament train`: the training loop behind a progress bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lineament.training.config import LoopConfig
from lineament.training.recipe import Recipe


def run_train(kind: str, arguments: Sequence[str]) -> int:
    """Train "casfne", "finder" or "reader", as the command line's arguments ask for."""
    recipe, config = _chosen(kind, arguments)
    return _train(recipe, config)


def _chosen(kind: str, arguments: Sequence[str]) -> tuple[Recipe[Any], LoopConfig]:
    """The recipe and its configuration; only what is needed is imported."""
    import tyro

    prog = f"lineament train {kind}"
    if kind == "finder":
        from lineament.methods.finder.config import FinderTrainConfig
        from lineament.methods.finder.recipe import FaceFinderRecipe

        finder = tyro.cli(FinderTrainConfig, prog=prog, args=arguments)
        return FaceFinderRecipe(finder), finder
    if kind == "reader":
        from lineament.methods.reader.config import ReaderTrainConfig
        from lineament.methods.reader.recipe import FaceReaderRecipe

        reader = tyro.cli(ReaderTrainConfig, prog=prog, args=arguments)
        return FaceReaderRecipe(reader), reader
    from lineament.methods.casfne.recipe import CasFNERecipe
    from lineament.training.config import TrainConfig

    casfne = tyro.cli(TrainConfig, prog=prog, args=arguments)
    return CasFNERecipe(casfne), casfne


def _train(recipe: Recipe[Any], config: LoopConfig) -> int:
    """Train and say where the weights are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from lineament.training.loop import train
    from lineament.training.parallel import rank

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=rank() > 0) as bar:
        task = bar.add_task(recipe.name, total=config.steps)

        def progress(step: int, figures: Mapping[str, float]) -> None:
            bar.update(task, completed=step, description=f"{recipe.name}  loss {figures['loss']:.4f}")

        weights = train(recipe, config, progress)
    if rank() == 0:
        console.print(f"weights: {weights}\nlog, curves and sheets: {config.output}")
    return 0
