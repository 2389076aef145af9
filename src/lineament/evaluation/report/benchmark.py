# SPDX-License-Identifier: Apache-2.0
"""What every benchmark ends with: its tables on the screen, and in a file that says where and when they came from."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lineament.errors import OutputError
from lineament.evaluation.report.table import Table
from lineament.files.writing import atomic_path
from lineament.methods.discovery import method_weights
from lineament.version import __version__

_SUFFIXES = (".json", ".csv")
_PACKAGES = ("numpy", "onnxruntime", "opencv-python-headless", "torch")


def benchmark_parser(text: str | None) -> argparse.ArgumentParser:
    """A benchmark's options: its own docstring as the help, and ``--output`` for the file with its tables."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=output_path, help="file for the tables, .json or .csv")
    return parser


def output_path(text: str) -> Path:
    """A file that `report` can write, as an option's type: looked at before the benchmark begins."""
    path = Path(text)
    if path.suffix.lower() not in _SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text}: the tables' file must end in {' or '.join(_SUFFIXES)}")
    return path


def report(tables: Sequence[Table], output: Path | None, methods: Sequence[str] = ()) -> None:
    """Print a benchmark's tables and, where a file is named, write them with what they were measured on.

    JSON holds an object with the command, the date, the machine, the versions, the weights' hashes and the tables; CSV
    has the same ahead of the rows as comments, and the title ahead of each table. The file appears whole or not at all.

    Args:
        tables: At least one.
        output: A file ending in .json or .csv, or None.
        methods: Names or files of the weights that were measured.

    Raises:
        OutputError: Another suffix, or a file that cannot be written.
    """
    sys.stdout.write("\n".join(table.to_markdown() for table in tables))
    sys.stdout.flush()
    if output is None:
        return
    about = provenance(methods)
    if output.suffix.lower() == ".json":
        contents = {**about, "tables": [json.loads(table.to_json()) for table in tables]}
        text = json.dumps(contents, indent=1, ensure_ascii=False) + "\n"
    elif output.suffix.lower() == ".csv":
        text = "".join(f"# {name}: {json.dumps(value, ensure_ascii=False)}\n" for name, value in about.items())
        text += "".join(f"# {table.title}\n{table.to_csv()}" for table in tables)
    else:
        raise OutputError(f"{output}: the tables' file must end in {' or '.join(_SUFFIXES)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(output) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def provenance(methods: Sequence[str] = ()) -> dict[str, Any]:
    """Command, date (UTC), machine, versions and the hashes of weights, as plain values without any folder's name."""
    return {
        "command": shlex.join(["python", *(_without_folder(word) for word in _words())]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system(), "load": _load()},
        "versions": {"lineament": __version__, "python": platform.python_version(), **_installed()},
        "weights": {Path(name).stem: hashlib.sha256(method_weights(name).read_bytes()).hexdigest() for name in methods},
    }


def _words() -> list[str]:
    """The command's words; of the script its folder and name, ``benchmarks/speed/estimate.py``."""
    script = Path(sys.argv[0]).resolve()
    return ["/".join(script.parts[-3:]), *sys.argv[1:]]


def _without_folder(word: str) -> str:
    """An option's value without the folders of an absolute path, which are this machine's."""
    return Path(word).name if Path(word).is_absolute() else word


def _load() -> float | None:
    """How many processes wanted a core in the last minute, the benchmark's own among them; None where that is not told.

    Beyond the number of cores, times say what a busy machine does.
    """
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _installed() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The processor's name as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
