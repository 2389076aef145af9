# SPDX-License-Identifier: Apache-2.0
"""`lineament check`: is a photo good enough, and what to do if not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import tyro

from lineament.face.detect import SMALLEST_SCORE
from lineament.options import check_options


@dataclass(frozen=True)
class Check:
    """Say whether photos are good enough and what to improve."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    min_score: float = SMALLEST_SCORE
    """Score from 0 to 1 that a found face needs."""

    def __post_init__(self) -> None:
        check_options(self, {"min_score": "[0, 1]"})


def run_check(options: Check) -> int:
    """Check photos one after another; a bad file is reported and the rest go on.

    Returns:
        0, or the exit code of the first photo that failed.
    """
    from lineament.cli.console import Failures, frame_of, plain_console
    from lineament.face import detect_faces
    from lineament.face.frames import first_faces
    from lineament.face.quality import check_face
    from lineament.files.names import printable
    from lineament.images.read import find_images, read_frames
    from lineament.methods.discovery import AUTO, method_for_small_faces

    small = method_for_small_faces()
    console, failures = plain_console(), Failures(plain_console(stderr=True))
    for photo in find_images(options.photos):
        with failures.reported(photo):
            found = first_faces(read_frames(photo), partial(detect_faces, min_score=options.min_score))
            faces = found.faces
            counted = f"{len(faces) or 'no'} {'face' if len(faces) == 1 else 'faces'}"
            console.print(f"{printable(str(photo))}: {counted}{frame_of(found)}")
            if len(faces) > 1:
                console.print("  several faces: each gets a folder of its own; --largest takes one")
            for number, face in enumerate(faces, 1):
                checked = check_face(found.image, face)
                assert face.pose is not None
                turned = (
                    f"turned {face.pose.yaw:+.0f}°, nodding {face.pose.pitch:+.0f}°, leaning {face.pose.roll:+.0f}°"
                )
                console.print(f"  {number}  {checked.measures.size:.0f} pixels, {turned}")
                for finding in checked.findings:
                    console.print(f"     {finding.severity}: {finding.text}")
                if small is not None and max(face.box[2:]) < small.best_below:
                    console.print(
                        f"     hint: of so few pixels {small.name} makes more: lineament estimate --method {AUTO}"
                    )
                if not checked.findings:
                    console.print("     nothing to improve")
    return failures.code
