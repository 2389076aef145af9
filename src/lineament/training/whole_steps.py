# SPDX-License-Identifier: Apache-2.0
"""Steps that are done as a whole or not at all, as far as what is saved is concerned."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WholeSteps:
    """Knows whether networks and optimisers are those of a whole number of steps, and makes them so where it can.

    What ends a step in the middle may leave some networks changed and others not, from which a run could not go on
    exactly. So an interrupt (Ctrl-C, SIGTERM) waits for the end of the step, unless it comes twice. After an error, as
    long as no optimiser has moved, only buffers have changed (the statistics of batch norm), and these are kept from
    the step's start.
    """

    def __init__(self, modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> None:
        """Watch these, which must be on their device already."""
        self._whole, self._moved, self._asked = True, False, False
        self._buffers = [buffer for module in modules for buffer in module.buffers()]
        self._cached = [buffer.clone() for buffer in self._buffers]
        for optimizer in optimizers:
            optimizer.register_step_pre_hook(self._moves)

    @contextmanager
    def step(self) -> Iterator[None]:
        """A block that belongs together.

        Raises:
            KeyboardInterrupt: At its end, if one came while it ran.
        """
        self._copy(self._cached, self._buffers)
        self._whole = self._moved = False
        yield
        self._whole = True
        if self._asked:
            raise KeyboardInterrupt

    def restored(self) -> bool:
        """Whether the state is that of whole steps, if need be after taking back what an unfinished one changed."""
        if not self._whole and not self._moved:
            self._copy(self._buffers, self._cached)
            self._whole = True
        return self._whole

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A block that Ctrl-C and SIGTERM end alike, between two steps."""
        try:
            before = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
        except ValueError:  # not the main thread, which alone gets signals
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, number: int, frame: object) -> None:
        if self._whole or self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def _moves(self, *arguments: object) -> None:
        self._moved = True

    @staticmethod
    @torch.no_grad()
    def _copy(into: Iterable[torch.Tensor], source: Iterable[torch.Tensor]) -> None:
        for own, other in zip(into, source, strict=True):
            own.copy_(other)
