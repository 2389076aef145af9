# SPDX-License-Identifier: Apache-2.0
"""`lineament multiview`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, get_args

import tyro

from lineament.cli.arguments import comma_separated
from lineament.images.write import MeshFormat
from lineament.inference.multiview import FitOptions

LISTS = {"mesh_formats": get_args(MeshFormat)}
"""Options that take several values in one word, and their choices."""


@dataclass(frozen=True)
class Multiview:
    """Make one head of several photos of a person.

    Of each photo its largest face is taken. Ctrl-C ends the fit, and writes the head as it then is.
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Two photos of one person or more: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-head"))
    """Folder of the head."""
    method: str = "hrn-s"
    """A method that fits heads (hrn), or a path to its weights."""
    robust: bool = False
    """Leave out photos that the head of the others does not explain, and fit again."""
    mesh_formats: Annotated[tuple[MeshFormat, ...], comma_separated(LISTS["mesh_formats"])] = ("glb",)
    """Files of the meshes, with commas between: glb, obj, ply, stl."""
    fit: Annotated[FitOptions, tyro.conf.arg(name="")] = field(default_factory=FitOptions)


def run_multiview(options: Multiview) -> int:
    """Fit a head and write it.

    Returns:
        0.
    """
    from lineament.cli.console import plain_console, progress_bar
    from lineament.errors import UsageError
    from lineament.files.overwriting import check_outputs
    from lineament.files.result_folder import check_in_the_way, check_replaceable
    from lineament.images.read import find_images
    from lineament.pipeline.estimator import load
    from lineament.pipeline.multiview import fit_of, fitted, largest_face
    from lineament.pipeline.options import Options

    photos = find_images(options.photos)
    if len(photos) < 2:
        raise UsageError(f"a head is fitted to two photos of a person or more, not to {len(photos)}")
    check_outputs([options.output], [*photos, Path(options.method)], replaced=True)
    check_in_the_way(options.output)
    check_replaceable(options.output)
    estimator = load(options.method, options=Options(second_view=False))
    fit, start = fit_of(estimator), time.perf_counter()
    console = plain_console(stderr=True)
    with progress_bar(console, len(photos), "estimating") as told:
        faces = []
        for number, photo in enumerate(photos, 1):
            faces.append(largest_face(estimator, photo))
            told(number)
    with progress_bar(console, max(1, options.fit.steps), "fitting") as told:
        person = fitted([photo.name for photo in photos], faces, fit, options.fit, options.robust, told)
    for warning in person.warnings:
        console.print(f"warning: {warning}")
    person.save(options.output, options.mesh_formats)
    taken = time.perf_counter() - start
    console.print(f"one head of {len(person.views)} photos, {person.steps} steps, in {taken:.1f} s: {options.output}")
    return 0
