# SPDX-License-Identifier: Apache-2.0
"""`lineament faces`: show what the finder finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from lineament.face.find import SMALLEST_SCORE


@dataclass(frozen=True)
class FindFaces:
    """Find the faces in photos, and draw them."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-faces"))
    """Folder for the drawings: green is the face, blue the square that the networks see."""
    min_score: float = SMALLEST_SCORE
    """Score from 0 to 1 that a found face needs; lower finds more faces, and more that are none."""


def run_faces(options: FindFaces) -> int:
    """Draw the faces of photos one after another and list them; a bad photo is reported and the rest go on.

    Returns:
        0, or the exit code of the first photo that failed.
    """
    from lineament.cli.console import Failures, plain_console
    from lineament.face import draw_faces, find
    from lineament.images.read import find_images, output_names, read_image
    from lineament.images.write import write_png

    photos = find_images(options.photos)
    console, failures = plain_console(), Failures(plain_console(stderr=True))
    for photo, name in zip(photos, output_names(photos), strict=True):
        with failures.reported():
            image = read_image(photo)
            faces = find(image, options.min_score)
            write_png(options.output / f"{name}.png", draw_faces(image, faces))
            console.print(f"{photo}: {len(faces)} {'face' if len(faces) == 1 else 'faces'}")
            for number, face in enumerate(faces, 1):
                x, y, width, height = face.box
                console.print(
                    f"  {number}  at {x:.0f}, {y:.0f}, {width:.0f}×{height:.0f} pixels, score {face.score:.2f}"
                )
    return failures.code
