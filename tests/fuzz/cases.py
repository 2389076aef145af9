# SPDX-License-Identifier: Apache-2.0
"""Numbered inputs: each is a pure function of the seeds, a seed of randomness and its number."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import numpy as np

from tests.fuzz.doors import DOORS, SHARES, Door
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import TARGETS
from tests.fuzz.training import tiny_network
from tests.fuzz.verdict import MOST_MEMORY, Verdict, judge
from tests.fuzz.watch import Judge

Random = np.random.Generator

_ORDER = np.random.default_rng(0).permutation([kind for kind, share in SHARES.items() for _ in range(share)])
_MOST_ADDRESSES = 2 * MOST_MEMORY  # before the system refuses; by then the peak has been seen


_LIBRARIES = (
    "lineament.pipeline.estimator",
    "lineament.networks.onnx_export",
    "lineament.training.loop",
    "torch.utils.tensorboard",
)


@dataclass(frozen=True)
class Cases:
    """The inputs of a folder of seeds; a picklable way to start a process that judges them (`watch.supervise`)."""

    corpus: Path
    seed: int

    def __call__(self) -> Judge:
        """In a process of its own: get ready, and judge inputs by their numbers."""
        # Libraries first, so that no input pays for them.
        for name in _LIBRARIES:
            import_module(name)
        os.chdir(self.corpus)
        tiny_network().start()
        warnings.simplefilter("ignore")
        np.seterr(all="ignore")
        _limit_memory()
        return self.judge

    @cached_property
    def seeds(self) -> dict[str, list[Path]]:
        """Files of each kind that are damaged, in a fixed order."""
        found = {}
        for kind in SHARES:
            names = TARGETS.get(kind)
            inside = sorted(p for p in self.corpus.glob(f"{kind}/*/**/*") if p.is_file())
            found[kind] = [p for p in inside if not names or any(p.match(name) for name in names)]
        return found

    def kind(self, number: int) -> str:
        """The kind of a numbered input."""
        return str(_ORDER[number % len(_ORDER)])

    def name(self, number: int) -> str:
        """Kind, seed and door of a numbered input."""
        source, door, _ = self._drawn(number)
        return f"{self.kind(number)} {source.name if source else ''} → {door.name}"

    def write(self, number: int, folder: Path) -> Path:
        """Write a numbered input with the files that belong to it; return the damaged one."""
        source, _, rng = self._drawn(number)
        if source is None:
            return folder / "object"
        others = [p.read_bytes() for p in self.seeds[self.kind(number)] if p.suffix == source.suffix and p != source]
        return _copy(source, self.corpus, folder, mutate(source.read_bytes(), source.suffix, others, rng))

    def judge(self, number: int) -> Verdict:
        """Put a numbered input through its door."""
        door = self._drawn(number)[1]
        with tempfile.TemporaryDirectory(prefix="fuzz") as scratch:
            path = self.write(number, Path(scratch))
            rng = np.random.default_rng((self.seed, number, 1))
            verdict = judge(lambda: door.enter(path, rng))
        return verdict

    def _drawn(self, number: int) -> tuple[Path | None, Door, Random]:
        rng = np.random.default_rng((self.seed, number))
        kind = self.kind(number)
        sources = self.seeds[kind]
        source = sources[rng.integers(len(sources))] if sources else None
        fitting = doors_of(kind, source)
        return source, fitting[rng.integers(len(fitting))], rng


def doors_of(kind: str, source: Path | None) -> list[Door]:
    """The doors that take a file, each as often as its share."""
    fits = [door for door in DOORS[kind] if source is None or not door.suffixes or source.suffix in door.suffixes]
    return [door for door in fits for _ in range(door.share)]


def sound(corpus: Path, source: Path, door: Door) -> Verdict:
    """Put a seed through a door as it is."""
    with tempfile.TemporaryDirectory(prefix="fuzz") as scratch:
        path = _copy(source, corpus, Path(scratch), source.read_bytes())
        return judge(lambda: door.enter(path, np.random.default_rng(0)))


def _copy(source: Path, corpus: Path, folder: Path, data: bytes) -> Path:
    """A seed's files in a folder, one of them with other content."""
    seed = corpus.joinpath(*source.relative_to(corpus).parts[:2])
    copied = folder / seed.name
    shutil.copytree(seed, copied)
    target = copied / source.relative_to(seed)
    target.write_bytes(data)
    return target


def _limit_memory() -> None:
    """Let the system refuse what is far above the limit, so that the machine lives on."""
    import resource

    status = Path("/proc/self/status")
    if not status.exists():
        return
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmSize"))
    limit = (int(line.split()[1]) << 10) + _MOST_ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
