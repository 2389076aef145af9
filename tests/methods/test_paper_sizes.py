# SPDX-License-Identifier: Apache-2.0
"""Paper configurations have the published numbers of parameters, counted as they were published."""

from __future__ import annotations

import pytest
from torch import nn

from lineament.methods.casfne.model import paper_network as casfne
from lineament.methods.hffne.model import paper_network as hffne


def millions(*networks: nn.Module) -> float:
    return sum(parameter.numel() for network in networks for parameter in network.parameters()) / 1e6


def test_casfne_has_table_ivs() -> None:
    """The authors' count has ResNet-18 twice, which their code names twice; its row t = 1 is the initial block."""
    network = casfne()
    initial = network.encoder, network.initial_decoder
    assert millions(*initial, network.encoder) == pytest.approx(22.9, rel=0.02)
    assert millions(network, network.encoder) == pytest.approx(29.3, rel=0.02)


def test_hffne_has_the_authors_layers() -> None:
    """Cas-FNE's table IV says 126.4 M; what was counted beside these layers is not said (the method's README)."""
    assert millions(hffne()) == pytest.approx(118.4, rel=0.005)
