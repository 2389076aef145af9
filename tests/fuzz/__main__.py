# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.fuzz``: many hostile inputs, counted by what they did."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.cases import Cases
from tests.fuzz.doors import DOORS
from tests.fuzz.report import failures_of, table_of
from tests.fuzz.seeds import write_seeds
from tests.fuzz.verdict import GOOD, PATIENCE, Verdict
from tests.fuzz.watch import supervise


def main() -> int:
    """Run; 0 if every input was answered or refused."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of randomness; the same seed makes the same inputs")
    parser.add_argument("--only", type=int, nargs="+", help="these numbers alone, to see a failure again")
    parser.add_argument("--kinds", nargs="+", default=list(DOORS), choices=list(DOORS), help="these of them alone")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that failed")
    options = parser.parse_args()
    # Many small inputs: threads within an operation only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    begun = time.perf_counter()
    verdicts: dict[int, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds") as folder:
        corpus = Path(folder)
        write_seeds(corpus)
        cases = Cases(corpus, options.seed)
        numbers = options.only or [n for n in range(options.inputs) if cases.kind(n) in options.kinds]
        for number, verdict in supervise(cases, numbers, options.workers, PATIENCE):
            verdicts[number] = verdict
            if verdict.name not in GOOD:
                last = verdict.detail.strip().splitlines()[-1:] or [""]
                print(f"{number}: {cases.name(number)}: {verdict.name}: {last[0][:200]}", flush=True)
                if options.keep:
                    kept = options.keep / f"{options.seed}-{number}"
                    shutil.rmtree(kept, ignore_errors=True)
                    cases.write(number, kept)
            if len(verdicts) % 1000 == 0:
                print(f"{len(verdicts)} inputs, {Counter(v.name for v in verdicts.values())}", flush=True)
        print(f"\n{table_of(cases, verdicts)}")
        failures = failures_of(cases, verdicts)
        if failures:
            print(f"\n{failures}")
    print(f"\n{len(verdicts)} inputs of seed {options.seed} in {time.perf_counter() - begun:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
