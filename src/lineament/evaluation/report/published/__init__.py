# SPDX-License-Identifier: Apache-2.0
"""The papers' tables as data, one JSON file per paper, typed off the papers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

PAPERS = ("casfne", "hffne", "df2net", "hrn", "l2r", "now")


@dataclass(frozen=True)
class PublishedTable:
    """One table, or a part of one that is measured by a protocol of its own."""

    paper: str
    """Authors and title."""
    number: str
    title: str
    dataset: str
    columns: tuple[str, ...]
    """Of the metrics, units included."""
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """Method and metrics."""
    notes: tuple[str, ...]


@lru_cache
def published_tables() -> dict[str, PublishedTable]:
    """All tables by name: ``casfne-table2``, ``hrn-table1-wild``, ..."""
    tables: dict[str, PublishedTable] = {}
    for paper in PAPERS:
        content = json.loads(files(__package__).joinpath(f"{paper}.json").read_text(encoding="utf-8"))
        for number, table in content["tables"].items():
            rows = tuple((row[0], tuple(row[1:])) for row in table["rows"])
            tables[f"{paper}-table{number}"] = PublishedTable(
                content["paper"],
                number,
                table["title"],
                table["dataset"],
                tuple(table["columns"]),
                rows,
                tuple(table["notes"]),
            )
    return tables
