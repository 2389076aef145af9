# SPDX-License-Identifier: Apache-2.0
"""Taking over ImageNet weights that others distribute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lineament.errors import WeightsError
from lineament.files.reading import regular_file
from lineament.weights.file import read_tensors


def load_torchvision_weights(network: nn.Module, path: Path) -> None:
    """Fill a network whose parameters are named as torchvision's from its checkpoint file.

    Args:
        network: The network; tensors of the file that it has no place for (the classifier's) are left out.
        path: The ``.pth`` file as torchvision distributes it, or the same tensors as safetensors.

    Raises:
        WeightsError: The file cannot be read, or its tensors do not fit the network.
    """
    fill(network, read_checkpoint_tensors(path), path)


def fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a network with tensors that were read from a file; those that it has no place for are left out.

    Raises:
        WeightsError: They do not fit the network.
    """
    own = network.state_dict()
    counts = {name for name in own if name.endswith("num_batches_tracked")}  # which our own files do not hold
    needed = {name: value for name, value in own.items() if name not in counts or name in tensors}
    wrong = [name for name, value in needed.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        raise WeightsError(
            f"{path} does not fit this encoder (first difference: {wrong[0]}); ImageNet weights need width 1"
        )
    network.load_state_dict({**own, **{name: tensors[name] for name in needed}})


def read_checkpoint_tensors(path: Path, what: str = "ImageNet weights") -> dict[str, Tensor]:
    """The tensors of a checkpoint, ``.pth`` (read without running code) or ``.safetensors``, by name.

    Args:
        path: The file.
        what: What errors call it.

    Raises:
        WeightsError: The file cannot be read, holds something else, or numbers that are not finite.
    """
    if path.suffix == ".safetensors":
        tensors = read_tensors(path, ("F16", "F32", "F64", "I64"), WeightsError, what).tensors
        return {name: torch.from_numpy(values.copy()) for name, values in tensors.items()}
    regular_file(path, WeightsError)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of the archive, of unpickling, of the system
        raise WeightsError(
            f"cannot read the {what} {path}: it is no PyTorch checkpoint that holds tensors alone"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"cannot use the {what} {path}: it holds more than tensors")
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise WeightsError(f"cannot use the {what} {path}: its tensor {name!r} has values that are not finite")
    return state
