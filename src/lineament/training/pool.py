# SPDX-License-Identifier: Apache-2.0
"""Samples kept on a device, seen several times while others make new ones: a training that waits for no data."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")
Packed = tuple[Tensor, ...]
"""Samples [N, ...] of one number in each tensor."""

_FIRST = 4  # batches' worth of samples that a training waits for
_PATIENCE = 0.2  # seconds between looks at whether to stop


class SamplePool:
    """As many samples as there is room for; then the newest take the places of the oldest."""

    def __init__(self, capacity: int, device: torch.device) -> None:
        """An empty pool; its memory is taken when the first samples show their shapes."""
        self.capacity, self.device = capacity, device
        self.put_so_far = 0
        self._cached: Packed = ()

    def __len__(self) -> int:
        return min(self.put_so_far, self.capacity)

    def put(self, samples: Packed) -> None:
        """Take samples in; the oldest give way when the pool is full."""
        if not self._cached:
            self._cached = tuple(
                torch.empty((self.capacity, *tensor.shape[1:]), dtype=tensor.dtype, device=self.device)
                for tensor in samples
            )
        done, count = 0, len(samples[0])
        while done < count:
            place = self.put_so_far % self.capacity
            fits = min(count - done, self.capacity - place)
            for kept, tensor in zip(self._cached, samples, strict=True):
                kept[place : place + fits].copy_(tensor[done : done + fits], non_blocking=True)
            done += fits
            self.put_so_far += fits

    def draw(self, count: int, generator: torch.Generator) -> Packed:
        """Any ``count`` of the samples, each as likely as every other."""
        picked = torch.randint(len(self), (count,), generator=generator, device=self.device)
        return tuple(kept[picked] for kept in self._cached)


class Arrivals(Generic[Kind]):
    """What a slow iterable gives, fetched by a thread; an error of it is raised where it is asked for more."""

    def __init__(self, source: Iterable[Kind], ahead: int = 2) -> None:
        """Start fetching; no more than ``ahead`` wait to be taken."""
        self._queue: queue.Queue[tuple[Kind | None, Exception | None]] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fetch, args=(source,), daemon=True)
        self._thread.start()

    def _fetch(self, source: Iterable[Kind]) -> None:
        try:
            for item in source:
                if not self._offer((item, None)):
                    return
        except Exception as error:
            self._offer((None, error))

    def _offer(self, entry: tuple[Kind | None, Exception | None]) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(entry, timeout=_PATIENCE)
            except queue.Full:
                continue
            return True
        return False

    def take(self, wait: bool) -> Kind | None:
        """The next one; None if none has come yet and ``wait`` is false."""
        try:
            item, error = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if error is not None:
            raise error
        return item

    def close(self) -> None:
        """Fetch no more."""
        self._stopped.set()


def pooled(
    source: Iterable[Packed], capacity: int, count: int, views: float, seed: int, device: torch.device
) -> Iterator[Packed]:
    """Endless batches from a pool that an endless source fills meanwhile.

    Args:
        source: Samples, as they come; should it fail, batches go on from the samples that are there.
        capacity: Samples in the pool.
        count: Samples of a batch.
        views: How often a sample is drawn, on average, before new ones are taken in; the source waits that long.
        seed: Of the choice.
        device: Where the pool is kept.
    """
    pool, generator = SamplePool(capacity, device), torch.Generator(device).manual_seed(seed)
    arrivals, drawn = Arrivals(source), 0
    running = True
    try:
        while True:
            while running and (len(pool) < min(capacity, _FIRST * count) or drawn >= views * pool.put_so_far):
                few = len(pool) < min(capacity, _FIRST * count)
                try:
                    samples = arrivals.take(wait=few)
                except Exception as error:
                    if few:
                        raise
                    log.warning("no more faces come (%s); going on with %d", error, len(pool))
                    running = False
                    break
                if samples is None:
                    break
                pool.put(samples)
            yield pool.draw(count, generator)
            drawn += count
    finally:
        arrivals.close()
