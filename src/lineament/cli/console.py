# SPDX-License-Identifier: Apache-2.0
"""Plain lines on the terminal, and photos that fail without stopping the others."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console

from lineament.errors import UNEXPECTED, InputError, LineamentError, OutputError
from lineament.files.names import printable

if TYPE_CHECKING:
    from lineament.face.frames import FramedFaces

_LOG = logging.getLogger(__name__)


class StandardOutputError(OutputError):
    """Standard output that takes nothing more, such as a file on a full disk."""


class PlainConsole(Console):
    """A console that neither wraps, colours nor interprets what it prints, whatever file names hold."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print lines, control characters spelt out.

        Raises:
            BrokenPipeError: Nobody reads standard output any more.
            StandardOutputError: It cannot be written for another reason.
        """
        shown = ("\n".join(map(printable, item.split("\n"))) if isinstance(item, str) else item for item in objects)
        try:
            super().print(*shown, **options)
        except OSError as error:
            if self.stderr:
                return  # what cannot be said is no reason to leave the work
            if isinstance(error, BrokenPipeError):
                raise
            raise StandardOutputError(f"cannot write to standard output: {error.strerror or error}") from error

    def on_broken_pipe(self) -> None:
        """Leave a broken pipe to `print`, where rich would end the process."""
        raise  # rich calls this while it handles the error


def plain_console(stderr: bool = False) -> Console:
    """A console for plain lines on standard output, or on standard error."""
    return PlainConsole(stderr=stderr, soft_wrap=True, highlight=False, markup=False)


class Told(Protocol):
    """What a progress bar is told."""

    def __call__(self, done: float, what: str = ...) -> None:
        """How much of the total is done, and what comes now."""


@contextmanager
def progress_bar(console: Console, total: float, doing: str, shown: bool = True) -> Iterator[Told]:
    """A bar that goes when it is done, on a console that is a terminal; it is to be told how far the work is, and what
    is being done where that changes.
    """
    from rich.progress import Progress

    with Progress(console=console, transient=True, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(doing, total=total)

        def told(done: float, what: str = doing) -> None:
            bar.update(task, completed=done, description=what)

        yield told


def frame_of(found: FramedFaces) -> str:
    """Where in an animation faces were found, to be said behind their number; nothing for its first frame."""
    return f" in frame {found.frame}, the first one with a face" if found.faces and found.frame > 1 else ""


def described(error: BaseException) -> tuple[str, int]:
    """An error in one line, as those who use the command line read it, and its exit code; details go to the log."""
    _LOG.debug("details", exc_info=error)
    if isinstance(error, LineamentError):
        line, code = error.for_command_line(), error.exit_code
    elif isinstance(error, MemoryError):
        line, code = "not enough memory", UNEXPECTED
    elif isinstance(error, OSError) and error.filename is not None:
        line, code = f"{os.fsdecode(error.filename)}: {error.strerror}", InputError.exit_code
    elif isinstance(error, OSError) and error.strerror:  # of a stream: standard output, as a rule
        line, code = f"reading or writing failed: {error.strerror}", OutputError.exit_code
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        line, code = f"unexpected {text}; run with --debug for details", UNEXPECTED
    return printable(" ".join(line.split())), code


def in_order(work: Callable[..., None], items: Sequence[tuple[Any, ...]], jobs: int) -> Iterator[None]:
    """Do work for each of several items, some at once in threads, and say so in the items' order.

    Where one raises, or whoever waits does not go on, what has not begun is left.
    """
    if jobs == 1:
        for item in items:
            work(*item)
            yield
        return
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        for future in [pool.submit(copy_context().run, work, *item) for item in items]:
            future.result()
            yield
    finally:
        pool.shutdown(cancel_futures=True)


class Failures:
    """Errors of a batch: each is reported in a line of its own, and the rest goes on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.count = 0
        self.code = 0
        """Exit code of the first failure, 0 when there was none."""

    @contextmanager
    def reported(self, photo: Path) -> Iterator[None]:
        """A block whose error, whatever it is, is reported with the photo's name and ends there."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit, GeneratorExit, BrokenPipeError, StandardOutputError):
            raise
        except BaseException as error:  # extensions raise kinds of their own that are no Exception
            line, code = described(error)
            self.count += 1
            self.code = self.code or code
            named = line.startswith((f"{printable(str(photo))}:", f"{printable(photo.name)}:"))
            self.console.print(f"lineament: {line}" if named else f"lineament: {printable(str(photo))}: {line}")
