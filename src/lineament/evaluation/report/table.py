# SPDX-License-Identifier: Apache-2.0
"""Tables of results: rows of named metrics as Markdown, CSV, JSON or LaTeX, with published metrics beside ours."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lineament.errors import OutputError
from lineament.evaluation.protocols.scoring import Measured
from lineament.evaluation.protocols.yaleb import YaleBResult
from lineament.evaluation.report.published import PublishedTable
from lineament.files.writing import atomic_path

Cell = str | float | None

MISSED = "it counts as 90° in tables of normals, as a flat face in tables of depth, and is left out of others"
_NAMED = 5  # photos without a face that a note names


@dataclass(frozen=True)
class Baseline:
    """Figures of somebody else's method."""

    method: str
    source: str
    """Where the metrics come from and how they were measured."""
    subset: str
    subjects: Mapping[str, float]
    """Mean angular error per subject, degrees."""
    mean: float
    """Mean over subjects, degrees."""


YALEB_BASELINES = (
    Baseline(
        method="MediaPipe Face Mesh 0.10.14",
        source="interpolated vertex normals, front-lit photo only, on the same pixels, measured by `lineament evaluate "
        "yaleb --subset front --peer mediapipe`",
        subset="front",
        subjects={
            "yaleB01": 12.79,
            "yaleB02": 14.30,
            "yaleB15": 15.62,
            "yaleB18": 15.08,
            "yaleB23": 14.70,
            "yaleB25": 17.48,
            "yaleB27": 15.10,
            "yaleB33": 12.57,
        },
        mean=14.70,
    ),
)
"""What there is to beat on Extended Yale B."""


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    """How the metrics were measured, said before them: what differs from the way that users run the methods."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What JSON holds beyond the rows."""

    def to_markdown(self) -> str:
        """A heading, how it was measured, a table with right-aligned metrics, and the notes as a list."""
        numeric = [any(isinstance(row[index], float) for row in self.rows) for index in range(len(self.columns))]
        lines = [
            f"## {self.title}",
            "",
            *(line for paragraph in self.header for line in (paragraph, "")),
            "| " + " | ".join(self.columns) + " |",
            "|" + "|".join("---:" if right else "---" for right in numeric) + "|",
            *("| " + " | ".join(map(_text, row)) + " |" for row in self.rows),
        ]
        if self.notes:
            lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"

    def to_latex(self) -> str:
        """A booktabs tabular with how it was measured above it and the notes under it."""
        numeric = [any(isinstance(row[index], float) for row in self.rows) for index in range(len(self.columns))]
        body = "\n".join(" & ".join(map(_latex, map(_text, row))) + r" \\" for row in self.rows)
        notes = "".join(f"\n% {note}" for note in self.notes)
        header = "".join(f"% {line}\n" for line in self.header)
        return (
            f"{header}% {self.title}; needs \\usepackage{{booktabs}}\n"
            f"\\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}\n\\toprule\n"
            f"{' & '.join(map(_latex, self.columns))} \\\\\n\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}{notes}\n"
        )

    def to_csv(self) -> str:
        """The rows with a header, metrics in full precision, missing ones empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return out.getvalue()

    def to_json(self) -> str:
        """An object with title, header, columns, rows (an object each), notes and details; NaN becomes null."""
        content = {
            "title": self.title,
            "header": list(self.header),
            "columns": list(self.columns),
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
            "details": self.details,
        }
        return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def yaleb_table(results: Sequence[YaleBResult], per_light: bool = False) -> Table:
    """A row per method and stage: mean error of each subject, of all, and the shares below 20°, 25° and 30°.

    Args:
        results: Outcomes of the protocol; subjects and subset of the first decide the columns.
        per_light: Add a row per light with the mean over subjects, too.

    Returns:
        The table, with rows for the published baselines of the subjects that they cover. Their mean is taken
        over the subjects in the table.
    """
    names = [subject.subject for subject in results[0].subjects]
    columns = (
        "method",
        "stage",
        "lights",
        *names,
        "mean °",
        "std °",
        "<20° %",
        "<25° %",
        "<30° %",
        "slope ×",
    )
    rows: list[tuple[Cell, ...]] = []
    for result in results:
        for index, stage in enumerate(result.stages):
            means = {subject.subject: subject.stages[index].mean for subject in result.subjects}
            factors = [subject.slope_scale[index] for subject in result.subjects]
            rows.append(
                (
                    result.method,
                    str(stage),
                    result.subset,
                    *(means.get(name) for name in names),
                    result.average(index, "mean"),
                    result.average(index, "std"),
                    *(100.0 * result.average(index, f"below_{limit}") for limit in (20, 25, 30)),
                    sum(factors) / len(factors),
                )
            )
            if per_light:
                rows += _light_rows(result, index, stage, names)
    notes = [
        "Angular error in degrees over pixels and photos of a subject; mean °, std ° and shares are means "
        "over the subjects.",
        "slope × is the factor by which predicted slopes are too flat (above one) or too steep.",
    ]
    for baseline in YALEB_BASELINES:
        known = [baseline.subjects[name] for name in names if name in baseline.subjects]
        if known:
            rows.append(
                (
                    baseline.method,
                    "",
                    baseline.subset,
                    *(baseline.subjects.get(name) for name in names),
                    baseline.mean if len(known) == len(baseline.subjects) else sum(known) / len(known),
                    *(None,) * 5,
                )
            )
            notes.append(f"{baseline.method}: {baseline.source}.")
    notes += [
        f"{result.method}: {_not_found(result.not_found, result.photos)}, which counts as 90° at every pixel."
        for result in results
        if result.not_found
    ]
    notes += [f"left out {line}" for result in results for line in result.skipped]
    return Table(
        title="Extended Yale B: angular error of normals from one photo",
        columns=columns,
        rows=tuple(rows),
        notes=tuple(notes),
        details={
            "results": [asdict(result) for result in results],
            "baselines": [asdict(baseline) for baseline in YALEB_BASELINES],
        },
    )


def published_table(
    table: PublishedTable, measured: Mapping[str, Measured], notes: Sequence[str] = (), name: str = ""
) -> Table:
    """A published table with our metrics in its own columns, ours last.

    Args:
        table: What the paper prints.
        measured: Figures by system.
        notes: What to say of how they were measured.
        name: Of the protocol.
    """
    rows: list[tuple[Cell, ...]] = [(method, "published", *metrics) for method, metrics in table.rows]
    for system, result in measured.items():
        rows += [(f"{system} {label}".strip(), "measured", *metrics) for label, metrics in result.rows]
    said = [f"Published rows: {table.paper}, table {table.number}.", *table.notes, *notes]
    for system, result in measured.items():
        said += [f"{system}: {note}" for note in result.notes]
        said.append(f"{system}: {result.samples} samples measured.")
        if result.not_found:
            said.append(f"{system}: {_not_found(result.not_found, result.samples)}; {MISSED}.")
        if result.skipped:
            said.append(f"{system}: {len(result.skipped)} samples could not be read: {'; '.join(result.skipped[:5])}")
    return Table(
        title=f"{table.title} ({name})" if name else table.title,
        columns=("method", "", *table.columns),
        rows=tuple(rows),
        notes=tuple(said),
        details={
            system: {"samples": r.samples, "skipped": r.skipped, "not_found": r.not_found, **r.details}
            for system, r in measured.items()
        },
    )


def _not_found(names: Sequence[str], photos: int) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return f"no face was found in {len(names)} of {photos} photos ({', '.join(names[:_NAMED])}{more})"


_FORMATS: dict[str, Callable[[Table], str]] = {
    ".md": Table.to_markdown,
    ".csv": Table.to_csv,
    ".json": Table.to_json,
    ".tex": Table.to_latex,
}


def check_table_path(path: Path) -> None:
    """Raise OutputError for a file whose suffix names no format of tables."""
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"{path}: a report's suffix must be one of {', '.join(_FORMATS)}")


def write_table(table: Table, path: Path) -> None:
    """Write a table; the suffix .md, .csv, .json or .tex decides how. The file appears whole or not at all.

    Raises:
        OutputError: If the suffix is another or the file cannot be written.
    """
    check_table_path(path)
    text = _FORMATS[path.suffix.lower()](table)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _light_rows(result: YaleBResult, index: int, stage: int, names: Sequence[str]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for light in sorted({light for subject in result.subjects for light in subject.by_light}):
        means = {
            subject.subject: subject.by_light[light][index] for subject in result.subjects if light in subject.by_light
        }
        rows.append(
            (
                result.method,
                str(stage),
                light,
                *(means.get(name) for name in names),
                sum(means.values()) / len(means),
                *(None,) * 5,
            )
        )
    return rows


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    return f"{cell:.2f}" if isinstance(cell, float) else cell.replace("|", "\\|")


_LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "°": r"$^\circ$",
          "×": r"$\times$", "<": "$<$", "±": r"$\pm$", "–": "--", "⁻²": "$^{-2}$"}  # fmt: skip


def _latex(text: str) -> str:
    for symbol, command in _LATEX.items():
        text = text.replace(symbol, command)
    return text


def _finite(value: Any) -> Any:
    """The same with NaN and infinities as None, for JSON knows neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
