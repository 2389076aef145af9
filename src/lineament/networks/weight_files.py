# SPDX-License-Identifier: Apache-2.0
"""Weights that ship: fp16 safetensors with the network's configuration in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from lineament.errors import OutputError, TrainingError, UsageError, WeightsError
from lineament.files.writing import atomic_path
from lineament.weights.file import read_weights, shown
from lineament.weights.schema import WeightsFormat

LICENCE = "Apache-2.0"
LOWER_RATE = "take a lower learning rate (--learning-rate) and another output folder"
"""What to do about a training whose metrics are not finite."""


class Network(Protocol):
    """A network whose weights ship: it knows its method's name and is built from its configuration alone."""

    FORMAT: ClassVar[WeightsFormat]
    CONFIG: ClassVar[type]
    config: Any

    def __init__(self, config: Any) -> None: ...


Kind = TypeVar("Kind", bound=Network)


def save_weights(model: Network, path: Path, extra: Mapping[str, str] | None = None) -> None:
    """Write a network's weights.

    Args:
        model: The network; floating-point tensors are stored as fp16.
        path: The .safetensors file.
        extra: More entries for the header.

    Raises:
        TrainingError: A weight is not finite, or too large for fp16; nothing is written.
        OutputError: The file cannot be written.
    """
    write_weights(_learned(model), {**header_of(model), **(extra or {})}, path)


def write_weights(learned: Mapping[str, torch.Tensor], header: Mapping[str, str], path: Path) -> None:
    """Write the tensors of a network that a weights file holds; the rest as `save_weights`."""
    tensors = {
        name: (value.half() if value.dtype.is_floating_point else value).detach().cpu().contiguous()
        for name, value in learned.items()
    }
    if wrong := not_finite(tensors):
        raise TrainingError(f"{wrong} is not finite as fp16, so no weights are written; {LOWER_RATE}")
    try:
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, dict(header))
    except SafetensorError as error:
        raise OutputError(f"cannot write the weights {path}: {error}") from error


def header_of(model: Network) -> dict[str, str]:
    """What a weights file says of its network."""
    return {"method": model.FORMAT.name, "config": json.dumps(asdict(model.config)), "license": LICENCE}


def not_finite(tensors: Mapping[str, torch.Tensor]) -> str:
    """The name of the first tensor that holds a number that is not finite, or nothing."""
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            return name
    return ""


def mean_weights(models: Sequence[torch.nn.Module]) -> dict[str, torch.Tensor]:
    """The mean of the weights of several networks, as a state dict.

    Trainings that went on from the same weights may be averaged, and the mean is often better than each (Wortsman et
    al., "Model soups", 2022).

    Raises:
        WeightsError: The networks differ in size.
    """
    states = [model.state_dict() for model in models]
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if any(shape != shapes[0] for shape in shapes):
        raise WeightsError("weights of networks of different sizes have no mean")
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.dtype.is_floating_point else value
        for name, value in states[0].items()
    }


def load_weights(path: Path, network: type[Kind], device: torch.device | str = "cpu") -> Kind:
    """Build the network that a weights file describes, in evaluation mode.

    Args:
        path: The .safetensors file.
        network: Which kind of network it should hold, `CasFNE` for instance.
        device: Where it is put.

    Raises:
        WeightsError: The file cannot be read, holds another network, a value of it is not finite, or its tensors do not
            fit its configuration.
    """
    file = read_weights(path, network.FORMAT)
    try:
        config = network.CONFIG(**{k: tuple(v) if isinstance(v, list) else v for k, v in file.config.items()})
        with torch.device("meta"):  # takes no memory, whatever the header asks for
            expected = _learned(network(config))
    except UsageError as error:  # entries that do not go together
        raise WeightsError(f"{path} holds no weights of {network.FORMAT.name}: {error}") from error
    if wrong := sorted(set(expected) ^ set(file.tensors)):
        raise WeightsError(f"{path} does not fit its own configuration (first difference: {shown(wrong[0])})")
    if any(expected[name].shape != value.shape for name, value in file.tensors.items()):
        hint = "take weights that came with this version, or train them again"
        raise WeightsError(f"{path} does not fit this version of {network.FORMAT.name}: {hint}")
    model = network(config)
    assert isinstance(model, torch.nn.Module)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in file.tensors.items()}, strict=False)
    return model.to(device).eval()


def _learned(model: Network) -> dict[str, torch.Tensor]:
    """The tensors of a network that a weights file holds."""
    assert isinstance(model, torch.nn.Module)
    return learned_of(model.state_dict())


def learned_of(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What of a network's state a weights file holds: not how many batches its statistics come from."""
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
