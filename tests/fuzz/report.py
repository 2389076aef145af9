# SPDX-License-Identifier: Apache-2.0
"""Verdicts as people read them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from tests.fuzz.cases import Cases
from tests.fuzz.verdict import GOOD, Verdict

COLUMNS = ("answered", "refused", "traceback", "not finite", "memory", "crash", "hang")


def table_of(cases: Cases, verdicts: Mapping[int, Verdict]) -> str:
    """Counts by kind, as a table of Markdown, with the longest time and the largest memory."""
    by_kind: dict[str, list[Verdict]] = defaultdict(list)
    for number, verdict in sorted(verdicts.items()):
        by_kind[cases.kind(number)].append(verdict)
    rows = [(kind, found) for kind, found in sorted(by_kind.items())] + [("all", list(verdicts.values()))]
    lines = [f"| kind | inputs | {' | '.join(COLUMNS)} | longest, s | peak, MB |", "|---" * (len(COLUMNS) + 4) + "|"]
    for kind, found in rows:
        counts = Counter(v.name for v in found)
        cells = [kind, len(found), *(counts[column] for column in COLUMNS)]
        cells += [f"{max(v.seconds for v in found):.1f}", max(v.peak for v in found) >> 20]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def failures_of(cases: Cases, verdicts: Mapping[int, Verdict]) -> str:
    """What failed, each kind of failure once, with how to see it again; empty if nothing did."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, verdict in sorted(verdicts.items()):
        if verdict.name not in GOOD:
            groups[verdict.name, verdict.place].append(number)
    texts = []
    for (name, place), numbers in sorted(groups.items(), key=lambda item: -len(item[1])):
        first = numbers[0]
        texts.append(
            f"{len(numbers)} × {name}: {place}\n"
            f"  first: {cases.name(first)}; numbers {', '.join(map(str, numbers[:8]))}\n"
            f"  again: python -m tests.fuzz --seed {cases.seed} --only {first}\n" + _indented(verdicts[first].detail)
        )
    return "\n\n".join(texts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line[:240]}" for line in text.strip().splitlines()[-12:])
