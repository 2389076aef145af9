# SPDX-License-Identifier: Apache-2.0
"""`lineament scan-fit`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from lineament.options import check_options


@dataclass(frozen=True)
class ScanFit:
    """Fit the head model to a scan and to a photo taken with it: exact maps, from which `lineament train hrn --scans`
    learns.
    """

    scan: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SCAN")]
    """The scan: OBJ, PLY, STL, OFF or WRL."""
    photo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO")]
    """The photo; of several faces the largest is taken."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-scan"))
    """Folder of the result."""
    landmarks: Path | None = None
    """Text file with 68 lines of x, y and z on the scan (iBUG order, nan where not known); by default they are found in
    a picture of the scan, which must face +z, y up."""
    focal_length: float | None = None
    """Of the photo, pixels; the assumed camera's by default."""

    def __post_init__(self) -> None:
        check_options(self, {"focal_length": "(0, 1000000]"})


def run_scan_fit(options: ScanFit) -> int:
    """Fit a scan and write the result.

    Returns:
        0.
    """
    from lineament.cli.console import plain_console
    from lineament.files.overwriting import check_outputs
    from lineament.files.result_folder import check_in_the_way, check_replaceable
    from lineament.pipeline.scan_fit import CROP, read_landmarks, scan_in_photo

    named = [options.scan, options.photo, *([options.landmarks] if options.landmarks else [])]
    check_outputs([options.output], named, replaced=True)
    check_in_the_way(options.output)
    check_replaceable(options.output)
    landmarks = None if options.landmarks is None else read_landmarks(options.landmarks)
    found = scan_in_photo(options.scan, options.photo, landmarks, options.focal_length)
    found.save(options.output)
    plain_console(stderr=True).print(
        f"{options.scan.name}: {found.fitted.distance:.2f} mm from the scan before its displacement, "
        f"{found.landmark_error:.1f} of {CROP} pixels from the photo's landmarks: {options.output}"
    )
    return 0
