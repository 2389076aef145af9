# SPDX-License-Identifier: Apache-2.0
"""Taking over the ImageNet weights that torchvision distributes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from lineament.errors import WeightsError


def load_torchvision_weights(network: nn.Module, path: Path) -> None:
    """Fill a network whose parameters are named as torchvision's from its checkpoint file.

    Args:
        network: The network; tensors of the file that it has no place for (the classifier's) are left out.
        path: The ``.pth`` file as torchvision distributes it, or the same tensors as safetensors.

    Raises:
        WeightsError: The file cannot be read, or its tensors do not fit the network.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"cannot read ImageNet weights from {path}: {error}") from error
    own = network.state_dict()
    wrong = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if wrong:
        raise WeightsError(
            f"{path} does not fit this encoder (first difference: {wrong[0]}); ImageNet weights need width 1"
        )
    network.load_state_dict({name: state[name] for name in own})
