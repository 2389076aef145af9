# SPDX-License-Identifier: Apache-2.0
"""Tables of benchmarks: on the screen, and in files that say what they were measured on."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from lineament.errors import OutputError
from lineament.evaluation.report.benchmark import benchmark_parser, provenance, report
from lineament.evaluation.report.table import Table
from lineament.weights import weights_path

TABLES = [Table("Times", ("part", "ms"), (("finding", 1.25), ("reading", 2.0))), Table("Others", ("x",), (("a",),))]


def test_json_holds_tables_and_where_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results" / "times.json"
    report(TABLES, output, ["casfne-s"])
    written = json.loads(output.read_text(encoding="utf-8"))
    assert [table["title"] for table in written["tables"]] == ["Times", "Others"]
    assert written["tables"][0]["rows"] == [{"part": "finding", "ms": 1.25}, {"part": "reading", "ms": 2.0}]
    assert written["weights"] == {"casfne-s": hashlib.sha256(weights_path("casfne-s").read_bytes()).hexdigest()}
    assert written["date"].endswith("UTC")
    assert written["machine"]["cores"] >= 1
    assert "| finding | 1.25 |" in capsys.readouterr().out


def test_csv_has_the_same_ahead_of_its_rows(tmp_path: Path) -> None:
    output = tmp_path / "times.csv"
    report(TABLES, output)
    lines = output.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert [line.split(":")[0] for line in comments[:2]] == ["# command", "# date"]
    assert lines[lines.index("# Times") :] == [
        *("# Times", "part,ms", "finding,1.25", "reading,2.0"),
        *("# Others", "x", "a"),
    ]


def test_nothing_tells_where_folders_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "benchmarks" / "speed" / "estimate.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--root", str(tmp_path / "yaleb"), "--runs", "3"])
    assert provenance()["command"] == "python benchmarks/speed/estimate.py --root yaleb --runs 3"


def test_another_suffix_is_refused_before_anything_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark_parser("A benchmark.").parse_args(["--output", "times.xlsx"])
    assert "times.xlsx: the tables' file must end in .json or .csv" in capsys.readouterr().err
    with pytest.raises(OutputError, match="must end in"):
        report(TABLES, Path("times.xlsx"))
