# SPDX-License-Identifier: Apache-2.0
"""Paper configurations have the published numbers of parameters, or their README says by how much they miss them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lineament.methods.casfne.model import paper_network as casfne
from lineament.methods.hffne.model import paper_network as hffne

READMES = Path(__file__).parent.parent.parent / "src" / "lineament" / "methods"


def millions(network: object) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


def test_casfne_has_table_ivs() -> None:
    assert millions(casfne()) == pytest.approx(29.3, rel=0.02)


def test_hffnes_readme_says_what_is_missing() -> None:
    own = millions(hffne())
    assert own == pytest.approx(102.9, abs=0.05)
    said = (READMES / "hffne" / "README.md").read_text()
    assert "126.4 M" in said
    assert f"{own:.1f} M, {100 * (1 - own / 126.4):.0f} % fewer" in said
