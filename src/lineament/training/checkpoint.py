# SPDX-License-Identifier: Apache-2.0
"""Checkpoints from which a run goes on exactly: safetensors, the present one and the one before it.

A checkpoint is written to a temporary name, put on the disk and renamed; one that holds a number that is not finite is
never written.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lineament.errors import OutputError, TrainingError, UsageError, WeightsError
from lineament.files.reading import parse_json
from lineament.files.writing import atomic_path
from lineament.networks.weight_files import LOWER_RATE, learned_of, not_finite, write_weights

log = logging.getLogger(__name__)

_FORMAT = "1"
CURRENT, PREVIOUS = "checkpoint.safetensors", "checkpoint-previous.safetensors"
"""Names in a run's folder."""
AVERAGED = "averaged.safetensors"
"""Name in a run's folder of the averaged weights that `export_averaged` writes."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    path: Path
    step: int
    """Steps that were done when it was written."""
    seconds: float
    """How long the run had trained, where its time is limited."""
    config: dict[str, Any]
    """The run's configuration."""
    weights: dict[str, str]
    """What a file of the averaged weights says of itself; empty where it was not said."""
    tensors: Mapping[str, Tensor]


def save_checkpoint(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    step: int,
    config: Mapping[str, Any],
    seconds: float = 0.0,
    weights: Mapping[str, str] | None = None,
) -> None:
    """Write everything that a run needs to go on; what was the present checkpoint becomes the previous one.

    Args:
        folder: The run's.
        modules: Networks by name.
        optimizers: Optimisers by name.
        step: How many steps are done.
        config: The run's configuration.
        seconds: How long it has trained so far, where its time is limited.
        weights: What a file of the averaged weights says of itself (`export_averaged`).

    Raises:
        TrainingError: A weight or a moment of an optimiser is not finite; nothing is written.
        OutputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors.update({f"module.{name}.{key}": value for key, value in module.state_dict().items()})
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{name}.{index}.{key}": torch.as_tensor(v) for key, v in state.items()})
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    if wrong := not_finite(tensors):
        raise TrainingError(f"{wrong} is not finite after step {step}; {LOWER_RATE}")
    metadata = {"format": _FORMAT, "step": str(step), "seconds": f"{seconds:.1f}", "config": json.dumps(config)}
    metadata["weights"] = json.dumps(dict(weights or {}))
    path = folder / CURRENT
    try:
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata)
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())  # on the disk before it takes a whole one's place
            if path.exists():
                os.replace(path, folder / PREVIOUS)
    except SafetensorError as error:
        raise OutputError(f"cannot write the checkpoint {path}: {error}") from error


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint of a run: the previous one, with a warning, where the present one is damaged.

    Raises:
        WeightsError: There are checkpoints, all of them damaged.
    """
    damaged: WeightsError | None = None
    for path in (folder / CURRENT, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            found = read_checkpoint(path)
        except WeightsError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            log.warning("%s; the run goes on from the one before it, of step %d", damaged, found.step)
        return found
    if damaged is not None:
        raise WeightsError(
            f"{damaged}, and there is no whole one before it; delete the folder to begin anew: its steps are lost"
        )
    return None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file.

    Raises:
        WeightsError: It is damaged, of another version, or holds a number that is not finite.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
        if metadata["format"] != _FORMAT:
            raise ValueError("it is of another version")
        step, config = int(metadata["step"]), parse_json(metadata["config"])
        seconds = float(metadata.get("seconds", "0"))
        weights = parse_json(metadata.get("weights", "{}"))
        if not isinstance(weights, dict) or not all(isinstance(text, str) for text in weights.values()):
            raise ValueError("its header makes no sense")
        if step < 0 or not 0 <= seconds < 1e12 or not isinstance(config, dict):
            raise ValueError("its header makes no sense")
        if wrong := not_finite(tensors):
            raise ValueError(f"{wrong} is not finite")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"cannot read the checkpoint {path}: {error}") from error
    return Checkpoint(path, step, seconds, config, weights, tensors)


def export_averaged(run: Path) -> Path:
    """Write the averaged weights of a run that was stopped, or that still goes on, from its latest checkpoint.

    They are what ships when the run is done. Under a name of their own they do not make it look finished: the same
    command goes on with it.

    Args:
        run: The folder of the run (of one step, where a training has several).

    Returns:
        The weights' path, `AVERAGED` in that folder.

    Raises:
        UsageError: There is no checkpoint in it.
        WeightsError: Its checkpoints are damaged, or written by a version that did not say what the weights are of.
        OutputError: The file cannot be written.
    """
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        steps = sorted(path.parent.name for path in run.glob(f"*/{CURRENT}"))
        hint = (
            f"name one of its steps: {', '.join(str(run / step) for step in steps)}" if steps else "name a run's folder"
        )
        raise UsageError(f"{run} holds no checkpoint of a training; {hint}")
    if "method" not in checkpoint.weights:
        raise WeightsError(
            f"{checkpoint.path} is of an older version and does not say what it is for; train on from it"
        )
    state = learned_of(module_state(checkpoint, "averaged"))
    path = run / AVERAGED
    write_weights(state, {**checkpoint.weights, "step": str(checkpoint.step)}, path)
    return path


def module_state(checkpoint: Checkpoint, name: str) -> dict[str, Tensor]:
    """The state of one of a checkpoint's networks."""
    prefix = f"module.{name}."
    return {key[len(prefix) :]: value for key, value in checkpoint.tensors.items() if key.startswith(prefix)}


def fill(
    checkpoint: Checkpoint, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> None:
    """Fill modules and optimisers from a checkpoint.

    Raises:
        WeightsError: It belongs to another network.
    """
    path, tensors = checkpoint.path, checkpoint.tensors
    for name, module in modules.items():
        try:
            module.load_state_dict(module_state(checkpoint, name))
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise WeightsError(f"{path} belongs to another network: {first}") from error
    for name, optimizer in optimizers.items():
        prefix = f"optimizer.{name}."
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, part = key[len(prefix) :].split(".")
                states.setdefault(int(index), {})[part] = value
        try:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
        except ValueError as error:
            raise WeightsError(f"{path} belongs to another network: {error}") from error
