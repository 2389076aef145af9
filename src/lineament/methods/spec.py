# SPDX-License-Identifier: Apache-2.0
"""What a method's folder says of itself (no torch): everything else is found through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lineament.inference.component import Component, Reference


@dataclass(frozen=True, kw_only=True)
class Method(Component):
    """A published method that estimates face geometry."""

    title: str
    """As its paper writes it."""
    paper: str
    """Title and authors."""
    gives: str
    """What it estimates, for tables: "normals and their uncertainty"."""
    stages: tuple[str, ...]
    """What each stage is, stage 0 first; the last one may be repeated up to `most_stages`."""
    most_stages: int
    """Largest number of stages after the first that can be asked for."""
    weights: str
    """Name of the weights that ship and stand for the method's name."""
    weights_stages: int | None = None
    """Stages after the first that these weights are run with if nobody says otherwise, where fewer than they were
    trained with err as little; all of those by default."""
    sizes: Mapping[str, Reference]
    """Its configurations by name, the one that ships first; each a function without arguments that gives the
    network with random weights."""
    predictor: Reference
    """The class of its `lineament.inference.predictor.Predictor`."""
    takes_exemplars: bool = False
    """Whether it refines normals that the caller gives."""
    study: Reference | None = None
    """A function without arguments that gives its paper's ablation (`lineament.training.study.Study`)."""
    restores: bool = False
    """Whether it gives the crop as a better photo would show it, and the face from other sides."""
    best_below: float = 0.0
    """Pixels of a photo: below them (the longer side of a face's box) it is measured to err less than the default
    weights; 0 where it is not."""
    multiview: Reference | None = None
    """A function that fits one head to several photos (`lineament.inference.multiview.FitViews`); it needs torch."""
