# SPDX-License-Identifier: Apache-2.0
"""`lineament estimate` and `lineament demo`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from lineament.images.encoding import NormalsConvention


@dataclass(frozen=True)
class Estimate:
    """Estimate the normals of every face in photos."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-out"))
    """Folder; each photo gets one of its own in it."""
    method: str = "casfne"
    """casfne, casfne-s, or a path to weights (.safetensors)."""
    stages: int | None = None
    """Cascaded stages, 0 to 5; by default as many as the weights were trained with."""
    faces: Literal["auto", "whole"] = "auto"
    """whole: each picture is one face crop already."""
    normals_convention: NormalsConvention = "opengl"
    """Signs of the normal maps: opengl (y up), directx (y down), opencv (y down, z away)."""
    flip: bool = True
    """Average with the mirrored photo: more accurate, twice the time."""


@dataclass(frozen=True)
class Demo:
    """Estimate a photo that comes with scikit-image: the astronaut Eileen Collins (NASA, public domain)."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-demo"))
    """Folder for the pictures."""


def run_estimate(options: Estimate) -> int:
    """Estimate photos one after another; a bad one is reported and the rest go on.

    Returns:
        0, or the exit code of the first photo that failed.
    """
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from lineament.errors import LineamentError
    from lineament.estimator import load
    from lineament.images.encoding import encode_normals
    from lineament.images.read import find_images
    from lineament.images.write import write_png
    from lineament.result import combined_normals

    photos = find_images(options.photos)
    estimator = load(options.method)
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    code = done = 0
    start = time.perf_counter()
    folders = _folders(options.output, photos)
    with Progress(console=console, transient=True, disable=len(photos) == 1) as bar:
        task = bar.add_task("estimating", total=len(photos))
        for photo, folder in zip(photos, folders, strict=True):
            try:
                faces = estimator.estimate(
                    photo, "whole" if options.faces == "whole" else None, options.stages, options.flip
                )
                if len(faces) == 1:
                    faces[0].save(folder, options.normals_convention, photo.name)
                else:
                    for number, face in enumerate(faces, 1):
                        face.save(folder / f"face-{number}", options.normals_convention, photo.name)
                    together = encode_normals(combined_normals(faces), options.normals_convention)
                    write_png(folder / "normals.png", np.asarray(together))
                done += 1
            except LineamentError as error:
                code = code or error.exit_code
                console.print(f"lineament: {error}")
            bar.advance(task)
    if done:
        taken = time.perf_counter() - start
        console.print(f"{done} of {len(photos)} photos in {taken:.1f} s: {options.output}")
    return code


def _folders(output: Path, photos: list[Path]) -> list[Path]:
    """A folder for each photo, named after it, with its suffix where two share a name."""
    stems = [photo.stem for photo in photos]
    names = [p.name if stems.count(p.stem) > 1 else p.stem for p in photos]
    unique = [n if names.count(n) == 1 else f"{i:04d}-{n}" for i, n in enumerate(names, 1)]
    return [output / name for name in unique]


def run_demo(options: Demo) -> int:
    """Estimate the astronaut's photo and say what was done, where, and how long it took."""
    from rich.console import Console
    from skimage.data import astronaut

    from lineament.estimator import load

    console = Console(soft_wrap=True, highlight=False, markup=False)
    start = time.perf_counter()
    estimator = load()
    loaded = time.perf_counter()
    face = estimator.estimate(astronaut())[0]
    estimated = time.perf_counter()
    face.save(options.output, photo="skimage.data.astronaut()")
    saved = time.perf_counter()
    x, y, width, height = face.box
    console.print(
        f"A photo of 512×512 pixels with one face (at {x:.0f}, {y:.0f}, {width:.0f}×{height:.0f} pixels).\n"
        f"Loading {loaded - start:.2f} s, finding and estimating {estimated - loaded:.2f} s, "
        f"writing {saved - estimated:.2f} s.\n"
        f"{options.output}/\n"
        "  normals.png    surface normals, rgb = (n + 1) / 2: x right, y up, z towards the viewer\n"
        "  normals.exr    the same as floating-point numbers\n"
        "  mask.png       where the face is\n"
        "  shading.png    the geometry lit from the front, both sides and above\n"
        "  sheet.png      all stages side by side: look at this first\n"
        "  face.json      what everything is"
    )
    return 0
