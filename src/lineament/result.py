# SPDX-License-Identifier: Apache-2.0
"""What an estimate is: one face's geometry in the photo's own frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from lineament.images.encoding import NormalsConvention, convert_normals, encode_normals
from lineament.images.write import MeshFormat
from lineament.render.preview import LIGHTS, shade_normals

if TYPE_CHECKING:
    from lineament.geometry.mesh import Mesh
    from lineament.surface import FaceSurface

Output = Literal["normals", "depth", "mesh", "albedo"]

_GRAZING = 0.1  # n_z of a base mesh below which the photo says nothing of it
_SHEET_SIDE = 256

STEPS_PER_DEGREE = 5
"""Of the grey values of ``uncertainty.png``."""


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
        return FaceSurface.of(normals, self.crop_mask(), self.crop, self.landmarks, self.visibility)

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
            InputError: Pixels of another number than vertices.
        """
        from lineament.geometry.enhance import enhance
        from lineament.geometry.mesh import vertex_normals

        if pixels.shape != (len(mesh.vertices), 2):
            raise InputError(f"pixels {pixels.shape} do not belong to {len(mesh.vertices)} vertices")
        height, width = self.mask.shape
        column, row = np.floor(pixels).astype(np.int64).T
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        seen &= self.mask[row, column] & (vertex_normals(mesh)[:, 2] > _GRAZING)
        return enhance(mesh, self.normals[row, column] * seen[:, None], keep, base_from)

    def stage(self, number: int) -> NDArray[np.float32]:
        """Normals of one stage in the photo's frame, H×W×3, zero outside the face."""
        return self._pasted(self.stages[number], np.zeros((*self.mask.shape, 3), np.float32))

    def __repr__(self) -> str:
        height, width = self.mask.shape
        x, y, w, h = self.box
        method, pose = self.about.get("method", "an unnamed method"), self.pose
        return (
            f"FaceGeometry of a {width}×{height} photo: face at ({x:.0f}, {y:.0f}), {w:.0f}×{h:.0f} pixels, "
            f"score {self.score:.2f}\n"
            f"  head turned {pose.yaw:+.0f}°, nodding {pose.pitch:+.0f}°, leaning {pose.roll:+.0f}°; "
            f"normals, depth, albedo, mesh() by {method}, {len(self.stages) - 1} stages after the first\n"
            f"  error to expect {self.check.expected_error:.0f}°; {' '.join(self.check.warnings) or 'no warnings'}"
        )

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

    def half_floats(self, convention: NormalsConvention = "opengl") -> NDArray[np.float16]:
        """The last stage's normals in a convention as half floats H×W×3, zero outside the face."""
        half = np.zeros((*self.mask.shape, 3), np.float16)
        return self._pasted(self.stages[-1], half, partial(convert_normals, convention=convention))

    def grey_uncertainty(self) -> NDArray[np.uint8] | None:
        """The uncertainty as grey values H×W, `STEPS_PER_DEGREE` each, black outside the face; None if none."""
        if self.crop_uncertainty is None:
            return None
        return self._filled(self.crop_uncertainty, np.zeros(self.mask.shape, np.uint8), _grey_of_degrees)

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
            directory: Folder, made if missing; an earlier result in it is replaced as a whole.
            convention: Sign convention of the normal maps.
            photo: Name of the photo, for ``face.json``.
            outputs: "normals" (which everything else comes with), "depth" for depth.png and depth.exr, "mesh" for a
                textured mesh, "albedo" for albedo.png.
            mesh_formats: Files of the mesh: "glb", "obj", "ply".

        Returns:
            The folder.

        Raises:
            OutputError: It cannot be written, holds files that are no result of ours, or numbers are not finite.
            InputError: There is no face in the crop, so that it has no depth and no mesh.
        """
        from lineament.save import SaveOptions, save_photo

        folder = Path(directory)
        save_photo([self], folder, SaveOptions(convention, tuple(outputs), tuple(mesh_formats)), photo)
        return folder

    def describe(self, convention: NormalsConvention = "opengl", photo: str | None = None) -> dict[str, Any]:
        """The content of ``face.json``, but for files that are written on demand."""
        from lineament.save import describe

        return describe(self, convention, photo)

    def sheet(self) -> NDArray[np.uint8]:
        """A contact sheet, RGB: the crop, normals of every stage, shadings of the last one."""
        import cv2

        def tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
            shown = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
            return np.asarray(cv2.resize(shown, (_SHEET_SIDE, _SHEET_SIDE), interpolation=cv2.INTER_AREA))

        mask = self.crop_mask()
        top = [tile(self.crop_image)]
        top += [tile(encode_normals(stage * mask[..., None]).astype(np.uint8)) for stage in self.stages]
        last = self.stages[-1]
        below = [tile(shade_normals(last, light, mask)) for light in LIGHTS]
        columns = max(len(top), len(below))
        blank = np.zeros((_SHEET_SIDE, _SHEET_SIDE, 3), np.uint8)
        rows = [np.concatenate([*row, *[blank] * (columns - len(row))], axis=1) for row in (top, below)]
        return np.concatenate(rows, axis=0)

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

    def crop_mask(self) -> NDArray[np.bool_]:
        """The mask as the crop sees it, S×S."""
        return np.asarray(self.crop.extract(self.mask * np.uint8(255)) > 127)


def _grey_of_degrees(degrees: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(degrees * STEPS_PER_DEGREE), 0, 255), dtype=np.uint8)


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
