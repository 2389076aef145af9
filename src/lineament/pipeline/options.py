# SPDX-License-Identifier: Apache-2.0
"""How faces are estimated: the one list of options that Python, the command line and evaluation share."""

from __future__ import annotations

from dataclasses import dataclass

from lineament.options import check_options


@dataclass(frozen=True)
class Options:
    """How faces are estimated."""

    stages: int | None = None
    """Stages after the first, as many as the method has; by default all that its weights were trained with, or
    as many as pay (casfne-s: none)."""
    second_view: bool = True
    """Average with a second view, mirrored and closer (test-time augmentation): more accurate, twice the time."""
    ears: bool = False
    """Count ears as face."""
    fine_crop: bool = True
    """See large faces once more in a finer crop, for detail: up to three times the time."""

    camera_tones: bool = True
    """Show photos of linear light, as measured and raw ones hold, with a camera's curve; the papers show them as they
    are."""

    def __post_init__(self) -> None:
        check_options(self, {"stages": "[0, 100]"})  # how many a method has, its predictor knows
