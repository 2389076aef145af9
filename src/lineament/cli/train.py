# SPDX-License-Identifier: Apache-2.0
"""`lineament train`: the training loop behind a progress bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lineament.training.config import LoopConfig
from lineament.training.recipe import Recipe

if TYPE_CHECKING:
    from lineament.methods.df2net.config import DF2NetTrainConfig
    from lineament.methods.hffne.config import HFFNETrainConfig

Configuration = TypeVar("Configuration", bound=LoopConfig)


def run_train(kind: str, arguments: Sequence[str]) -> int:
    """Train "casfne", "hffne", "df2net", "albedo", "finder", "reader" or "features", as the arguments ask for."""
    if kind == "hffne":
        from lineament.methods.hffne.config import HFFNETrainConfig

        return _train_hffne(_parsed(HFFNETrainConfig, kind, arguments))
    if kind == "df2net":
        from lineament.methods.df2net.config import DF2NetTrainConfig

        return _train_df2net(_parsed(DF2NetTrainConfig, kind, arguments))
    if kind == "albedo":
        from lineament.models.albedo.config import AlbedoTrainConfig
        from lineament.models.albedo.recipe import AlbedoRecipe

        albedo = _parsed(AlbedoTrainConfig, kind, arguments)
        return _train(AlbedoRecipe(albedo), albedo)
    if kind == "finder":
        from lineament.models.detector.config import FinderTrainConfig
        from lineament.models.detector.recipe import FaceFinderRecipe

        finder = _parsed(FinderTrainConfig, kind, arguments)
        return _train(FaceFinderRecipe(finder), finder)
    if kind == "reader":
        from lineament.models.parser.config import ReaderTrainConfig
        from lineament.models.parser.recipe import FaceReaderRecipe

        reader = _parsed(ReaderTrainConfig, kind, arguments)
        return _train(FaceReaderRecipe(reader), reader)
    if kind == "features":
        from lineament.models.features.config import FeaturesTrainConfig
        from lineament.models.features.recipe import FaceFeaturesRecipe

        features = _parsed(FeaturesTrainConfig, kind, arguments)
        return _train(FaceFeaturesRecipe(features), features)
    from lineament.methods.casfne.config import CasFNETrainConfig
    from lineament.methods.casfne.recipe import CasFNERecipe

    casfne = _parsed(CasFNETrainConfig, kind, arguments)
    return _train(CasFNERecipe(casfne), casfne)


def _parsed(configuration: type[Configuration], kind: str, arguments: Sequence[str]) -> Configuration:
    """What the arguments ask for, checked. What is drawn after it, the networks' first weights above all, follows its
    seed."""
    import torch
    import tyro

    config = tyro.cli(configuration, prog=f"lineament train {kind}", args=arguments)
    config.check_places()
    torch.manual_seed(config.seed)
    return config


def _train_hffne(config: HFFNETrainConfig) -> int:
    """Stage one, unless its weights are given or there already, then stage two. Both are made before the first is
    trained: what stage two cannot use is said at once, and its first weights do not depend on how stage one went."""
    from lineament.methods.hffne.recipe import CoarseRecipe, HFFNERecipe

    if config.coarse is not None:
        return _train(HFFNERecipe(config, config.coarse), config)
    first = config.stage_one()
    one = CoarseRecipe(first)
    coarse = first.output / f"{one.name}.safetensors"
    two = HFFNERecipe(config, coarse)
    if not coarse.exists():
        _train(one, first)
    return _train(two, config)


def _train_df2net(config: DF2NetTrainConfig) -> int:
    """The three steps, each unless its weights are there already; all are made before the first is trained."""
    from lineament.methods.df2net.config import STEPS
    from lineament.methods.df2net.recipe import DF2NetRecipe

    before: Path | None = None
    recipes: list[DF2NetRecipe] = []
    for step in STEPS:
        recipes.append(DF2NetRecipe(config.of(step), step, before))
        before = recipes[-1].weights
    for recipe in recipes:
        if not recipe.weights.exists():
            _train(recipe, recipe.config)
    return 0


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
