# SPDX-License-Identifier: Apache-2.0
"""What the header of a weights file may say of its network; estimation checks it without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
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
_CHANNELS = Whole(1, 2048)
_WIDTH = Real(1 / 64, 2.0)
_LEVELS = Whole(1, 10)
_CROP = Whole(16, 2048)

SCHEMAS: Mapping[str, Mapping[str, Rule]] = {
    "casfne": {
        "width": _WIDTH,
        "decoder_channels": Several(5, _CHANNELS),
        "normal_channels": _CHANNELS,
        "fusion": OneOf(("cat", "adain", "fmm")),
        "stages": Whole(0, 5),
        "crop_size": _CROP,
        "encoder": OneOf(("resnet18", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")),
    },
    "hffne": {
        "coarse_levels": _LEVELS,
        "coarse_width": _CHANNELS,
        "vgg_width": _WIDTH,
        "face_channels": Several(5, _CHANNELS),
        "vector": _CHANNELS,
        "injection": OneOf(("skips", "bottleneck", "modulation")),
        "modulation": OneOf(("stylegan2", "adain", "none")),
        "crop_size": _CROP,
    },
    "hffne-coarse": {"levels": _LEVELS, "width": _CHANNELS, "crop_size": _CROP},
    "df2net": {
        "levels": _LEVELS,
        "width": _CHANNELS,
        "channels": Several(3, _CHANNELS),
        "finer_channels": Several(3, _CHANNELS),
        "dense_scale": Whole(1, 16),
        "refinement": OneOf(("finer", "plain", "stacked")),
        "crop_size": _CROP,
    },
    "face-finder": {"channels": Several(5, _CHANNELS)},
    "face-reader": {"width": _WIDTH, "decoder_channels": Several(4, _CHANNELS), "crop_size": _CROP},
    "face-albedo": {"levels": _LEVELS, "width": _CHANNELS, "crop_size": _CROP},
    "features": {"width": _WIDTH},
}
"""Per method (`METHOD` of its network), every entry of its configuration and the values that it may have."""


def check_config(path: Path, method: str, config: object) -> dict[str, Any]:
    """Hold the configuration in a weights file's header to its method's schema.

    Args:
        path: The file, for messages.
        method: Whose weights they are.
        config: What the header's JSON says.

    Returns:
        The configuration.

    Raises:
        WeightsError: A method that is not known; an entry that is missing, unknown, or of another type or size.
    """
    if method not in SCHEMAS:
        raise WeightsError(f"{path} is for {method}, a method that this version does not know")
    schema = SCHEMAS[method]
    if not isinstance(config, dict):
        raise WeightsError(f"{path} has no configuration of {method} in its header")
    hint = "take weights that came with this version, or train them again"
    if missing := [name for name in schema if name not in config]:
        raise WeightsError(f"the configuration in {path} lacks {', '.join(missing)}: {hint}")
    if unknown := [str(name)[:40] for name in config if name not in schema]:
        raise WeightsError(f"the configuration in {path} has {unknown[0]!r}, which {method} does not know: {hint}")
    for name, rule in schema.items():
        if not rule.fits(config[name]):
            raise WeightsError(f"{name} in the configuration of {path} must be {rule}, not {str(config[name])[:40]!r}")
    return dict(config)
