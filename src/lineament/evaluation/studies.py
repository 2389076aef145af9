# SPDX-License-Identifier: Apache-2.0
"""The papers' ablation tables as trainings: which rows there are, and how each is trained and run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from lineament.methods.casfne.config import CasFNETrainConfig, LossName
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.methods.hffne.config import HFFNETrainConfig
from lineament.methods.hffne.model import HFFNE
from lineament.methods.hffne.recipe import CoarseRecipe, HFFNERecipe
from lineament.networks.weight_files import load_weights
from lineament.training.config import LoopConfig
from lineament.training.loop import train
from lineament.training.recipe import Recipe

Normals = Callable[[Tensor], Tensor]
"""From photos [B, 3, S, S] in [0, 1] to unit normals [B, 3, S, S]."""


@dataclass(frozen=True)
class Shared:
    """What all rows of a table are trained with."""

    output: Path
    faces: Path
    size: int
    batch_size: int
    learning_rate: float

    def of(self, kind: type[Any], folder: str, steps: int, **more: Any) -> Any:
        """A training's configuration of some kind, in a folder of its own."""
        return kind(
            self.output / folder,
            data=(self.faces,),
            size=self.size,
            batch_size=self.batch_size,
            steps=steps,
            learning_rate=self.learning_rate,
            warmup=max(1, steps // 20),
            ema=0.99,
            validate_every=steps,
            validation_batches=1,
            **more,
        )


class Study(Protocol):
    """One table."""

    title: str
    table: str
    """The published table."""
    rows: Mapping[str, dict[str, Any]]
    """What each row changes in the configuration, by the names of our table."""
    published: Mapping[str, str]
    """Names in the published table of rows that are called otherwise there."""
    paper: str
    """What the paper's column stands for."""

    def prepare(self, shared: Shared, steps: int) -> None:
        """Train what all rows share."""

    def training(self, shared: Shared, row: str, steps: int) -> tuple[Recipe[Any], LoopConfig]:
        """A row's training."""

    def normals(self, weights: Path, row: str) -> Normals:
        """A trained row, ready to be measured."""


class CasFNEStudy:
    """Table I of Cas-FNE. "t = 2" is also CAT and all losses."""

    title = "Cas-FNE, table I in small"
    table = "casfne-table1"
    losses: Sequence[LossName] = ("rec", "tv", "adv")
    rows: Mapping[str, dict[str, Any]] = {
        "Rec": {"losses": ("rec",)},
        "Rec+adv": {"losses": ("rec", "adv")},
        "Rec+tv": {"losses": ("rec", "tv")},
        "AdaIN": {"fusion": "adain"},
        "FMM": {"fusion": "fmm"},
        **{f"t = {stages}": {"stages": stages} for stages in range(6)},
    }
    published: Mapping[str, str] = {"t = 2": "t = 2 (Cas-FNE)"}
    paper = "Photoface after 500 000 steps of 8"

    def prepare(self, shared: Shared, steps: int) -> None:
        """The rows share nothing."""

    def training(self, shared: Shared, row: str, steps: int) -> tuple[Recipe[Any], LoopConfig]:
        """A row's training."""
        base: CasFNETrainConfig = shared.of(CasFNETrainConfig, _folder_of(row), steps, losses=self.losses)
        config = replace(base, **self.rows[row])
        return CasFNERecipe(config), config

    def normals(self, weights: Path, row: str) -> Normals:
        """The last stage."""
        model, stages = load_weights(weights, CasFNE), self.rows[row].get("stages")
        return lambda image: model(image, stages).normals[-1]


class HFFNEStudy:
    """Table 3 of HFFNE, and its unpaired exemplars (table 1).

    All rows refine the normals of one coarse network, but those of the Iter experiment: these stopped its training
    earlier, after 1/100 and half of its steps, as the paper did after 1 and 50 of 100 thousand.
    """

    title = "HFFNE, table 3 in small"
    table = "hffne-table3"
    rows: Mapping[str, dict[str, Any]] = {
        "Iter1k": {},
        "Iter50k": {},
        "A1": {"injection": "skips"},
        "A2": {"injection": "bottleneck"},
        "without modulation": {"modulation": "none"},
        "AdaIN": {"modulation": "adain"},
        "unpaired": {"paired": False},
        "A3": {},
    }
    published: Mapping[str, str] = {"A3": "Iter100k / A3 / StyleGAN2"}
    paper = "Photoface after 200 000 and 150 000 steps of 8"
    starts: Mapping[str, float] = {"Iter1k": 0.01, "Iter50k": 0.5}
    """Share of the coarse network's steps that a row's own coarse network has had."""

    def __init__(self, perceptual: float = 0.02) -> None:
        """Choose the weight of the perceptual loss, by default the one of the weights that ship."""
        self.perceptual = perceptual

    def prepare(self, shared: Shared, steps: int) -> None:
        """The coarse networks, as many steps as a row has."""
        for share in (1.0, *self.starts.values()):
            self._coarse(shared, steps, share)

    def training(self, shared: Shared, row: str, steps: int) -> tuple[Recipe[Any], LoopConfig]:
        """A row's stage two."""
        coarse = self._coarse(shared, steps, self.starts.get(row, 1.0))
        base: HFFNETrainConfig = shared.of(HFFNETrainConfig, _folder_of(row), steps, perceptual=self.perceptual)
        config = replace(base, **self.rows[row])
        return HFFNERecipe(config, coarse), config

    def normals(self, weights: Path, row: str) -> Normals:
        """The refined normals."""
        model = load_weights(weights, HFFNE)
        return lambda image: model(image).refined

    def _coarse(self, shared: Shared, steps: int, share: float) -> Path:
        """Weights of a coarse network, trained unless they are there."""
        own = max(1, round(share * steps))
        config: HFFNETrainConfig = shared.of(HFFNETrainConfig, f"coarse-{round(100 * share)}", own)
        recipe = CoarseRecipe(config)
        weights = config.output / f"{recipe.name}.safetensors"
        return weights if weights.exists() else train(recipe, config)


STUDIES: Mapping[str, Callable[[], Study]] = {"casfne": CasFNEStudy, "hffne": HFFNEStudy}


def _folder_of(row: str) -> str:
    return row.lower().replace(" ", "").replace("=", "").replace("+", "-")
