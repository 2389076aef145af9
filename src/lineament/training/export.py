# SPDX-License-Identifier: Apache-2.0
"""Weights that ship: fp16 safetensors with the network's configuration in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lineament.errors import OutputError, TrainingError, WeightsError
from lineament.images.write import atomic_path
from lineament.training.checkpoint import LOWER_RATE, not_finite

LICENCE = "Apache-2.0"


class Network(Protocol):
    """A network whose weights ship: it knows its method's name and is built from its configuration alone."""

    METHOD: ClassVar[str]
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
    assert isinstance(model, torch.nn.Module)
    tensors = {
        name: (value.half() if value.dtype.is_floating_point else value).detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    if wrong := not_finite(tensors):
        raise TrainingError(f"{wrong} is not finite as fp16, so no weights are written; {LOWER_RATE}")
    config = json.dumps(asdict(model.config))
    header = {"method": model.METHOD, "config": config, "license": LICENCE, **(extra or {})}
    try:
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, header)
    except SafetensorError as error:
        raise OutputError(f"cannot write the weights {path}: {error}") from error


def method_of(path: Path) -> str:
    """The method that a weights file is for.

    Raises:
        WeightsError: The file cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return str((file.metadata() or {}).get("method", "nothing that is known"))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot read the weights {path}: {error}") from error


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
        WeightsError: The file cannot be read, holds another network, or its tensors do not fit its configuration.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118, not a mapping
        if header["method"] != network.METHOD:
            raise ValueError(f"it is for {header['method']}")
        values = json.loads(header["config"])
        config = network.CONFIG(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} holds no weights of {network.METHOD}: {error}") from error
    model = network(config)
    assert isinstance(model, torch.nn.Module)
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # tensors of other shapes
        hint = "take weights that came with this version, or train them again"
        raise WeightsError(f"{path} does not fit this version of {network.METHOD}: {hint}") from error
    wrong = [name for name in (*missing, *unexpected) if not name.endswith("num_batches_tracked")]
    if wrong:
        raise WeightsError(f"{path} does not fit its own configuration (first difference: {wrong[0]})")
    return model.to(device).eval()
