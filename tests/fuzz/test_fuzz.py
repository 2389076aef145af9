# SPDX-License-Identifier: Apache-2.0
"""Hostile inputs end in a finite answer or in one line, never in a traceback, a hang or a full memory."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from lineament.errors import InputError
from tests.fuzz.cases import Cases, doors_of, sound
from tests.fuzz.doors import DOORS
from tests.fuzz.hanging import hanging
from tests.fuzz.mutate import mutate
from tests.fuzz.report import failures_of
from tests.fuzz.seeds import write_seeds
from tests.fuzz.training import chdir, tiny_network
from tests.fuzz.verdict import GOOD, PATIENCE, judge
from tests.fuzz.watch import supervise

pytest.importorskip("resource", reason="memory is watched as Unix does")

INPUTS = 500

# Sound files that lineament says it does not read, or not as what they are tried as.
MAY_BE_REFUSED = {"float-rgb.tif", "rgb.exr", "single.exr", "own.glb", "other.obj"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    return folder


def test_hostile_inputs_are_answered_or_refused(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the processes take it over
    cases = Cases(corpus, seed=0)
    verdicts = dict(supervise(cases, range(INPUTS), workers=2, patience=PATIENCE))
    assert len(verdicts) == INPUTS
    assert not failures_of(cases, verdicts), failures_of(cases, verdicts)
    # Neither are all inputs turned away at the first door, nor are they so little damaged that all pass.
    for kind in DOORS:
        names = {verdict.name for number, verdict in verdicts.items() if cases.kind(number) == kind}
        assert names == {"answered", "refused"}, kind


def test_seeds_are_sound(corpus: Path) -> None:
    cases = Cases(corpus, seed=0)
    with chdir(corpus), tiny_network():
        for kind, files in cases.seeds.items():
            for file in files:
                # Commands take longer, and read as the other doors do.
                doors = [door for door in dict.fromkeys(doors_of(kind, file)) if not door.name.startswith("lineament")]
                verdicts = [sound(corpus, file, door) for door in doors]
                assert {v.name for v in verdicts} <= GOOD, (file, verdicts)
                if file.name not in MAY_BE_REFUSED:
                    assert any(v.name == "answered" for v in verdicts), (file, verdicts)


def test_inputs_are_pure_functions_of_their_number(corpus: Path, tmp_path: Path) -> None:
    for number in range(40):
        first, again = (Cases(corpus, seed=3).write(number, tmp_path / f"{number}{side}") for side in "ab")
        if first.exists():
            assert first.read_bytes() == again.read_bytes(), number


def test_mutations_of_every_seed_differ_from_it(corpus: Path) -> None:
    for files in Cases(corpus, seed=0).seeds.values():
        for file in files:
            data = file.read_bytes()
            made = {mutate(data, file.suffix, [data], np.random.default_rng(n)) for n in range(12)}
            assert len(made - {data}) >= 6, file


def _refuse() -> None:
    raise InputError("no")


@pytest.mark.parametrize(
    ("enter", "name"),
    [
        (lambda: {"a": [1.0, np.zeros(3)]}, "answered"),
        (_refuse, "refused"),
        (lambda: 1 // 0, "traceback"),
        (lambda: {"a": [np.array([1.0, np.nan])]}, "not finite"),
    ],
)
def test_verdicts(enter: object, name: str) -> None:
    assert judge(enter).name == name  # type: ignore[arg-type]


def test_the_peak_of_memory_is_seen() -> None:
    assert judge(lambda: np.ones(25_000_000).sum()).peak > 150_000_000
    assert judge(lambda: 1.0).peak < 50_000_000


def test_hangs_and_crashes_cost_one_input() -> None:
    start = time.perf_counter()
    found = {number: verdict.name for number, verdict in supervise(hanging, range(5), workers=1, patience=0.5)}
    assert found == {0: "answered", 1: "hang", 2: "crash", 3: "answered", 4: "answered"}
    assert time.perf_counter() - start < 60
