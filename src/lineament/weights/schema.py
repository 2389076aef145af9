# SPDX-License-Identifier: Apache-2.0
"""What the header of a weights file may say of its network; estimation checks it without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineament.errors import WeightsError


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    least: int
    most: int

    def fits(self, value: object) -> bool:
        """Whether a value is one of them; JSON's true and false are none."""
        return isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most

    def __str__(self) -> str:
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Real:
    """A finite number."""

    least: float
    most: float

    def fits(self, value: object) -> bool:
        """Whether a value is one of them."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value) and self.least <= value <= self.most  # type: ignore[arg-type,operator]

    def __str__(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Several:
    """A list of so many whole numbers."""

    count: int
    each: Whole

    def fits(self, value: object) -> bool:
        """Whether a value is such a list."""
        return isinstance(value, list) and len(value) == self.count and all(map(self.each.fits, value))

    def __str__(self) -> str:
        return f"a list of {self.count}, each {self.each}"


@dataclass(frozen=True)
class OneOf:
    """One of some words."""

    words: tuple[str, ...]

    def fits(self, value: object) -> bool:
        """Whether a value is one of them."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return " or ".join(self.words)


Rule = Whole | Real | Several | OneOf

# Four times the channels and the side of the papers' largest networks: beyond, a header asks for memory that no network
# needs.
CHANNELS = Whole(1, 2048)
WIDTH = Real(1 / 64, 2.0)
LEVELS = Whole(1, 10)
CROP = Whole(16, 2048)
ENCODER = OneOf(("resnet18", "resnet50", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"))
"""Encoders that give a pyramid (`lineament.networks.encoder.EncoderName`)."""


@dataclass(frozen=True)
class WeightsFormat:
    """A kind of weights file."""

    name: str
    """What its header calls the method."""
    schema: Mapping[str, Rule]
    """Every entry of the network's configuration, and the values that it may have."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Entries that files written before they existed lack, and what those files mean."""


def check_config(path: Path, kind: WeightsFormat, config: object) -> dict[str, Any]:
    """Hold the configuration in a weights file's header to its schema.

    Args:
        path: The file, for messages.
        kind: Whose weights they are.
        config: What the header's JSON says.

    Returns:
        The configuration.

    Raises:
        WeightsError: An entry that is missing, unknown, or of another type or size.
    """
    method, schema = kind.name, kind.schema
    if not isinstance(config, dict):
        raise WeightsError(f"{path} has no configuration of {method} in its header")
    hint = "take weights that came with this version, or train them again"
    config = {**kind.defaults, **config}
    if missing := [name for name in schema if name not in config]:
        raise WeightsError(f"the configuration in {path} lacks {', '.join(missing)}: {hint}")
    if unknown := [str(name)[:40] for name in config if name not in schema]:
        raise WeightsError(f"the configuration in {path} has {unknown[0]!r}, which {method} does not know: {hint}")
    for name, rule in schema.items():
        if not rule.fits(config[name]):
            raise WeightsError(f"{name} in the configuration of {path} must be {rule}, not {str(config[name])[:40]!r}")
    return dict(config)
