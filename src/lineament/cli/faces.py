# SPDX-License-Identifier: Apache-2.0
"""`lineament faces`: show what the detector finds."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from lineament.face.detect import SMALLEST_SCORE, SMALLEST_SIZES
from lineament.files.overwriting import check_outputs
from lineament.options import check_options

if TYPE_CHECKING:
    from lineament.face import Face


@dataclass(frozen=True)
class DetectFaces:
    """Find the faces in photos, draw them, and list them in faces.json."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-faces"))
    """Folder for the drawings, replaced as a whole: green is the face and what is seen of its landmarks, red what is
    hidden, blue the square that the networks see."""
    min_score: float = SMALLEST_SCORE
    """Score from 0 to 1 that a found face needs; lower finds more faces, and more that are none."""
    smallest: float | None = None
    """Longer side in pixels of the smallest face that is searched for; by default 1/43 of the photo's longer side, and
    at least 24."""
    any_rotation: bool = False
    """Find faces that lie on their side or upside down, too; four times the time."""

    def __post_init__(self) -> None:
        check_options(self, {"min_score": "[0, 1]", "smallest": SMALLEST_SIZES})


def run_faces(options: DetectFaces) -> int:
    """Draw the faces of photos one after another and list them; a bad photo is reported and the rest go on.

    Returns:
        0, or the exit code of the first photo that failed.
    """
    from lineament.cli.console import Failures, frame_of, plain_console
    from lineament.face import detect_faces, draw_faces
    from lineament.face.frames import first_faces
    from lineament.files.names import output_names, printable
    from lineament.files.result_folder import check_replaceable, result_folder
    from lineament.files.writing import write_json
    from lineament.images.read import find_images, read_frames
    from lineament.images.write import write_png

    photos = find_images(options.photos)
    check_outputs([options.output], photos, replaced=True)
    check_replaceable(options.output)
    detector = partial(
        detect_faces, min_score=options.min_score, smallest=options.smallest, any_rotation=options.any_rotation
    )
    console, failures = plain_console(), Failures(plain_console(stderr=True))
    listed: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        folder: Path | None = None  # made for the first photo that can be read: if none can, an earlier result stays
        for photo, name in zip(photos, output_names(photos), strict=True):
            with failures.reported(photo):
                found = first_faces(read_frames(photo), detector)
                faces = found.faces
                folder = folder or stack.enter_context(result_folder(options.output))
                write_png(folder / f"{name}.png", draw_faces(found.image, faces))
                console.print(
                    f"{printable(str(photo))}: {len(faces)} {'face' if len(faces) == 1 else 'faces'}{frame_of(found)}"
                )
                for number, face in enumerate(faces, 1):
                    x, y, width, height = face.box
                    console.print(
                        f"  {number}  at {x:.0f}, {y:.0f}, {width:.0f}×{height:.0f} pixels, score {face.score:.2f}"
                    )
                listed[printable(str(photo.resolve()))] = [_described(face) for face in faces]
        if folder is not None:
            write_json(folder / "faces.json", listed)
    return failures.code


def _described(face: Face) -> dict[str, Any]:
    """A face as plain values: pixels of the photo, degrees."""
    parsing = face.parsing
    assert parsing is not None
    return {
        "box": [round(v, 1) for v in face.box],
        "score": round(face.score, 3),
        "pose": {name: round(angle, 1) for name, angle in asdict(parsing.pose).items()},
        "landmarks": parsing.landmarks.round(1).tolist(),
        "visibility": [round(float(v), 2) for v in parsing.visibility],
    }
