# SPDX-License-Identifier: Apache-2.0
"""The One Euro filter (Casiez, Roussel and Vogel 2012): smooth where little moves, without lag where much does."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SPEED_CUTOFF = 2.0  # Hz, of the filter of speeds


class OneEuroFilter:
    """A low pass whose cutoff grows with the speed of what it filters, element by element.

    An exponential filter lags behind by some frames if it removes noise. Its cutoff here is f = f_min + β |v| with the
    filtered speed v, so that noise is removed at rest and motion passes.
    """

    def __init__(self, rate: float, cutoff: float, speed_gain: float) -> None:
        """Start a filter.

        Args:
            rate: Values a second.
            cutoff: f_min: cutoff at rest, Hz.
            speed_gain: β: Hz of cutoff per unit of the values and second.
        """
        self.rate, self.cutoff, self.speed_gain = rate, cutoff, speed_gain
        self._value: Floats | None = None
        self._speed: Floats | float = 0.0

    @property
    def speed(self) -> Floats | float:
        """The filtered speed, units of the values a second."""
        return self._speed

    def __call__(self, value: Floats) -> Floats:
        """The next value, filtered; the first one passes as it is."""
        if self._value is None:
            self._value = np.array(value, np.float64)
            return self._value
        speed = (value - self._value) * self.rate
        self._speed = self._speed + _share(_SPEED_CUTOFF, self.rate) * (speed - self._speed)
        cutoff = self.cutoff + self.speed_gain * np.abs(self._speed)
        self._value = self._value + _share(cutoff, self.rate) * (value - self._value)
        return self._value


def _share(cutoff: Floats | float, rate: float) -> Floats | float:
    """How much of a new value an exponential filter of a cutoff takes."""
    turn = 2.0 * math.pi * np.asarray(cutoff) / rate
    return np.asarray(turn / (turn + 1.0))
