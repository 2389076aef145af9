# SPDX-License-Identifier: Apache-2.0
"""A training of several steps: each is done unless its weights are there already, made by the same configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lineament.errors import DataError, InputError
from lineament.files.reading import parse_json, read_bounded
from lineament.training.config import LoopConfig
from lineament.training.loop import Progress, check_folder, check_same_run, train
from lineament.training.parallel import device_of_process, joined
from lineament.training.recipe import Recipe


@dataclass(frozen=True)
class Step:
    """One run of the training loop."""

    name: str
    """Stem of its weights' file."""
    config: LoopConfig
    recipe: Callable[[], Recipe]
    """Makes the recipe; what it takes from steps before it must read when it starts."""

    @property
    def weights(self) -> Path:
        """Where its weights are when it is done."""
        return self.config.output / f"{self.name}.safetensors"

    def is_done(self) -> bool:
        """Whether its weights are there, made by this configuration.

        Raises:
            UsageError: They are there, but of another configuration.
            DataError: They are there, but not the configuration that made them.
        """
        if not self.weights.exists():
            return False
        try:
            before = parse_json(read_bounded(self.config.output / "config.json"))
            if not isinstance(before, dict):
                raise ValueError("it is no configuration")
        except (InputError, ValueError) as error:
            raise DataError(
                f"{self.config.output} holds {self.weights.name} but no readable config.json; choose another folder"
            ) from error
        check_same_run(self.config, before)
        return True

    def ready(self) -> Recipe:
        """The recipe; the first weights of its networks follow the configuration's seed."""
        torch.manual_seed(self.config.seed)
        return self.recipe()


@dataclass(frozen=True)
class Training:
    """How a component is trained."""

    config: type[LoopConfig]
    """Its options."""
    steps: Callable[[Any], Sequence[Step]]
    """From options to steps, the component's own weights made by the last."""


def carry_out(steps: Sequence[Step], progress: Callable[[Step], Progress | None] = lambda step: None) -> Path | None:
    """Do all steps, in their order, that are not done yet.

    Recipes of all of them are made before the first is trained: what a later one cannot use is said at once, and its
    first weights do not depend on how an earlier one went.

    Args:
        steps: Each may take what those before it have written.
        progress: From a step to what the loop calls after each of its own.

    Returns:
        The last step's weights; None where there is no step.

    Raises:
        UsageError: A folder holds a run of another configuration.
        OutputError: A folder holds no run of ours, but files that one would replace.
        LineamentError: A step that cannot be trained.
    """
    missing = [step for step in steps if not step.is_done()]
    for step in missing:
        check_folder(step.config.output, step.name)
    pending = [(step, step.ready()) for step in missing]
    with joined(device_of_process(steps[0].config.device)) if pending else nullcontext():
        for step, recipe in pending:
            train(recipe, step.config, progress(step))
    return steps[-1].weights if steps else None
