# SPDX-License-Identifier: Apache-2.0
"""The seed of a training decides the networks' first weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lineament.cli import train
from lineament.training import plan


def test_the_first_weights_follow_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(recipe: Any, config: Any, progress: Any) -> Path:
        models.append(recipe.model)
        return tmp_path

    models: list[torch.nn.Module] = []
    monkeypatch.setattr(plan, "train", first)
    for seed in ("1", "1", "2"):
        assert train.run_train("albedo", ["--output", str(tmp_path), "--seed", seed, "--width", "4"]) == 0
    one, again, other = (torch.cat([p.flatten() for p in model.parameters()]) for model in models)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
