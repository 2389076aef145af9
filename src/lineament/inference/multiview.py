# SPDX-License-Identifier: Apache-2.0
"""What a fit to several photos of one person is given, and what it may be asked (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lineament.inference.predictor import Prediction
from lineament.options import check_options


@dataclass(frozen=True)
class SeenFace:
    """What is known of a person's face in one photo, in the frame of its crop of S×S pixels."""

    picture: NDArray[np.uint8]
    """S×S×3 RGB."""
    landmarks: NDArray[np.float64]
    """[68, 2], shares of the side, x right, y down."""
    visibility: NDArray[np.float32]
    """[68] probabilities that a landmark is seen."""
    parse: NDArray[np.uint8]
    """S×S of `lineament.annotations.parsing.MaskClass`."""
    said: Prediction
    """What the networks say of this photo alone, of one crop; its maps may have another number of pixels."""
    normals: NDArray[np.float32] | None = None
    """S×S×3 unit normals that another method gave, in the crop's frame; the fit asks for them with a weight."""


@dataclass(frozen=True)
class FitOptions:
    """How one head is fitted to several photos of a person."""

    steps: int = 50
    """Steps of the fit; 0 averages what the single views give, which HRN's paper calls the naive version."""
    seconds: float = 60.0
    """Time after which the fit ends as it stands."""
    photometric: float = 1.92
    """Weight of the difference between rendering and photo; the paper's, as those that say nothing else."""
    landmark: float = 0.1
    """Weight of the landmarks' squared distance, pixels of a picture of 224; the paper's is 1.6e-3."""
    contour: float = 20.0
    """Weight of the contour-aware loss."""
    smoothness: float = 5e3
    """Weight of the deformation map's total variation, in units of 100 mm."""
    displacement: float = 10.0
    """Weight of the displacement maps' absolute size, in units of 100 mm."""
    prior: float = 3e-4
    """Weight of the squared coefficients (Deng et al. 2019)."""
    normal: float = 10.0
    """Weight of the difference from the normals that the default method gives; the paper has no such loss."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        "steps": "[0, 10000]",
        "seconds": "(0, 86400]",
        **dict.fromkeys(
            ("photometric", "landmark", "contour", "smoothness", "displacement", "prior", "normal"),
            "[0, 1000000]",
        ),
    }

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)


@dataclass(frozen=True)
class MultiviewFit:
    """One head in several photos."""

    predictions: tuple[Prediction, ...]
    """Of the photos, one crop each: identity is the same in all, the deformation is, but for how the head stands."""
    residuals: NDArray[np.float64]
    """[N] how badly each photo is explained: median distance of its visible landmarks, per cent of the crop's side."""
    steps: int
    """How many were made."""


Told = Callable[[int], None]
"""Is told how many steps are made."""
FitViews = Callable[[Sequence[SeenFace], FitOptions, Told], MultiviewFit]
"""A method's fit of one head to several photos."""
