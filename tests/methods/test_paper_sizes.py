# SPDX-License-Identifier: Apache-2.0
"""Paper configurations have the published numbers of parameters, counted as they were published."""

from __future__ import annotations

import pytest
from torch import nn

from lineament.methods.casfne.model import paper_network as casfne
from lineament.methods.hffne.model import paper_network as hffne

PIX2PIX_DISCRIMINATOR = 2.77
"""Millions: five 4×4 convolutions from 4 channels to 64, 128, 256, 512 and 1."""

VGG_BEYOND = 4.72
"""Millions: VGG-19's last two convolutions, behind relu5_2, whose output the authors' network does not use."""


def millions(*networks: nn.Module) -> float:
    return sum(parameter.numel() for network in networks for parameter in network.parameters()) / 1e6


def test_casfne_has_table_ivs() -> None:
    """The authors' count has ResNet-18 twice, which their code names twice; its row t = 1 is the initial block."""
    network = casfne()
    initial = network.encoder, network.initial_decoder
    assert millions(*initial, network.encoder) == pytest.approx(22.9, rel=0.02)
    assert millions(network, network.encoder) == pytest.approx(29.3, rel=0.02)


def test_hffne_has_table_ivs_of_casfne() -> None:
    """With all of VGG-19, and the discriminator of pix2pix, which the paper's pre-trained network has."""
    assert millions(hffne()) + VGG_BEYOND + PIX2PIX_DISCRIMINATOR == pytest.approx(126.4, rel=0.02)
