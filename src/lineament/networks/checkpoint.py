# SPDX-License-Identifier: Apache-2.0
"""Taking over ImageNet weights that others distribute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import WeightsError


def load_torchvision_weights(network: nn.Module, path: Path) -> None:
    """Fill a network whose parameters are named as torchvision's from its checkpoint file.

    Args:
        network: The network; tensors of the file that it has no place for (the classifier's) are left out.
        path: The ``.pth`` file as torchvision distributes it, or the same tensors as safetensors.

    Raises:
        WeightsError: The file cannot be read, or its tensors do not fit the network.
    """
    fill(network, read_tensors(path), path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, ``.pth`` (read without running code) or ``.safetensors``, by name.

    Raises:
        WeightsError: The file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:
        raise WeightsError(f"cannot read ImageNet weights from {path}: {error}") from error


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network with tensors that were read from a file; those that it has no place for are left out.

    Raises:
        WeightsError: They do not fit the network.
    """
    own = network.state_dict()
    wrong = [name for name, value in own.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        raise WeightsError(
            f"{path} does not fit this encoder (first difference: {wrong[0]}); ImageNet weights need width 1"
        )
    network.load_state_dict({name: tensors[name] for name in own})
