# SPDX-License-Identifier: Apache-2.0
"""Weights that ship: fp16 safetensors with the network's configuration in the header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lineament.errors import OutputError, WeightsError
from lineament.methods.casfne.model import CasFNE, CasFNEConfig

LICENCE = "Apache-2.0"


def save_weights(model: CasFNE, path: Path, extra: Mapping[str, str] | None = None) -> None:
    """Write a network's weights.

    Args:
        model: The network; floating-point tensors are stored as fp16.
        path: The .safetensors file.
        extra: More entries for the header.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {
        name: (value.half() if value.dtype.is_floating_point else value).detach().cpu().contiguous()
        for name, value in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    header = {"method": "casfne", "config": json.dumps(asdict(model.config)), "license": LICENCE, **(extra or {})}
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, header)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write the weights {path}: {error}") from error


def load_weights(path: Path, device: torch.device | str = "cpu") -> CasFNE:
    """Build the network that a weights file describes, in evaluation mode.

    Raises:
        WeightsError: The file cannot be read, or its tensors do not fit its configuration.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118, not a mapping
        values = json.loads(header["config"])
        config = CasFNEConfig(**{**values, "decoder_channels": tuple(values["decoder_channels"])})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} holds no weights of Cas-FNE: {error}") from error
    model = CasFNE(config)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    wrong = [name for name in (*missing, *unexpected) if not name.endswith("num_batches_tracked")]
    if wrong:
        raise WeightsError(f"{path} does not fit its own configuration (first difference: {wrong[0]})")
    return model.to(device).eval()
