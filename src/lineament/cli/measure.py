# SPDX-License-Identifier: Apache-2.0
"""`lineament bench` and `lineament ablate`: tables that need no dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lineament.errors import UsageError
from lineament.options import check_multiple, check_options


@dataclass(frozen=True)
class Bench:
    """Parameters, operations and latency of the networks on this machine's CPU (Cas-FNE, table IV)."""

    method: tuple[str, ...] = ()
    """Networks to measure, by the names of their configurations; all when left out."""
    stages: tuple[int, ...] = (0, 1, 2, 3)
    """Stages after the first to measure, of each network as many as it can have."""
    size: int = 256
    """Side of the picture, pixels."""
    threads: int = 2
    """Threads of one operation."""
    runs: int = 10
    """Runs whose median is taken."""
    output: tuple[Path, ...] = field(default=())
    """Write the table here, too: .md, .csv, .json or .tex."""

    def __post_init__(self) -> None:
        from lineament.methods.discovery import method_of_size

        check_options(self, {"stages": "[0, 5]", "size": "[32, 4096]", "threads": "[1, 1024]", "runs": "[1, 1000000]"})
        check_multiple("size", self.size, 32)
        for name in self.method:
            method_of_size(name)
        if not self.stages:
            raise UsageError("stages must be some numbers from 0 to 5, not none")


@dataclass(frozen=True)
class Ablate:
    """Train each row of a paper's ablation table for the same small budget on synthetic faces, and print the table."""

    budget: float
    """Minutes for all rows together."""
    folder: Path = Path("ablation")
    """Folder of the runs; rows that are there already are not trained again."""
    rows: tuple[str, ...] = field(default=())
    """Rows to train; all when left out."""
    faces: int = 2000
    """Synthetic faces to train on."""
    test_faces: int = 200
    """Synthetic faces of other people to test on."""
    size: int = 96
    """Side of the pictures, pixels; smaller ones make room for more steps."""
    output: tuple[Path, ...] = field(default=())
    """Write the table here, too: .md, .csv, .json or .tex."""


def run_bench(options: Bench) -> int:
    """Measure and print."""
    from lineament.cli.console import plain_console
    from lineament.evaluation.cost import cost_of, cost_table
    from lineament.evaluation.report.table import check_table_path, write_table
    from lineament.methods.discovery import all_methods, method_of_size

    for path in options.output:
        check_table_path(path)
    networks = options.method or [size for method in all_methods().values() for size in method.sizes]
    most = {name: method_of_size(name).most_stages for name in networks}
    console, costs = plain_console(stderr=True), []
    for method in networks:
        for stages in (number for number in options.stages if number <= most[method]):
            console.print(f"measuring {method}, {stages} stages after the first")
            costs.append(cost_of(method, stages, options.size, options.threads, options.runs))
    table = cost_table(costs, options.size, options.threads, options.runs)
    plain_console().print(table.to_markdown())
    for path in options.output:
        write_table(table, path)
    return 0


def ablations() -> dict[str, str]:
    """The methods that have an ablation, and what each is."""
    from lineament.methods.discovery import all_methods

    return {name: method.title for name, method in all_methods().items() if method.study is not None}


def run_ablate(method: str, options: Ablate) -> int:
    """Train, measure and print a method's table."""
    from lineament.cli.console import plain_console
    from lineament.evaluation.ablation import AblationConfig, ablate
    from lineament.evaluation.report.table import check_table_path, write_table

    for path in options.output:
        check_table_path(path)
    config = AblationConfig(
        options.folder,
        options.budget,
        method,
        options.faces,
        options.test_faces,
        size=options.size,
        rows=options.rows,
    )
    console = plain_console(stderr=True)
    table = ablate(config, console.print)
    plain_console().print(table.to_markdown())
    for path in options.output:
        write_table(table, path)
    return 0
