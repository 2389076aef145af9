# SPDX-License-Identifier: Apache-2.0
"""`lineament estimate` and `lineament demo`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import tyro

from lineament.cli.arguments import comma_separated
from lineament.errors import UsageError
from lineament.face.detect import SMALLEST_SCORE
from lineament.files.overwriting import check_outputs
from lineament.images.encoding import NormalsConvention
from lineament.images.maps import AXES, Axes, read_normals
from lineament.images.write import MeshFormat
from lineament.inference.engine import ProviderName
from lineament.methods.discovery import AUTO, DEFAULT_WEIGHTS, all_methods, method_for_small_faces
from lineament.options import check_options
from lineament.pipeline.options import Options
from lineament.result.geometry import MeshPose, Output

if TYPE_CHECKING:
    from rich.console import Console

    from lineament.pipeline.estimator import Estimator, FaceEstimates, Faces
    from lineament.result.geometry import FaceGeometry
    from lineament.result.saving import SaveOptions

LISTS = {"outputs": get_args(Output), "mesh_formats": get_args(MeshFormat)}
"""Options that take several values in one word, and their choices."""


def _methods_help() -> str:
    """The methods that there are, and how many stages each has after its first."""
    small = method_for_small_faces()
    named = (f"{name} (0 to {method.most_stages} stages)" for name, method in all_methods().items())
    auto = f"{AUTO} (the default, but for small faces, where {small.name} is better), " if small else ""
    return f"{', '.join(named)}, {auto}or a path to weights (.safetensors)."


@dataclass(frozen=True)
class Estimate:
    """Estimate the normals of every face in photos."""

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-out"))
    """Folder; each photo gets one of its own in it."""
    method: Annotated[str, tyro.conf.arg(help=_methods_help())] = DEFAULT_WEIGHTS
    exemplar: Path | None = None
    """Coarse normals of the photo, which hffne refines instead of its own: a picture of (n + 1) / 2, .exr, .npy."""
    exemplar_axes: str = AXES
    """What its channels hold; +x-y-z for OpenCV's, +x-y+z for DirectX's."""
    whole: bool = False
    """Each picture is one face crop already; nothing is searched."""
    face_box: Annotated[str | None, tyro.conf.arg(metavar="X,Y,W,H")] = None
    """Where the face is, brows to chin, in pixels of every photo; nothing is searched."""
    largest: bool = False
    """Only the largest face of each photo."""
    min_score: float = SMALLEST_SCORE
    """Score from 0 to 1 that a found face needs; lower finds more faces, and more that are none."""
    any_rotation: bool = False
    """Find faces that lie on their side or upside down, too."""
    normals_convention: NormalsConvention = "opengl"
    """Signs of the normal maps: opengl (y up), directx (y down), opencv (y down, z away)."""
    outputs: Annotated[tuple[Output, ...], comma_separated(LISTS["outputs"])] = ("normals",)
    """What to write, with commas between: normals (always), depth (depth.png, depth.exr), mesh (textured, in
    millimetres), albedo (the photo without its shading); of methods that restore photos: restored (the face as a better
    photo would show it), views (it from five sides and under four lights)."""
    mesh_formats: Annotated[tuple[MeshFormat, ...] | None, comma_separated(LISTS["mesh_formats"])] = None
    """Files of the mesh, with commas between: glb (the default), obj, ply, stl."""
    mesh_pose: MeshPose = "photo"
    """How the mesh stands: as in the photo, or turned to face the viewer (frontal)."""
    jobs: int = 1
    """Photos that are estimated at once; each has its share of the cores."""
    threads: int = 0
    """Threads of one operation of a network; 0 takes all cores, or each job's share of them."""
    provider: ProviderName = "cpu"
    """What runs the networks, as far as the ONNX Runtime that is installed has it."""
    skip_existing: bool = False
    """Skip photos whose result is there already: finished, from the same photo, with the same weights and options."""
    estimation: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)

    def __post_init__(self) -> None:
        check_options(self, {"min_score": "[0, 1]", "jobs": "[1, 256]", "threads": "[0, 1024]"})
        Axes(self.exemplar_axes)
        _faces(self)


@dataclass(frozen=True)
class Demo:
    """Estimate the photo that ships: the astronaut Eileen Collins (NASA, public domain)."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-demo"))
    """Folder for the pictures."""


def run_estimate(options: Estimate) -> int:
    """Estimate photos one after another; a bad one is reported and the rest go on.

    Returns:
        0, or the exit code of the first photo that failed.
    """
    from lineament.cli.console import Failures, in_order, plain_console, progress_bar
    from lineament.files.names import output_names, printable
    from lineament.files.result_folder import check_in_the_way, check_replaceable, read_marker
    from lineament.images.read import find_images
    from lineament.pipeline.estimator import load
    from lineament.result.saving import SaveOptions, save_photo

    for flag, given in (
        ("--mesh-formats", options.mesh_formats is not None),
        ("--mesh-pose", options.mesh_pose != "photo"),
    ):
        if given and "mesh" not in options.outputs:
            raise UsageError(f"{flag} is for meshes: ask for one with --outputs mesh")
    saved = SaveOptions(
        options.normals_convention, options.outputs, options.mesh_formats or ("glb",), options.mesh_pose
    )
    chosen = _faces(options)
    photos = find_images(options.photos)
    folders = [options.output / name for name in output_names(photos)]
    others = [path for path in (options.exemplar, Path(options.method)) if path is not None]
    check_outputs(folders, [*photos, *others], replaced=True)
    check_in_the_way(options.output)
    exemplar = None
    if options.exemplar is not None:
        if len(photos) > 1:
            raise UsageError(f"an exemplar belongs to one photo, but there are {len(photos)}")
        exemplar = Axes(options.exemplar_axes).to_ours(read_normals(options.exemplar))
    threads = options.threads or (max(1, (os.cpu_count() or 1) // options.jobs) if options.jobs > 1 else 0)
    estimator = load(options.method, threads, options.estimation, options.provider)
    console = plain_console(stderr=True)
    failures, skipped, start = Failures(console), [], time.perf_counter()

    def estimated(photo: Path, folder: Path) -> None:
        with failures.reported(photo):
            done = read_marker(folder) if options.skip_existing else None
            if done is not None and done.get("request") == _request(options, saved, estimator, photo):
                skipped.append(photo)
                return
            check_replaceable(folder)
            faces = estimator.iter_estimate(photo, chosen, exemplar)
            request = _request(options, saved, estimator, photo)
            with_warnings = _told(faces, printable(photo.name), console)
            save_photo(with_warnings, faces.count, folder, saved, photo.name, request)

    with progress_bar(console, len(photos), "estimating", shown=len(photos) > 1) as told:
        for number, _ in enumerate(in_order(estimated, list(zip(photos, folders, strict=True)), options.jobs), 1):
            told(number)
    taken = time.perf_counter() - start
    if skipped:
        console.print(f"{len(skipped)} of {len(photos)} photos skipped, whose results are there")
    if made := len(photos) - failures.count - len(skipped):
        console.print(f"{made} of {len(photos)} photos in {taken:.1f} s: {options.output}")
    return failures.code


def _told(faces: FaceEstimates, name: str, console: Console) -> Iterator[FaceGeometry]:
    """The faces of a photo, each after what is to be said of it."""
    for number in range(1, faces.count + 1):
        face = next(faces)
        which = f", face {number}" if faces.count > 1 else ""
        if frame := face.about.get("animation_frame"):
            console.print(f"{name}{which}: found in frame {frame}, the first one with a face")
        for warning in face.check.warnings:
            console.print(f"{name}{which}: {warning}")
        yield face


def _request(options: Estimate, saved: SaveOptions, estimator: Estimator, photo: Path) -> dict[str, Any]:
    """All that a photo's result depends on, as plain values: what its marker remembers."""
    from lineament.files.names import printable
    from lineament.files.reading import sha256_of
    from lineament.version import __version__

    return {
        "lineament": __version__,
        "photo": {"name": printable(photo.name), "sha256": sha256_of(photo)},
        "weights": [{"sha256": used.sha256, "graphs": used.graphs_sha256} for used in estimator.predictors],
        **asdict(options.estimation),
        "exemplar": None if options.exemplar is None else [sha256_of(options.exemplar), options.exemplar_axes],
        "faces": "whole" if options.whole else options.face_box or ("largest" if options.largest else "all"),
        "min_score": options.min_score,
        "any_rotation": options.any_rotation,
        "normals_convention": saved.convention,
        "outputs": sorted({"normals", *saved.outputs}),
        "mesh_formats": sorted(saved.mesh_formats) if "mesh" in saved.outputs else [],
        "mesh_pose": saved.mesh_pose,
    }


def _faces(options: Estimate) -> Faces:
    """Which faces the options ask for."""
    from lineament.face import detect_faces, largest
    from lineament.face.given_boxes import box_numbers

    if options.whole + options.largest + (options.face_box is not None) > 1:
        raise UsageError("take one of --whole, --face-box, --largest")
    if options.whole:
        return "whole"
    if options.face_box is not None:
        try:
            x, y, width, height = (float(word) for word in options.face_box.split(","))
        except ValueError as error:
            raise UsageError(f"--face-box takes X,Y,W,H, as in 120,80,200,200, not {options.face_box!r}") from error
        return [box_numbers((x, y, width, height))]
    detector = partial(detect_faces, min_score=options.min_score, any_rotation=options.any_rotation)
    return largest(detector) if options.largest else detector


def run_demo(options: Demo) -> int:
    """Estimate the astronaut's photo and say what was done, where, and how long it took."""
    from lineament.cli.console import plain_console
    from lineament.files.result_folder import check_replaceable
    from lineament.images.sample import sample_photo
    from lineament.pipeline.estimator import load

    console = plain_console()
    check_replaceable(options.output)
    start = time.perf_counter()
    estimator = load()
    loaded = time.perf_counter()
    face = estimator.estimate(sample_photo())[0]
    estimated = time.perf_counter()
    face.save(options.output, photo="lineament.images.sample.sample_photo()")
    saved = time.perf_counter()
    x, y, width, height = face.box
    console.print(
        f"A photo of 512×512 pixels with one face (at {x:.0f}, {y:.0f}, {width:.0f}×{height:.0f} pixels).\n"
        f"Loading {loaded - start:.2f} s, finding and estimating {estimated - loaded:.2f} s, "
        f"writing {saved - estimated:.2f} s.\n"
        f"{options.output}/\n"
        "  normals.png    surface normals, rgb = (n + 1) / 2: x right, y up, z towards the viewer\n"
        "  normals.exr    the same as floating-point numbers\n"
        "  uncertainty.png  the angular error to expect: 5 grey levels per degree\n"
        "  mask.png       where the face is\n"
        "  shading.png    the geometry lit from the front, both sides and above\n"
        "  sheet.png      all stages side by side: look at this first\n"
        "  face.json      what everything is"
    )
    return 0
