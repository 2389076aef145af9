# SPDX-License-Identifier: Apache-2.0
"""A tiny network that tests can load in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and graphs of a small, untrained Cas-FNE whose mask covers the picture's middle."""
    import torch

    from lineament.methods.casfne.method import METHOD
    from lineament.methods.casfne.model import CasFNE, CasFNEConfig
    from lineament.networks.onnx_export import export_graphs
    from lineament.networks.weight_files import save_weights

    torch.manual_seed(0)
    config = CasFNEConfig(width=0.125, decoder_channels=(16, 16, 8, 8, 8), normal_channels=4, crop_size=64)
    model = CasFNE(config)
    with torch.no_grad():
        model.initial_decoder.last.bias[3] = 8.0  # everything is face
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(model, path)
    export_graphs(METHOD, path)
    return path


@pytest.fixture(scope="session")
def hrn_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and graphs of an untrained HRN, whose answer is about the mean head."""
    import torch

    from lineament.methods.hrn.method import METHOD
    from lineament.methods.hrn.model import HRN, hrn_s
    from lineament.networks.onnx_export import export_graphs
    from lineament.networks.weight_files import save_weights

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("hrn") / "small.safetensors"
    save_weights(HRN(hrn_s(64)).eval(), path)
    export_graphs(METHOD, path)
    return path


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of seven small synthetic faces, one of them for validation."""
    from lineament.synth.config import SynthConfig
    from lineament.synth.write import write_dataset

    folder = tmp_path_factory.mktemp("faces")
    write_dataset(folder, 7, SynthConfig(size=64, identities=50), batch_size=4)
    return folder
