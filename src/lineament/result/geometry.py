# SPDX-License-Identifier: Apache-2.0
"""What an estimate is: one face's geometry in the photo's own frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import Box, FaceCrop
from lineament.alignment.scale import pixels_per_millimetre
from lineament.errors import InputError
from lineament.face.face import Pose
from lineament.face.paste import FaceRegion
from lineament.face.quality import PhotoCheck
from lineament.files.result_folder import folder_path
from lineament.images.encoding import NormalsConvention, convert_normals, encode_normals
from lineament.images.write import MeshFormat
from lineament.inference.engine import Engine
from lineament.render.preview import LIGHTS, shade_normals
from lineament.result.cached_maps import CachedMaps, LastFace, Value
from lineament.result.crop_estimate import CropEstimate

if TYPE_CHECKING:
    from lineament.geometry.mesh import Mesh
    from lineament.result.surface import FaceSurface

Output = Literal["normals", "depth", "mesh", "albedo", "restored", "views"]
MeshPose = Literal["photo", "frontal"]
"""How a mesh stands: as in the photo, or facing the viewer."""

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

    region: FaceRegion
    """Where the face is in the photo: its crop, and the mask and parse of the crop's surroundings."""
    box: Box
    """x, y, width, height of the face in the photo's pixels: the landmarks' bounding box."""
    score: float
    """Confidence of the detector, 0 to 1; 1 for boxes that the caller gave."""
    confidence: float
    """How sure the reader is of what it took for the face: mean of |2 p - 1| over the crop, 0 to 1."""
    landmarks: NDArray[np.float64]
    """[68, 2] in the photo's pixels, iBUG order; pixel centres at integer + 0.5."""
    visibility: NDArray[np.float32]
    """[68] probabilities that a landmark is seen."""
    pose: Pose
    """How the head is turned."""
    check: PhotoCheck
    """What is wrong with the photo."""
    crop_image: NDArray[np.uint8]
    """S×S×3, that square."""
    photo: NDArray[Any]
    """H×W×3 RGB, the photo as it was seen upright, uint8 or float32 in [0, 1]."""
    crop_estimate: CropEstimate
    """What the method says of the whole crop, in the crop's own frame, which may be turned against the photo's."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Method, weights, versions: what ``face.json`` says of the origin."""
    engine: Engine = field(default=Engine(), repr=False, compare=False)
    """How networks are run that are first needed later (the albedo's)."""
    last_face: LastFace = field(default_factory=LastFace, repr=False, compare=False)
    """Shared by the faces of one photo: maps as large as the photo are kept for the one that was asked last."""
    _cached: CachedMaps = field(default_factory=CachedMaps, init=False, repr=False, compare=False)

    @property
    def crop(self) -> FaceCrop:
        """The square of the photo that the network saw."""
        return self.region.crop

    @property
    def stages(self) -> tuple[NDArray[np.float32], ...]:
        """S×S×3 unit normals of every stage on the whole crop, the first stage's first, unmasked.

        In the photo's camera frame, also where the crop is turned; those of the crop's frame are in `crop_estimate`.
        """
        return tuple(map(self.crop.normals_to_photo, self.crop_estimate.normals))

    @property
    def crop_uncertainty(self) -> NDArray[np.float32] | None:
        """S×S, the last stage's expected angular error on the whole crop, degrees; None if the method does not say."""
        return self.crop_estimate.uncertainty[-1] if self.crop_estimate.uncertainty else None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """H×W, where the face is: one piece from the chin to the hairline, what lies under glasses included."""
        return self._once("mask", lambda: self.region.whole(self.region.mask))

    @property
    def alpha(self) -> NDArray[np.float32]:
        """H×W, how opaque the face is over another picture: 1 inside, falling to 0 at the mask's edge."""
        return self._once("alpha", lambda: self.region.whole(self.region.alpha()))

    @property
    def parse(self) -> NDArray[np.uint8]:
        """H×W of `lineament.face.MaskClass`: what each pixel of the face's surroundings shows."""
        return self._once("parse", lambda: self.region.whole(self.region.parse))

    @property
    def normals(self) -> NDArray[np.float32]:
        """H×W×3 unit vectors of the last stage, zero outside the face; made when first asked for."""
        return self._once("normals", lambda: self.stage(-1))

    @property
    def uncertainty(self) -> NDArray[np.float32] | None:
        """H×W angular error to expect of each normal of the last stage, degrees; zero outside the face.

        None if the method does not say (HFFNE, DF²Net).

        It is the mean of the distribution that the network predicts. It tells hard places from easy ones; an error that
        a whole face shares (a head estimated with a pitch bias) is not in it.
        """
        angles = self.crop_uncertainty
        if angles is None:
            return None
        return self._once("uncertainty", lambda: self.region.fill(angles, np.zeros(self._shape, np.float32)))

    @cached_property
    def surface(self) -> FaceSurface:
        """The method's own depth, or else what the last stage's normals integrate to; made when first asked for.

        Raises:
            InputError: There is no face in the crop.
        """
        from lineament.result.surface import FaceSurface

        return FaceSurface.of(
            self.crop_estimate, self.region.in_crop, self.crop, pixels_per_millimetre(self.landmarks, self.visibility)
        )

    @property
    def depth(self) -> NDArray[np.float32]:
        """H×W in pixels of the photo, larger is nearer, zero mean on the face; zero outside. See `surface`.

        Raises:
            InputError: There is no face in the crop.
        """
        return self._once("depth", lambda: self.surface.depth(self.region))

    @property
    def albedo(self) -> NDArray[np.uint8]:
        """H×W×3 sRGB, the face without its shading, black outside; see `lineament.result.albedo.photo_albedo`."""
        from lineament.result.albedo import photo_albedo

        with self.engine.used():
            return self._once("albedo", lambda: photo_albedo(self.photo, self.region, self.crop_estimate.albedo))

    @property
    def restored(self) -> NDArray[np.uint8]:
        """S×S×3 RGB, the face's crop as a better photo would show it; see `lineament.result.restored`.

        Raises:
            UsageError: The method restores no photos.
        """
        from lineament.result.restored import restored_picture

        return restored_picture(self.crop_estimate)

    def views(self) -> list[NDArray[np.uint8]]:
        """The restored face from its own side, from the front, turned to both sides and nodding both ways.

        Raises:
            UsageError: The method restores no photos.
        """
        from lineament.result.restored import turned_views

        return turned_views(self.crop_estimate)

    def mesh(self) -> Mesh:
        """The face in millimetres: the method's own mesh, or else its surface, triangulated.

        Returns:
            Vertices in the photo's camera frame (x right, y up, z towards the viewer). Of a surface, millimetres are
            those of an average adult (`FaceSurface.mesh`). Texture coordinates are those of `mesh_texture`.

        Raises:
            InputError: There is no face in the crop, or it is too small for a surface.
        """
        from lineament.result.surface import own_mesh

        own, height, width = self.crop_estimate, *self._shape
        if own.mesh is None or own.mesh_places is None:
            return self.surface.mesh(height, width)
        return own_mesh(own.mesh, own.mesh_places, self.crop, height, width)

    def mesh_texture(self) -> NDArray[np.uint8]:
        """The part of the photo that the mesh's texture coordinates speak of, RGB, at most 2048 pixels a side."""
        from lineament.result.surface import texture

        return texture(self.photo, self.crop)

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
        height, width = self._shape
        column, row = np.floor(pixels).astype(np.int64).T
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = column.clip(0, width - 1), row.clip(0, height - 1)
        seen &= self.mask[row, column] & (vertex_normals(mesh)[:, 2] > _GRAZING)
        return enhance(mesh, self.normals[row, column] * seen[:, None], keep, base_from)

    def stage(self, number: int) -> NDArray[np.float32]:
        """Normals of one stage in the photo's frame, H×W×3, zero outside the face."""
        return self._pasted(number, np.zeros((*self._shape, 3), np.float32))

    def __repr__(self) -> str:
        height, width = self._shape
        x, y, w, h = self.box
        method, pose = self.about.get("method", "an unnamed method"), self.pose
        stages = len(self.crop_estimate.normals) - 1
        return (
            f"FaceGeometry of a {width}×{height} photo: face at ({x:.0f}, {y:.0f}), {w:.0f}×{h:.0f} pixels, "
            f"score {self.score:.2f}\n"
            f"  head turned {pose.yaw:+.0f}°, nodding {pose.pitch:+.0f}°, leaning {pose.roll:+.0f}°; "
            f"normals, depth, albedo, mesh() by {method}, {stages} stages after the first\n"
            f"  {' '.join(self.check.warnings) or 'no warnings'}"
        )

    def encoded(
        self, convention: NormalsConvention = "opengl", onto: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """The last stage's normals as colours, H×W×3, black outside the face.

        Args:
            convention: Sign convention of the map.
            onto: Another face's map of the same photo, to be drawn over; it is changed.
        """
        colours = np.zeros((*self._shape, 3), np.uint8) if onto is None else onto
        return self._pasted(-1, colours, partial(encode_normals, convention=convention))

    def half_float_strips(self, convention: NormalsConvention = "opengl") -> Iterator[NDArray[np.float16]]:
        """The last stage's normals in a convention as half floats, zero outside the face, some rows at a time.

        Together they are H×W×3: for a large photo that would be the largest map of all.
        """
        written = partial(convert_normals, convention=convention)
        last = self.crop.normals_to_photo(self.crop_estimate.normals[-1])
        return self.region.whole_rows(
            self.region.strips(last, lambda strip: written(unit_normals(strip))), np.float16, (3,)
        )

    def grey_uncertainty(self) -> NDArray[np.uint8] | None:
        """The uncertainty as grey values H×W, `STEPS_PER_DEGREE` each, black outside the face; None if none."""
        if self.crop_uncertainty is None:
            return None
        return self.region.fill(self.crop_uncertainty, np.zeros(self._shape, np.uint8), _grey_of_degrees)

    def save(
        self,
        directory: str | PathLike[str],
        convention: NormalsConvention = "opengl",
        photo: str | None = None,
        outputs: Sequence[Output] = ("normals",),
        mesh_formats: Sequence[MeshFormat] = ("glb",),
        mesh_pose: MeshPose = "photo",
    ) -> Path:
        """Write the maps, previews and ``face.json``; the folder appears whole or not at all.

        Args:
            directory: Folder, made if missing; an earlier result in it is replaced as a whole.
            convention: Sign convention of the normal maps.
            photo: Name of the photo, for ``face.json``.
            outputs: "normals" (which everything else comes with), "depth" for depth.png and depth.exr, "mesh" for a
                textured mesh, "albedo" for albedo.png; of a method that restores photos "restored" for restored.png,
                "views" for views.png.
            mesh_formats: Files of the mesh: "glb", "obj", "ply", "stl".
            mesh_pose: As in the photo, or "frontal": turned to face the viewer.

        Returns:
            The folder.

        Raises:
            OutputError: It cannot be written or holds files that are no result of ours.
            UsageError: No folder's path, no name of a photo, or names that are not among these.
            NotFiniteError: Numbers that would be written are not finite.
            InputError: There is no face in the crop, so that it has no depth and no mesh.
        """
        from lineament.result.saving import SaveOptions, names_of, save_photo

        folder = folder_path(directory)
        formats = names_of("mesh_formats", mesh_formats)
        options = SaveOptions(convention, names_of("outputs", outputs), formats, mesh_pose)
        save_photo([self], 1, folder, options, photo)
        return folder

    def describe(self, convention: NormalsConvention = "opengl", photo: str | None = None) -> dict[str, Any]:
        """The content of ``face.json``, but for files that are written on demand."""
        from lineament.result.saving import describe

        return describe(self, convention, photo)

    def sheet(self) -> NDArray[np.uint8]:
        """A contact sheet, RGB: the crop, normals of every stage, shadings of the last one."""
        import cv2

        def tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
            shown = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)
            return np.asarray(cv2.resize(shown, (_SHEET_SIDE, _SHEET_SIDE), interpolation=cv2.INTER_AREA))

        mask = self.region.in_crop
        stages = self.stages
        top = [tile(self.crop_image)]
        top += [tile(encode_normals(stage * mask[..., None]).astype(np.uint8)) for stage in stages]
        last = stages[-1]
        below = [tile(shade_normals(last, light, mask)) for light in LIGHTS]
        columns = max(len(top), len(below))
        blank = np.zeros((_SHEET_SIDE, _SHEET_SIDE, 3), np.uint8)
        rows = [np.concatenate([*row, *[blank] * (columns - len(row))], axis=1) for row in (top, below)]
        return np.concatenate(rows, axis=0)

    def _pasted(
        self, stage: int, onto: NDArray[Any], written: Callable[..., NDArray[Any]] = np.asarray
    ) -> NDArray[Any]:
        """A stage's normals in the photo's frame where the face is, as ``written`` makes them, on a map H×W×3."""
        turned = self.crop.normals_to_photo(self.crop_estimate.normals[stage])
        return self.region.fill(turned, onto, lambda strip: written(unit_normals(strip)))

    @property
    def _shape(self) -> tuple[int, int]:
        """Rows and columns of the photo."""
        return self.region.height, self.region.width

    def _once(self, name: str, make: Callable[[], Value]) -> Value:
        """A map by its name, made unless it is kept."""
        return self.last_face.kept(self._cached, name, make)


def _grey_of_degrees(degrees: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(degrees * STEPS_PER_DEGREE), 0, 255), dtype=np.uint8)


def unit_normals(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors H×W×3 at unit length."""
    length = np.sqrt(np.einsum("hwc,hwc->hw", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(length, 1e-6), dtype=np.float32)


class CombinedMap:
    """Normals of all faces of one photo as one map of colours, drawn face by face.

    Where two overlap the surer one is kept, in whatever order they come.
    """

    def __init__(self, height: int, width: int, convention: NormalsConvention = "opengl") -> None:
        self.convention = convention
        self.colours = np.zeros((height, width, 3), np.uint8)
        """H×W×3, black where there is no face."""
        self._whose = np.zeros((height, width), np.uint16)
        self._confidences = [-1.0]  # of nobody, then of the faces

    def add(self, face: FaceGeometry) -> None:
        """Draw a face."""
        region = face.region
        whose = self._whose[region.place]
        drawn = region.mask & (np.array(self._confidences)[whose] <= face.confidence)
        whose[drawn] = len(self._confidences)
        self._confidences.append(face.confidence)
        replace(face, region=replace(region, mask=drawn)).encoded(self.convention, self.colours)


def combined_map(faces: Sequence[FaceGeometry], convention: NormalsConvention = "opengl") -> NDArray[np.uint8]:
    """Normals of all faces of one photo as one map of colours; where two overlap the surer one is kept."""
    region = faces[0].region
    combined = CombinedMap(region.height, region.width, convention)
    for face in faces:
        combined.add(face)
    return combined.colours
