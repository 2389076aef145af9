# SPDX-License-Identifier: Apache-2.0
"""Counter-based random numbers: every draw is a pure function of (seed, index, name).

A generator with a state gives a sample other numbers when its neighbours in the batch change or when a draw
is added before it. Here a draw hashes (seed, index, name, counter) with the finaliser of SplitMix64 (Steele,
Lea & Flood 2014, "Fast splittable pseudorandom number generators"), so nothing but its own name matters.
Numbers per sample are made on the host and are the same on every device; noise per pixel is made where it is
needed.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = (1 << 64) - 1


class SampleRandom:
    """The random numbers of a batch of samples.

    Two draws with one name are one draw: give every quantity a name of its own.
    """

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device | str = "cpu") -> None:
        """Bind a seed and the samples' indices.

        Args:
            seed: Any integer; only its lowest 64 bits count.
            indices: One integer per sample, [B].
            device: Where the draws are put.
        """
        self.device = torch.device(device)
        root = _mix(np.asarray([seed & _MASK], dtype=np.uint64) + _GOLDEN)
        words = np.asarray([index & _MASK for index in indices], dtype=np.uint64)
        self._keys = _mix(_mix(words + _GOLDEN) ^ root)  # [B]

    def __len__(self) -> int:
        return len(self._keys)

    def select(self, rows: Tensor | Sequence[int]) -> SampleRandom:
        """The random numbers of some of the samples, by their positions [N] in the batch."""
        chosen = object.__new__(SampleRandom)
        chosen.device = self.device
        chosen._keys = self._keys[np.asarray(rows.cpu() if isinstance(rows, Tensor) else rows, dtype=np.int64)]
        return chosen

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0, shape: Sequence[int] = ()) -> Tensor:
        """Draw from [low, high), [B, *shape] float32."""
        unit = (self._words(name, math.prod(shape)) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        return self._tensor(np.float32(low) + np.float32(high - low) * unit, shape)

    def normal(self, name: str, shape: Sequence[int] = ()) -> Tensor:
        """Draw from the standard normal distribution (Box & Muller 1958), [B, *shape] float32."""
        words = self._words(name, math.prod(shape))
        radius = ((words >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32  # never 0
        angle = (words & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0 * math.pi * 2.0**-32)
        return self._tensor((np.sqrt(-2.0 * np.log(radius)) * np.cos(angle)).astype(np.float32), shape)

    def bernoulli(self, name: str, probability: float | Tensor) -> Tensor:
        """True with this probability (a number, or one per sample [B]), [B] bool."""
        return self.uniform(name) < probability

    def choice(self, name: str, weights: Sequence[float] | Tensor) -> Tensor:
        """Draw one of K options.

        Args:
            name: The draw's name.
            weights: Shares of the options, [K], or [B, K] for shares of each sample's own; any positive sum.

        Returns:
            [B] int64 in 0 .. K - 1.
        """
        shares = torch.as_tensor(weights, dtype=torch.float32, device=self.device)
        steps = torch.cumsum(shares, -1)
        threshold = self.uniform(name)[:, None] * steps[..., -1:]
        # An option is passed over once the threshold reaches its upper step; the last one never is.
        return (threshold >= steps[..., :-1]).sum(-1)

    def log_uniform(self, name: str, low: float, high: float, shape: Sequence[int] = ()) -> Tensor:
        """Draw from [low, high), both positive, uniformly in the logarithm, [B, *shape] float32."""
        return self.uniform(name, math.log(low), math.log(high), shape).exp_()

    def pixels(self, name: str, shape: Sequence[int], distribution: Literal["normal", "uniform"] = "normal") -> Tensor:
        """White noise, made on the device.

        Args:
            name: The draw's name.
            shape: Shape of one sample's field, (C, H, W).
            distribution: "normal" is standard normal, cut at 4.3; "uniform" lies in (0, 1); 65536 levels.

        Returns:
            [B, *shape] float32.
        """
        count = math.prod(shape)
        # Halves of one 64-bit word as two signed 32-bit keys per sample: integers wrap alike everywhere.
        halves = self._words(name, 1).view(np.int32).reshape(len(self), 2)
        keys = torch.from_numpy(halves.copy()).to(self.device)  # [B, 2]
        words = _positions((count + 1) // 2, str(self.device)) ^ keys[:, :1]  # [B, N / 2]
        words.mul_(-1640531535)
        words ^= words >> 15
        words += keys[:, 1:]
        words.mul_(-2048144777)
        # The last shift must not drag the sign along, or the highest bit would always be zero.
        words ^= (words >> 16) & 0xFFFF
        levels = words.view(torch.int16)[:, :count].to(torch.int32).add_(32768)  # two levels from each word
        table = _normal_table(str(self.device))
        if distribution == "normal":
            noise = table.index_select(0, levels.reshape(-1))
        else:
            noise = levels.to(torch.float32).add_(0.5).mul_(2.0**-16)
        return noise.view(len(self), *shape)

    def _words(self, name: str, count: int) -> Words:
        """Hash of (seed, index, name, 0 .. count - 1), [B, count]."""
        stream = _mix(self._keys + np.uint64(zlib.crc32(name.encode()) * int(_GOLDEN) & _MASK))
        return _mix(stream[:, None] + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)

    def _tensor(self, values: npt.NDArray[np.float32], shape: Sequence[int]) -> Tensor:
        return torch.from_numpy(values.reshape(len(self), *shape)).to(self.device)


def _mix(words: Words) -> Words:
    """The finaliser of SplitMix64: a bijection in which every input bit changes half of the output bits."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


@lru_cache(maxsize=32)
def _positions(count: int, device: str) -> Tensor:
    """A hash of each pixel's place, the same for every sample, [1, count] int32."""
    words = _mix(np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)
    return torch.from_numpy((words >> np.uint64(32)).astype(np.uint32).view(np.int32))[None].to(device)


@lru_cache(maxsize=8)
def _normal_table(device: str) -> Tensor:
    """Quantiles of the standard normal distribution at 65536 levels, [65536] float32."""
    levels = (torch.arange(65536, dtype=torch.float64) + 0.5) * 2.0**-16
    quantiles: Tensor = torch.special.ndtri(levels)
    return quantiles.to(torch.float32).to(device)
