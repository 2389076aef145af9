# SPDX-License-Identifier: Apache-2.0
"""Processes that work on numbered inputs, and what watches over them: a hang or a crash costs that input alone."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from tests.fuzz.verdict import Verdict

Judge = Callable[[int], Verdict]

_LOADED = 6.0
"""How many times slower than alone a process may be on a busy machine before it hangs, where it was given no time."""


def supervise(
    start: Callable[[], Judge], inputs: Iterable[int], workers: int, patience: float
) -> Iterator[tuple[int, Verdict]]:
    """Verdicts of inputs, as they come.

    Args:
        start: Called in each process; gives what judges an input by its number. It must be picklable.
        inputs: The numbers.
        workers: Processes.
        patience: Seconds of an input, after which its process is killed.
    """
    waiting, done = iter(list(inputs)), SimpleQueue[tuple[int, Verdict] | BaseException | None]()
    lock = threading.Lock()

    def look_after() -> None:
        worker: _Worker | None = None
        try:
            while True:
                with lock:
                    number = next(waiting, None)
                if number is None:
                    return
                worker = worker or _Worker(start)
                verdict = worker.judge(number, patience)
                if verdict.name in ("hang", "crash"):
                    worker.end()
                    worker = None
                done.put((number, verdict))
        except BaseException as error:  # of the machinery, not of an input
            done.put(error)
        finally:
            if worker:
                worker.end()
            done.put(None)

    for _ in range(workers):
        threading.Thread(target=look_after, daemon=True).start()
    left = workers
    while left:
        item = done.get()
        if item is None:
            left -= 1
        elif isinstance(item, BaseException):
            raise item
        else:
            yield item


class _Worker:
    """One process, with the file where it says why it died."""

    def __init__(self, start: Callable[[], Judge]) -> None:
        self.log = Path(tempfile.mkstemp(suffix=".log")[1])
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, start, str(self.log)), daemon=True)
        self.process.start()
        theirs.close()
        if not self.connection.poll(120):
            raise TimeoutError("a worker did not start")
        try:
            self.connection.recv()
        except EOFError:
            raise RuntimeError(f"a worker did not start: {self.log.read_text(errors='replace')[-3000:]}") from None

    def judge(self, number: int, patience: float) -> Verdict:
        begun, spent = time.perf_counter(), self._cpu()
        self.log.write_bytes(b"")
        try:
            self.connection.send((number, patience))
            while not self.connection.poll(0.2):
                taken = time.perf_counter() - begun
                # A process that the machine gave no time does not hang.
                if taken > patience and (self._cpu() - spent > patience or taken > patience * _LOADED):
                    return self._failed("hang", taken)
            verdict: Verdict = self.connection.recv()
            return verdict
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.process.join(10)
            return self._failed("crash", time.perf_counter() - begun)

    def _failed(self, name: str, taken: float) -> Verdict:
        said = self.log.read_text(errors="replace")[-4000:]
        own = [line.strip() for line in said.splitlines() if line.lstrip().startswith("File") and "lineament" in line]
        code = f"exit code {self.process.exitcode}\n" if name == "crash" else ""
        return Verdict(name, code + said, f"{name} {own[0] if own else ''}", taken, 0)

    def _cpu(self) -> float:
        """Seconds of processor time; without /proc as if it had all of it."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return time.perf_counter()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()
        self.log.unlink(missing_ok=True)


def _serve(connection: Connection, start: Callable[[], Judge], log: str) -> None:
    """In the process: answer every number with a verdict."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):  # what libraries print is of no interest while all goes well
        os.dup2(descriptor, stream)
    faulthandler.enable(2)
    judge = start()
    connection.send(None)
    while True:
        try:
            number, patience = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        faulthandler.dump_traceback_later(0.9 * patience, file=2)
        verdict = judge(number)
        faulthandler.cancel_dump_traceback_later()
        connection.send(verdict)
