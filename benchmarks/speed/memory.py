# SPDX-License-Identifier: Apache-2.0
"""Peak memory of estimating large photos:
``python benchmarks/speed/memory.py [--only NAME] [--outputs depth]``.

Each photo is made of scikit-image's astronaut, written as a JPEG, and estimated by the command line in a process of its
own, whose largest resident set is printed. Three hundred faces in 18 megapixels tell what a face takes, a face in 120
megapixels what a pixel takes, and a face that fills 120 megapixels what all of them take at worst.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.images.sample import sample_photo

FACE = (slice(20, 230), slice(120, 330))
"""Rows and columns of the astronaut's head."""

Picture = NDArray[np.uint8]


def mosaic(columns: int, rows: int, tile: int) -> Picture:
    """As many faces as tiles."""
    face = cv2.resize(sample_photo()[FACE], (tile, tile), interpolation=cv2.INTER_CUBIC)
    return np.tile(np.asarray(face, np.uint8), (rows, columns, 1))


def enlarged(part: tuple[slice, slice], side: int) -> Picture:
    """A part of the astronaut's photo, side×side."""
    return np.asarray(cv2.resize(sample_photo()[part], (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def filled() -> Picture:
    """A face that fills 120 megapixels."""
    return enlarged((slice(60, 180), slice(165, 285)), 10_950)


ROWS: dict[str, tuple[Callable[[], Picture], str]] = {
    "one face, 1 megapixel": (lambda: enlarged((slice(None), slice(None)), 1024), "normals"),
    "300 faces, 18 megapixels": (lambda: mosaic(20, 15, 245), "normals"),
    "one face in 120 megapixels": (lambda: enlarged((slice(None), slice(None)), 10_950), "normals"),
    "one face that fills 120 megapixels": (filled, "normals"),
    "the same, all outputs": (filled, "normals,depth,mesh,albedo"),
}
"""Photos, and what is written of them."""


def measure(photo: Path, folder: Path, outputs: str) -> tuple[float, float, int, int]:
    """Estimate a photo in another process: its peak of resident memory in MB, seconds, faces, exit code."""
    start = time.perf_counter()
    words = ["estimate", str(photo), "-o", str(folder), "--outputs", outputs]
    child = subprocess.Popen([sys.executable, "-m", "lineament", *words])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - start
    return usage.ru_maxrss / 1024, taken, len(list(folder.rglob("face.json"))), child.returncode


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--only", choices=ROWS, action="append")
    parser.add_argument("--outputs", help="written of every photo, in place of the rows' own")
    arguments = parser.parse_args()
    rows: list[tuple[Cell, ...]] = []
    for name in arguments.only or ROWS:
        make, outputs = ROWS[name]
        with tempfile.TemporaryDirectory() as folder:
            photo = Path(folder) / "photo.jpg"
            picture = make()
            cv2.imwrite(str(photo), picture[..., ::-1])
            del picture
            peak, seconds, faces, code = measure(photo, Path(folder) / "out", arguments.outputs or outputs)
            rows.append((name, arguments.outputs or outputs, peak, seconds, str(faces), str(code)))
    columns = ("photo", "--outputs", "peak MB", "seconds", "faces", "exit code")
    report([Table("Peak memory of lineament estimate", columns, tuple(rows))], arguments.output, ["casfne-s"])


if __name__ == "__main__":
    main()
