# SPDX-License-Identifier: Apache-2.0
"""Checkpoints from which a run goes on exactly: safetensors, written to a temporary name and renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lineament.errors import OutputError, WeightsError

_FORMAT = "1"


def save_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    step: int,
    config: Mapping[str, Any],
    seconds: float = 0.0,
) -> None:
    """Write everything that a run needs to go on; ``seconds`` is how long it has trained so far.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors.update({f"module.{name}.{key}": value for key, value in module.state_dict().items()})
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{name}.{index}.{key}": torch.as_tensor(v) for key, v in state.items()})
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {"format": _FORMAT, "step": str(step), "seconds": f"{seconds:.1f}", "config": json.dumps(config)}
    temporary = path.with_name(path.name + ".tmp")
    try:
        save_file(tensors, temporary, metadata)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write the checkpoint {path}: {error}") from error


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> tuple[int, float, dict[str, Any]]:
    """Fill modules and optimisers from a checkpoint.

    Returns:
        The step it was written at, the seconds that it took until then, and its run's configuration.

    Raises:
        WeightsError: The file cannot be read or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the checkpoint {path}: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise WeightsError(f"{path} is no checkpoint of this version")
    for name, module in modules.items():
        prefix = f"module.{name}."
        state = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        try:
            module.load_state_dict(state)
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
        optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    return int(metadata["step"]), float(metadata.get("seconds", 0.0)), json.loads(metadata["config"])
