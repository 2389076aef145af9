# SPDX-License-Identifier: Apache-2.0
"""What the generator may draw: one frozen dataclass, from which the command line is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lineament.errors import UsageError
from lineament.options import SEED, check_multiple, check_options
from lineament.synth.degrade import DegradeConfig


@dataclass(frozen=True)
class SynthConfig:
    """Ranges of the synthetic faces. Angles in degrees, distances in millimetres, sizes in pixels."""

    size: int = 256
    """Side of the square crop, pixels; a multiple of 32."""
    seed: int = 0
    """Every sample is a pure function of this seed and its index."""
    identities: int = 0
    """Number of distinct people; 0 gives every sample a person of its own."""
    yaw: float = 70.0
    """Largest turn of the head to either side."""
    pitch: float = 35.0
    """Largest nod."""
    roll: float = 20.0
    """Largest tilt in the image plane."""
    frontal: float = 0.7
    """Share of near-frontal heads (turned by Gaussians of some 10 degrees); the rest covers the whole range."""
    nearest: float = 300.0
    """Nearest camera: a selfie."""
    farthest: float = 4000.0
    """Farthest camera: a telephoto portrait."""
    span_low: float = 0.45
    """Smallest share of the side that the 68 landmarks' bounding box spans."""
    span_high: float = 0.9
    """Largest share of the side that the 68 landmarks' bounding box spans."""
    expression: float = 1.0
    """Strength of expressions; 0 leaves every face neutral."""
    heavy_tails: float = 1.0
    """How far identities go beyond the face model's Gaussian; 0 keeps to it."""
    asymmetry: float = 0.15
    """How much of another person the halves of a face differ by, one standard deviation."""
    deformation: float = 1.0
    """Strength of the smooth random deformation that takes faces beyond the face model's; 0 leaves it out."""
    stretch: float = 1.0
    """How much wider, higher and above all deeper heads differ beyond the model's; 0 leaves its own differences."""
    mean_depth: float = 1.083
    """Depth of the average head in that of the face model's."""
    mean_profile: float = 2.0
    """Degrees by which the average chin lies further forward than the model's."""
    mean_curvature: float = 0.5
    """How much faster than the model's the average cheeks fall back to the sides, 1/m (of x² in z)."""
    profile: float = 3.0
    """Spread of the profile's slope, degrees: how far the chin lies before or behind the brows, beyond the model's."""
    curvature: float = 0.8
    """Spread of how much faster than the model's cheeks fall back to the sides, 1/m (of x² in z)."""
    panels: float = 1.0
    """Strength of the windows, walls and skies that make up the environment; 0 leaves a smooth gradient."""
    translucency: float = 1.0
    """Strength of the light that spreads inside skin."""
    sheen: float = 1.0
    """Strength of grazing reflections: Fresnel's law, and the environment mirrored in oily skin."""
    hair: float = 0.88
    """Share of heads with hair on them."""
    glasses: float = 0.25
    """Share of people with glasses, every fifth of them with dark ones."""
    hats: float = 0.08
    """Share of people with a cap, a hood or a scarf over their hair."""
    covered: float = 0.08
    """Share of photos with a hand or a thing before the face."""
    features: float = 1.0
    """Strength of lids, lips, philtrum and chin furrow, which a face model of few components smooths away."""
    detail: float = 1.0
    """Strength of wrinkles, folds, pores and features; 0 leaves the smooth surface."""
    degrade: DegradeConfig = field(default_factory=DegradeConfig)
    """The camera: exposure, lens, sensor, compression."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        "size": "[32, 4096]",
        "seed": SEED,
        "identities": "[0, 1000000000]",
        **dict.fromkeys(("yaw", "pitch", "roll"), "[0, 180]"),
        **dict.fromkeys(("nearest", "farthest"), "[150, 1000000]"),
        **dict.fromkeys(("span_low", "span_high"), "[0.2, 1.2]"),
        **dict.fromkeys(("expression", "heavy_tails", "asymmetry", "deformation", "stretch"), "[0, 10]"),
        "mean_depth": "[0.2, 5]",
        "mean_profile": "[-45, 45]",
        "mean_curvature": "[-20, 20]",
        "profile": "[0, 45]",
        "curvature": "[0, 20]",
        **dict.fromkeys(("panels", "translucency", "sheen", "features", "detail"), "[0, 10]"),
        **dict.fromkeys(("frontal", "hair", "glasses", "hats", "covered"), "[0, 1]"),
    }
    """What each number may be (`lineament.options.check_options`)."""

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)
        check_multiple("size", self.size, 32)
        check_multiple("identities", self.identities, 50)
        if self.span_low > self.span_high:
            raise UsageError(f"span_low must not be above span_high, but is {self.span_low} > {self.span_high}")
        if self.nearest > self.farthest:
            raise UsageError(f"nearest must not be above farthest, but is {self.nearest} > {self.farthest} mm")
