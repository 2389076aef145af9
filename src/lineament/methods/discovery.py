# SPDX-License-Identifier: Apache-2.0
"""The methods and helper networks that there are, and from a weights file to what runs it (no torch)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lineament import methods as _methods
from lineament import models as _models
from lineament.errors import UsageError, WeightsError
from lineament.inference.component import Component, discovered, resolved
from lineament.inference.predictor import Predictor
from lineament.methods.spec import Method
from lineament.weights import weights_path
from lineament.weights.file import read_method, shown

DEFAULT_WEIGHTS = "casfne-s"
"""The weights of whoever names none."""
AUTO = "auto"
"""In place of a method: the default weights, but for faces that are so small that another method is better."""


@cache
def all_methods() -> dict[str, Method]:
    """The methods by name."""
    return discovered(_methods, Method)


@cache
def all_components() -> dict[str, Component]:
    """Methods and helper networks by name: all that can be trained."""
    return {**all_methods(), **discovered(_models, Component)}


def method_of_size(name: str) -> Method:
    """The method that has a configuration of some name, "casfne-s" for instance.

    Raises:
        UsageError: There is none.
    """
    for method in all_methods().values():
        if name in method.sizes:
            return method
    known = [size for method in all_methods().values() for size in method.sizes]
    raise UsageError(f"no network {name!r}; there are {', '.join(known)}")


def component_of(weights: Path) -> Component:
    """What a weights file is for.

    Raises:
        WeightsError: The file cannot be read, or is for nothing that is known.
    """
    header = read_method(weights)
    for component in all_components().values():
        if component.weights_format.name == header:
            return component
    raise WeightsError(f"{weights} is for {shown(header)}, which is no method of this version")


def method_for_small_faces() -> Method | None:
    """The method that is better than the default weights on small faces, if there is one."""
    return max((m for m in all_methods().values() if m.best_below), key=lambda m: m.best_below, default=None)


def method_weights(name: str) -> Path:
    """The weights file of a method's name, of shipped weights' name, or of a path to one.

    Raises:
        WeightsError: No such weights.
    """
    known = all_methods()
    return weights_path(known[name].weights if name in known else name)


def open_predictor(weights: Path) -> Predictor:
    """The networks of a weights file, ready to run; see `Predictor`.

    Raises:
        WeightsError: Files that are missing, damaged or do not fit each other, or weights of no method that estimates.
    """
    component = component_of(weights)
    if not isinstance(component, Method):
        name = component.weights_format.name
        raise WeightsError(f"{weights} is for {name}, which estimates no face geometry by itself")
    predictor: Predictor = resolved(component.predictor)(weights)
    return predictor
