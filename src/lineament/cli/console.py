# SPDX-License-Identifier: Apache-2.0
"""Plain lines on the terminal, and photos that fail without stopping the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lineament.errors import LineamentError

if TYPE_CHECKING:
    from rich.console import Console


def plain_console(stderr: bool = False) -> Console:
    """A console that neither wraps, colours nor interprets what it prints."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False)


class Failures:
    """Errors of a batch: each is reported in a line of its own, and the rest goes on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.count = 0
        self.code = 0
        """Exit code of the first failure, 0 when there was none."""

    @contextmanager
    def reported(self) -> Iterator[None]:
        """A block whose error is reported and ends there."""
        try:
            yield
        except LineamentError as error:
            self.count += 1
            self.code = self.code or error.exit_code
            self.console.print(f"lineament: {error}")
