# SPDX-License-Identifier: Apache-2.0
"""What a folder of a network says of itself, and finding all such folders (no torch).

A network's folder holds ``method.py``, which names where its parts are. Parts that need torch are named, not imported:
what only estimates never loads them.
"""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from lineament.weights.schema import WeightsFormat

Reference = str
"""``package.module:attribute`` of something that is imported when it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """Networks that are trained by one command and ship as one weights file."""

    name: str
    """On the command line: ``lineament train NAME``."""
    summary: str
    """What it is, for ``--help``: a few words."""
    weights_format: WeightsFormat
    """What its weights files say of themselves."""
    network: Reference
    """The class of its network (`lineament.networks.weight_files.Network`)."""
    training: Reference
    """Its `lineament.training.plan.Training`."""
    graphs: Reference | None = None
    """A function from the network to the graphs that estimation runs, by their names
    (`lineament.networks.onnx_export.Graph`); None for a network that only training uses."""


Kind = TypeVar("Kind", bound=Component)


def resolved(reference: Reference) -> Any:
    """What a reference names, imported now."""
    return pkgutil.resolve_name(reference)


def discovered(package: ModuleType, kind: type[Kind]) -> dict[str, Kind]:
    """The components of a package's folders by their names, sorted.

    Every folder that holds ``method.py`` with a component called ``METHOD`` is one; folders outside the package's own
    count, too, where they have been added to its ``__path__``.
    """
    found: dict[str, Kind] = {}
    for folder in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if folder.ispkg:
            component = import_module(f"{folder.name}.method").METHOD
            assert isinstance(component, kind), f"{folder.name}.method.METHOD is no {kind.__name__}"
            found[component.name] = component
    return dict(sorted(found.items()))
