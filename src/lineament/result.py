# SPDX-License-Identifier: Apache-2.0
"""What an estimate is: one face's geometry in the photo's own frame, and how it is saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError
from lineament.face.check import PhotoCheck
from lineament.face.crop import Box, FaceCrop
from lineament.face.face import Pose
from lineament.face.parse import PARSE_COLOURS, MaskClass
from lineament.images.encoding import DESCRIPTIONS, NormalsConvention, convert_normals, encode_normals
from lineament.images.write import MeshFormat, atomic_folder, write_exr, write_indexed_png, write_png
from lineament.render.preview import LIGHTS, shade_normals, shading_strip

if TYPE_CHECKING:
    from lineament.geometry.mesh import Mesh
    from lineament.surface import FaceSurface

Output = Literal["normals", "depth", "mesh", "albedo"]

_GRAZING = 0.1  # n_z of a base mesh below which the photo says nothing of it
_SHEET_SIDE = 256
_PREVIEW_SIDE = 1024
_STEPS_PER_DEGREE = 5  # of the grey values of uncertainty.png


@dataclass(frozen=True)
class FaceGeometry:
    """One face's geometry.

    Pixel maps are in the frame of the photo as it was seen upright. Normals are in the camera frame: x to the image's
    right, y up, z towards the viewer.
    """

    mask: NDArray[np.bool_]
    """H×W, where the face is: skin, brows, eyes, mouth and teeth, not hair, glasses or clothes."""
    parse: NDArray[np.uint8]
    """H×W of `lineament.face.MaskClass`: what each pixel of the face's surroundings shows."""
    box: Box
    """x, y, width, height of the face in the photo's pixels: the landmarks' bounding box."""
    score: float
    """Confidence of the finder, 0 to 1; 1 for boxes that the caller gave."""
    confidence: float
    """How sure the reader is of what it took for the face: mean of |2 p - 1| over the crop, 0 to 1."""
    landmarks: NDArray[np.float64]
    """[68, 2] in the photo's pixels, iBUG order; pixel centres at integer + 0.5."""
    visibility: NDArray[np.float32]
    """[68] probabilities that a landmark is seen."""
    pose: Pose
    """How the head is turned."""
    check: PhotoCheck
    """What is wrong with the photo, and the error to expect."""
    crop: FaceCrop
    """The square of the photo that the network saw."""
    crop_image: NDArray[np.uint8]
    """S×S×3, that square."""
    photo: NDArray[Any]
    """H×W×3 RGB, the photo as it was seen upright, uint8 or float32 in [0, 1]."""
    stages: tuple[NDArray[np.float32], ...]
    """S×S×3 unit normals of every stage on the whole crop, the first stage's first, unmasked; in the photo's camera
    frame, also where the crop is turned."""
    crop_uncertainty: NDArray[np.float32] | None
    """S×S, the last stage's expected angular error on the whole crop, degrees; None if the method does not say."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Method, weights, versions: what ``face.json`` says of the origin."""

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """H×W×3 unit vectors of the last stage, zero outside the face; made when first asked for."""
        return self.stage(-1)

    @cached_property
    def uncertainty(self) -> NDArray[np.float32] | None:
        """H×W angular error to expect of each normal of the last stage, degrees; zero outside the face.

        None if the method does not say (HFFNE, DF²Net).

        It is the mean of the distribution that the network predicts. It tells hard places from easy ones; an error that
        a whole face shares (a head read as bowed) is not in it.
        """
        if self.crop_uncertainty is None:
            return None
        return self._filled(self.crop_uncertainty, np.zeros(self.mask.shape, np.float32))

    @cached_property
    def surface(self) -> FaceSurface:
        """The surface that the last stage's normals integrate to; made when first asked for.

        Raises:
            InputError: There is no face in the crop.
        """
        from lineament.surface import FaceSurface

        normals = self.crop.normals_to_crop(self.stages[-1])
        return FaceSurface.of(normals, self._crop_mask(), self.crop, self.landmarks, self.visibility)

    @cached_property
    def depth(self) -> NDArray[np.float32]:
        """H×W in pixels of the photo, larger is nearer, zero mean on the face; zero outside. See `surface`."""
        return self.surface.depth(self.mask)

    @cached_property
    def albedo(self) -> NDArray[np.uint8]:
        """H×W×3 sRGB, the face without its shading, black outside; see `lineament.albedo.photo_albedo`."""
        from lineament.albedo import photo_albedo

        return photo_albedo(self.photo, self.mask, self.crop)

    def mesh(self) -> Mesh:
        """The face's surface, triangulated, in millimetres of an average adult; see `FaceSurface.mesh`."""
        return self.surface.mesh(*self.mask.shape)

    def enhance(
        self, mesh: Mesh, pixels: NDArray[np.floating[Any]], keep: float = 0.05, base_from: float | None = None
    ) -> Mesh:
        """Anybody's base mesh of this face with these normals: normal-enhanced geometry (`lineament.geometry.enhance`).

        Args:
            mesh: In the photo's camera frame, in any unit.
            pixels: [V, 2] where each vertex lies in the photo; x right and y down, pixel centres at integer + 0.5.
            keep: How strongly vertices hold on to their places.
            base_from: Size from which on the base is trusted more than these normals, in the mesh's unit; both as in
                `lineament.geometry.enhance.enhance`.

        Returns:
            The mesh with moved vertices. Those outside the face's mask or turned away from the camera stay; what is
            hidden behind other parts of the mesh is not told apart.

        Raises:
            InputError: Pixels of another number than vertices, or not finite.
        """
        from lineament.geometry.enhance import enhance
        from lineament.geometry.mesh import vertex_normals

        if pixels.shape != (len(mesh.vertices), 2):
            raise InputError(f"pixels {pixels.shape} do not belong to {len(mesh.vertices)} vertices")
        if not np.isfinite(pixels).all():
            raise InputError("the vertices' pixels hold numbers that are not finite")
        height, width = self.mask.shape
        column, row = np.floor(pixels).astype(np.int64).T
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        seen &= self.mask[row, column] & (vertex_normals(mesh)[:, 2] > _GRAZING)
        return enhance(mesh, self.normals[row, column] * seen[:, None], keep, base_from)

    def stage(self, number: int) -> NDArray[np.float32]:
        """Normals of one stage in the photo's frame, H×W×3, zero outside the face."""
        return self._pasted(self.stages[number], np.zeros((*self.mask.shape, 3), np.float32))

    def encoded(
        self, convention: NormalsConvention = "opengl", onto: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """The last stage's normals as colours, H×W×3, black outside the face.

        Args:
            convention: Sign convention of the map.
            onto: Another face's map of the same photo, to be drawn over; it is changed.
        """
        colours = np.zeros((*self.mask.shape, 3), np.uint8) if onto is None else onto
        return self._pasted(self.stages[-1], colours, partial(encode_normals, convention=convention))

    def save(
        self,
        directory: str | PathLike[str],
        convention: NormalsConvention = "opengl",
        photo: str | None = None,
        outputs: Sequence[Output] = ("normals",),
        mesh_formats: Sequence[MeshFormat] = ("glb",),
    ) -> Path:
        """Write the maps, previews and ``face.json``; the folder appears whole or not at all.

        Args:
            directory: Folder, made if missing; files of the same names are replaced.
            convention: Sign convention of the normal maps.
            photo: Name of the photo, for ``face.json``.
            outputs: "normals" (which everything else comes with), "depth" for depth.png and depth.exr, "mesh" for a
                textured mesh, "albedo" for albedo.png.
            mesh_formats: Files of the mesh: "glb", "obj", "ply".

        Returns:
            The folder.

        Raises:
            OutputError: It cannot be written.
        """
        folder = Path(directory)
        with atomic_folder(folder) as temporary:
            write_png(temporary / "normals.png", self.encoded(convention), self.png_text(convention))
            write_exr(
                temporary / "normals.exr",
                {"RGB": self._half(convention)},
                {"normalsConvention": convention, "normalsFrame": DESCRIPTIONS[convention]},
            )
            if self.crop_uncertainty is not None:
                grey = self._filled(self.crop_uncertainty, np.zeros(self.mask.shape, np.uint8), grey_of_degrees)
                write_png(temporary / "uncertainty.png", grey)
            write_png(temporary / "mask.png", self.mask * np.uint8(255))
            write_indexed_png(temporary / "parse.png", self.parse, PARSE_COLOURS.values())
            write_png(temporary / "shading.png", shading_strip(*self._close_up()))
            write_png(temporary / "sheet.png", self.sheet())
            described = self.describe(convention, photo)
            if "depth" in outputs:
                described["depth"] = self._write_depth(temporary)
            if "albedo" in outputs:
                write_png(temporary / "albedo.png", self.albedo)
                described["albedo"] = {
                    "encoding_png": "sRGB, of the photo's mean brightness and colour; black where there is no face"
                }
            if "mesh" in outputs:
                described["mesh"] = self._write_mesh(temporary, mesh_formats)
            sidecar = json.dumps(described, indent=2, ensure_ascii=False)
            (temporary / "face.json").write_text(sidecar + "\n", encoding="utf-8")
        return folder

    def _write_depth(self, folder: Path) -> dict[str, Any]:
        """Write depth.png and depth.exr; return what ``face.json`` says of them."""
        depth, surface = self.depth, self.surface
        low, high = (float(v) for v in (depth[self.mask].min(), depth[self.mask].max()))
        step = max(high - low, 1e-6) / 65534
        levels = np.where(self.mask, np.rint((depth - low) / step) + 1, 0).astype(np.uint16)
        write_png(folder / "depth.png", levels)
        about = {"unit": "pixels of the photo", "pixelsPerMillimetre": f"{surface.scale:.6g}"}
        write_exr(folder / "depth.exr", {"Z": depth}, about)
        return {
            "unit": "pixels of the photo, larger is nearer, mean of the face 0",
            "encoding_png": "depth = offset + step · value, 16 bit; 0 where there is no face",
            "offset": low - step,
            "step": step,
            "encoding_exr": "channel Z, float; zero where there is no face",
            "pixels_per_millimetre": surface.scale,
            "scale": "of an average adult's head: one photo does not tell its size",
            "angle_to_normals": {"mean": round(surface.disagreement, 2), "unit": "degrees"},
        }

    def _write_mesh(self, folder: Path, formats: Sequence[MeshFormat]) -> dict[str, Any]:
        """Write the mesh; return what ``face.json`` says of it."""
        from lineament.images.mesh import write_mesh

        mesh, texture = self.mesh(), self.surface.texture(self.photo)
        files = [file.name for kind in formats for file in write_mesh(folder / f"mesh.{kind}", mesh, texture)]
        return {
            "files": files,
            "unit": "millimetres of an average adult's head",
            "frame": f"{DESCRIPTIONS['opengl']}; the origin is the middle of the crop",
            "vertices": len(mesh.vertices),
            "triangles": len(mesh.triangles),
        }

    def png_text(self, convention: NormalsConvention = "opengl") -> dict[str, str]:
        """What a normal map's PNG says of itself."""
        return {
            "Software": f"lineament {self.about.get('lineament', '')}".strip(),
            "Normals": f"{convention}: {DESCRIPTIONS[convention]}",
        }

    def describe(self, convention: NormalsConvention = "opengl", photo: str | None = None) -> dict[str, Any]:
        """The content of ``face.json``."""
        height, width = self.mask.shape
        return {
            "photo": {"name": photo, "width": width, "height": height, "frame": "upright, EXIF orientation applied"},
            "box": [round(v, 1) for v in self.box],
            "landmarks": {
                "points": np.round(self.landmarks, 2).tolist(),
                "visibility": np.round(self.visibility, 2).tolist(),
                "order": "68 points of iBUG; pixels, x right and y down, pixel centres at integer + 0.5",
            },
            "pose": {name: round(angle, 1) for name, angle in asdict(self.pose).items()},
            "check": {
                "expected_error": round(self.check.expected_error, 1),
                "unit": "degrees, of synthetic faces with the same flaws",
                "findings": [asdict(finding) for finding in self.check.findings],
                "measures": {name: round(value, 3) for name, value in asdict(self.check.measures).items()},
            },
            "parse": {c.name.lower(): int(c) for c in MaskClass},
            "crop": asdict(self.crop),
            "confidence": {"finder": round(self.score, 3), "mask": round(self.confidence, 3)},
            "stages": len(self.stages) - 1,
            "normals": {
                "convention": convention,
                "frame": DESCRIPTIONS[convention],
                "encoding_png": "rgb = (n + 1) / 2, 8 bit; black where there is no face",
                "encoding_exr": "rgb = n, half float; zero where there is no face",
                "unit": "unit vectors",
            },
            "uncertainty": self._describe_uncertainty(),
            "camera": "scaled orthography assumed; normals are in the camera frame of the crop's centre",
            "shading": {"lights": [list(light) for light in LIGHTS], "frame": DESCRIPTIONS["opengl"]},
            **self.about,
        }

    def _describe_uncertainty(self) -> dict[str, Any] | None:
        """The part of ``face.json`` on the uncertainty, if there is any."""
        if self.crop_uncertainty is None:
            return None
        mean = round(float(self.crop_uncertainty[self._crop_mask()].mean()), 2) if self.mask.any() else None
        return {
            "encoding_png": f"grey = {_STEPS_PER_DEGREE} · degrees of angular error to expect, 8 bit; black where "
            "there is no face",
            "mean": mean,
        }

    def sheet(self) -> NDArray[np.uint8]:
        """A contact sheet, RGB: the crop, normals of every stage, shadings of the last one."""
        import cv2

        def tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
            shown = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
            return np.asarray(cv2.resize(shown, (_SHEET_SIDE, _SHEET_SIDE), interpolation=cv2.INTER_AREA))

        mask = self._crop_mask()
        top = [tile(self.crop_image)]
        top += [tile(encode_normals(stage * mask[..., None]).astype(np.uint8)) for stage in self.stages]
        last = self.stages[-1]
        below = [tile(shade_normals(last, light, mask)) for light in LIGHTS]
        columns = max(len(top), len(below))
        blank = np.zeros((_SHEET_SIDE, _SHEET_SIDE, 3), np.uint8)
        rows = [np.concatenate([*row, *[blank] * (columns - len(row))], axis=1) for row in (top, below)]
        return np.concatenate(rows, axis=0)

    def _half(self, convention: NormalsConvention) -> NDArray[np.float16]:
        """The last stage's normals in a convention as half floats H×W×3, zero outside the face."""
        half = np.zeros((*self.mask.shape, 3), np.float16)
        return self._pasted(self.stages[-1], half, partial(convert_normals, convention=convention))

    def _pasted(
        self, normals: NDArray[np.float32], onto: NDArray[Any], written: Callable[..., NDArray[Any]] = np.asarray
    ) -> NDArray[Any]:
        """Crop normals S×S×3 in the photo's frame where the face is, as ``written`` makes them, on a map H×W×3."""
        return self._filled(normals, onto, lambda strip: written(unit_normals(strip)))

    def _filled(
        self, crop_map: NDArray[np.float32], onto: NDArray[Any], written: Callable[..., NDArray[Any]] = np.asarray
    ) -> NDArray[Any]:
        """A crop's map S×S or S×S×C where the face is, as ``written`` makes it, on a map H×W or H×W×C."""
        height, width = self.mask.shape
        for place in self.crop.strips(height, width):
            strip = written(self.crop.paste(crop_map, height, width, place[0]))
            inside = self.mask[place] if strip.ndim == 2 else self.mask[place][..., None]
            np.copyto(onto[place], strip, casting="same_kind", where=inside)
        return onto

    def _crop_mask(self) -> NDArray[np.bool_]:
        """The mask as the crop sees it, S×S."""
        return np.asarray(self.crop.extract(self.mask * np.uint8(255)) > 127)

    def _close_up(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Normals and mask of the photo around the face, at most `_PREVIEW_SIDE` pixels high and wide."""
        import cv2

        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        if len(rows) == 0:
            rows, columns = np.arange(self.mask.shape[0]), np.arange(self.mask.shape[1])
        part = self.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        factor = min(1.0, _PREVIEW_SIDE / max(part.shape))
        shape = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
        shown = cv2.resize(part.astype(np.uint8), shape, interpolation=cv2.INTER_NEAREST) > 0
        left, top = (self.crop.left - columns[0]) * factor, (self.crop.top - rows[0]) * factor
        crop = FaceCrop(left, top, self.crop.side * factor, self.crop.size, self.crop.roll)
        near = replace(self, mask=shown, crop=crop)
        return near.stage(-1), shown


def grey_of_degrees(degrees: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An uncertainty as the grey values of ``uncertainty.png``."""
    return np.asarray(np.clip(np.rint(degrees * _STEPS_PER_DEGREE), 0, 255), dtype=np.uint8)


def unit_normals(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors H×W×3 at unit length."""
    length = np.sqrt(np.einsum("hwc,hwc->hw", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(length, 1e-6), dtype=np.float32)


def combined_map(faces: Sequence[FaceGeometry], convention: NormalsConvention = "opengl") -> NDArray[np.uint8]:
    """Normals of all faces of one photo as one map of colours; where two overlap the surer one is kept."""
    combined = np.zeros((*faces[0].mask.shape, 3), np.uint8)
    for face in sorted(faces, key=lambda f: f.confidence):
        face.encoded(convention, combined)
    return combined
