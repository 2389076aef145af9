# SPDX-License-Identifier: Apache-2.0
"""Endless labelled faces without a disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import torch
from torch.utils.data import IterableDataset, get_worker_info

from lineament.datasets.labelled_folder import VALIDATION_EVERY
from lineament.options import COUNT, check_number
from lineament.rig import Rig, load_rig
from lineament.synth.batch import SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.generator import Generator


class FaceStream(IterableDataset[SampleBatch]):
    """Batches of synthetic faces, split by identity, resumable at any batch.

    With several DataLoader workers the batches are dealt out in turn, so that together they give the same
    sequence as one worker.
    """

    def __init__(
        self,
        config: SynthConfig,
        batch_size: int,
        split: str = "train",
        start: int = 0,
        rig: Rig | None = None,
        device: torch.device | str = "cpu",
        step: int = 1,
    ) -> None:
        """Describe the stream; nothing is made before it is iterated.

        Args:
            config: The generator's ranges.
            batch_size: Samples per batch.
            split: "train" or "validation"; no person is in both.
            start: Number of the first batch, to go on where a run stopped.
            rig: The face model, by default the one that ships.
            device: Where batches are made.
            step: Distance between the numbers of batches, above 1 where several processes deal them out.

        Raises:
            UsageError: A batch of less than one sample.
        """
        super().__init__()
        check_number("batch_size", batch_size, COUNT)
        if split not in ("train", "validation"):
            raise ValueError(f'split must be "train" or "validation", not {split!r}')
        self.config, self.batch_size, self.split, self.start = config, batch_size, split, start
        self.rig, self.device, self.step = rig, device, step

    def indices(self, batch: int) -> list[int]:
        """Sample indices of a batch by its number."""
        first = batch * self.batch_size
        return [_nth_of_split(first + i, self.split) for i in range(self.batch_size)]

    def __iter__(self) -> Iterator[SampleBatch]:
        generator = Generator(self.config, self.rig or load_rig(), self.device)
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in count(self.start + first * self.step, step * self.step):
            yield generator.batch(self.indices(number))


def _nth_of_split(n: int, split: str) -> int:
    """The n-th sample index whose person (index modulo the split's period) is in the split."""
    if split == "validation":
        return n * VALIDATION_EVERY
    block, rest = divmod(n, VALIDATION_EVERY - 1)
    return block * VALIDATION_EVERY + rest + 1
