# SPDX-License-Identifier: Apache-2.0
"""How the faces of one photo are saved: one folder, which holds the results of one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import PARSE_COLOURS, MaskClass
from lineament.errors import UsageError
from lineament.face.paste import Strip
from lineament.files.names import printable
from lineament.files.result_folder import result_folder
from lineament.files.writing import check_finite, write_json
from lineament.images.encoding import DESCRIPTIONS, NormalsConvention
from lineament.images.write import MeshFormat, write_exr_strips, write_indexed_png, write_png
from lineament.options import check_options
from lineament.render.preview import LIGHTS, shading_strip
from lineament.result.albedo import photo_albedo
from lineament.result.geometry import STEPS_PER_DEGREE, CombinedMap, MeshPose, Output
from lineament.result.mesh_files import write_mesh_files
from lineament.result.restored import views_sheet

if TYPE_CHECKING:
    from lineament.result.geometry import FaceGeometry

_PREVIEW_SIDE = 1024


@dataclass(frozen=True)
class SaveOptions:
    """What is written of a face, and how."""

    convention: NormalsConvention = "opengl"
    """Sign convention of the normal maps."""
    outputs: tuple[Output, ...] = ("normals",)
    """"normals" (which everything else comes with), "depth", "mesh", "albedo", "restored", "views"."""
    mesh_formats: tuple[MeshFormat, ...] = ("glb",)
    """Files of the mesh."""
    mesh_pose: MeshPose = "photo"
    """How the mesh stands: as in the photo, or facing the viewer."""

    def __post_init__(self) -> None:
        check_options(self, {})


def names_of(option: str, names: Any) -> tuple[Any, ...]:
    """Several names that a caller gives.

    Raises:
        UsageError: A single one, whose letters would be taken for names, or something else.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise UsageError(f"{option} must be a list of names, such as ('normals',), not {names!r:.80}")
    return tuple(names)


def save_photo(
    faces: Iterable[FaceGeometry],
    count: int,
    folder: Path,
    options: SaveOptions,
    photo: str | None = None,
    request: Mapping[str, Any] | None = None,
) -> None:
    """Write all faces of one photo; the folder appears whole or not at all.

    One face's files lie in the folder; several faces each get a folder face-1, face-2, … in it, from left to right,
    beside one normals.png of them all.

    Args:
        faces: The faces. Each is written before the next is asked for.
        count: How many there are, at least one.
        folder: Made if missing; an earlier result in it is replaced as a whole.
        options: What is written.
        photo: Name of the photo, for ``face.json``.
        request: What the result was asked for, for its marker (`lineament.files.result_folder`).

    Raises:
        OutputError: It cannot be written or holds files that are no result of ours.
        NotFiniteError: Numbers that would be written are not finite.
        InputError: There is no face in a crop, so that it has no depth and no mesh.
    """
    if photo is not None and not isinstance(photo, str):
        raise UsageError(f"photo is the photo's name, not {photo!r:.80}")
    with result_folder(folder, request) as temporary:
        if count == 1:
            write_face(next(iter(faces)), temporary, options, photo)
            return
        together: CombinedMap | None = None
        for number, face in enumerate(faces, 1):
            write_face(face, temporary / f"face-{number}", options, photo)
            together = together or CombinedMap(face.region.height, face.region.width, options.convention)
            together.add(face)
            text = _png_text(face, options.convention)
        if together is not None:
            write_png(temporary / "normals.png", together.colours, text, spend=True)


def write_face(face: FaceGeometry, folder: Path, options: SaveOptions, photo: str | None) -> None:
    """Write one face's files into a folder that is there."""
    convention = options.convention
    name = printable(photo or "the photo")
    for number, stage in enumerate(face.crop_estimate.normals):
        check_finite(f"{name}: normals of stage {number}", stage)
    write_png(folder / "normals.png", face.encoded(convention), _png_text(face, convention), spend=True)
    write_exr_strips(
        folder / "normals.exr",
        (face.region.height, face.region.width),
        ({"RGB": strip} for strip in face.half_float_strips(convention)),
        {"normalsConvention": convention, "normalsFrame": DESCRIPTIONS[convention]},
    )
    if face.crop_uncertainty is not None:
        check_finite(f"{name}: uncertainty", face.crop_uncertainty)
    grey = face.grey_uncertainty()
    if grey is not None:
        write_png(folder / "uncertainty.png", grey)
    opaque = np.ceil(255 * np.maximum(face.region.alpha(), np.float32(1 / 255) * face.region.mask))
    write_png(folder / "mask.png", face.region.whole(opaque.astype(np.uint8)))
    write_indexed_png(folder / "parse.png", face.parse, PARSE_COLOURS.values())
    write_png(folder / "shading.png", shading_strip(*_close_up(face)))
    write_png(folder / "sheet.png", face.sheet())
    described = describe(face, convention, photo)
    if "depth" in options.outputs:
        check_finite(f"{name}: depth", face.surface.crop_depth)
        described["depth"] = _write_depth(face, folder)
    if "albedo" in options.outputs:
        own = face.crop_estimate.albedo
        write_png(folder / "albedo.png", photo_albedo(face.photo, face.region, own), spend=True)
        described["albedo"] = {
            "origin": "face-albedo" if own is None else "method",
            "encoding_png": "sRGB, of the photo's mean brightness and colour; black where there is no face",
        }
    if "restored" in options.outputs:
        write_png(folder / "restored.png", face.restored)
        described["restored"] = {"origin": "method", "invented": "detail that the photo does not show is a guess"}
    if "views" in options.outputs:
        write_png(folder / "views.png", views_sheet(face.crop_estimate))
    if "mesh" in options.outputs:
        unlit = "albedo" in options.outputs
        described["mesh"] = write_mesh_files(face, folder, options.mesh_formats, options.mesh_pose, unlit)
    write_json(folder / "face.json", described)


def _write_depth(face: FaceGeometry, folder: Path) -> dict[str, Any]:
    """Write depth.png and depth.exr; return what ``face.json`` says of them."""
    surface, region = face.surface, face.region
    shape = region.height, region.width
    low, high = surface.bounds
    step = max(high - low, 1e-6) / 65534
    levels = np.zeros(shape, np.uint16)

    def strips() -> Iterator[Strip]:
        for place, strip, inside in surface.strips(region):
            levels[place] = np.where(inside, np.rint((strip - low) / step).clip(0, 65534) + 1, 0)
            yield place, strip, inside

    about = {"unit": "pixels of the photo", "pixelsPerMillimetre": f"{surface.scale:.6g}"}
    rows = region.whole_rows(strips(), np.float32)
    write_exr_strips(folder / "depth.exr", shape, ({"Z": strip} for strip in rows), about)
    write_png(folder / "depth.png", levels)
    return {
        "origin": surface.origin,
        "unit": "pixels of the photo, larger is nearer, mean of the face 0",
        "encoding_png": "depth = offset + step · value, 16 bit; 0 where there is no face",
        "offset": low - step,
        "step": step,
        "encoding_exr": "channel Z, float; zero where there is no face",
        "pixels_per_millimetre": surface.scale,
        "scale": "of an average adult's head: one photo does not tell its size",
        "angle_to_normals": {"mean": round(surface.disagreement, 2), "unit": "degrees"},
    }


def _png_text(face: FaceGeometry, convention: NormalsConvention) -> dict[str, str]:
    """What a normal map's PNG says of itself."""
    return {
        "Software": f"lineament {face.about.get('lineament', '')}".strip(),
        "Normals": f"{convention}: {DESCRIPTIONS[convention]}",
    }


def describe(face: FaceGeometry, convention: NormalsConvention, photo: str | None) -> dict[str, Any]:
    """The content of ``face.json``, but for files that are written on demand."""
    height, width = face.region.height, face.region.width
    return {
        "photo": {
            "name": None if photo is None else printable(photo),
            "width": width,
            "height": height,
            "frame": "upright, EXIF orientation applied",
        },
        "box": [round(v, 1) for v in face.box],
        "landmarks": {
            "points": np.round(face.landmarks, 2).tolist(),
            "visibility": np.round(face.visibility, 2).tolist(),
            "order": "68 points of iBUG; pixels, x right and y down, pixel centres at integer + 0.5",
        },
        "pose": {name: round(angle, 1) for name, angle in asdict(face.pose).items()},
        "check": {
            "findings": [asdict(finding) for finding in face.check.findings],
            "measures": {name: round(value, 3) for name, value in asdict(face.check.measures).items()},
        },
        "parse": {c.name.lower(): int(c) for c in MaskClass},
        "crop": asdict(face.crop),
        "confidence": {"detector": round(face.score, 3), "mask": round(face.confidence, 3)},
        "stages": len(face.crop_estimate.normals) - 1,
        "normals": {
            "convention": convention,
            "frame": DESCRIPTIONS[convention],
            "encoding_png": "rgb = (n + 1) / 2, 8 bit; black where there is no face",
            "encoding_exr": "rgb = n, half float; zero where there is no face",
            "unit": "unit vectors",
        },
        "uncertainty": _describe_uncertainty(face),
        "camera": "scaled orthography assumed; normals are in the camera frame of the crop's centre",
        "shading": {"lights": [list(light) for light in LIGHTS], "frame": DESCRIPTIONS["opengl"]},
        **face.about,
    }


def _describe_uncertainty(face: FaceGeometry) -> dict[str, Any] | None:
    """The part of ``face.json`` on the uncertainty, if there is any."""
    if face.crop_uncertainty is None:
        return None
    inside = face.crop_uncertainty[
        face.region.in_crop
    ]  # none where a face in the photo is less than a pixel of the crop
    return {
        "encoding_png": f"grey = {STEPS_PER_DEGREE} · degrees of angular error to expect, 8 bit; black where "
        "there is no face",
        "mean": round(float(inside.mean()), 2) if inside.size else None,
    }


def _close_up(face: FaceGeometry) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Normals and mask of the photo around the face, at most `_PREVIEW_SIDE` pixels high and wide."""
    near = face.region.close_up(_PREVIEW_SIDE)
    return replace(face, region=near).stage(-1), near.whole(near.mask)
