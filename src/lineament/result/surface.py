# SPDX-License-Identifier: Apache-2.0
"""A face's surface, the method's own or integrated: depth in the photo's frame, and a textured mesh in millimetres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.alignment.crop import FaceCrop
from lineament.errors import InputError
from lineament.face.paste import FaceRegion, Strip
from lineament.geometry.angular import angular_error
from lineament.geometry.integration import normals_to_depth
from lineament.geometry.mesh import Mesh, depth_to_mesh
from lineament.geometry.normals import depth_to_normals
from lineament.geometry.outline import smooth_outline
from lineament.images.resize import at_most
from lineament.result.crop_estimate import CropEstimate

_TEXTURE_SIDE = 2048
_FRAME = 12  # pixels around the crop in which its spline comes to rest
_GAP = 0.08  # width of what parts a face (the frame of glasses, a strand of hair), of the crop's side


Origin = Literal["method", "integrated from normals"]


@dataclass(frozen=True)
class FaceSurface:
    """The surface of one face, as its crop's pixels carry it."""

    crop_depth: NDArray[np.float32]
    """S×S, larger is nearer, pixels of the photo; of the camera's frame of the crop, zero mean on the face, zero
    outside."""
    crop_mask: NDArray[np.bool_]
    """S×S, where the face is."""
    crop: FaceCrop
    """Where the crop lies in the photo."""
    scale: float
    """Pixels of the photo per millimetre, if the head has the average adult's size."""
    origin: Origin
    """Where the depth is from."""
    disagreement: float
    """Mean angle in degrees between the last stage's normals and those of the depth: integration has to even out what
    is not the gradient of any surface, and means of views' depths have not quite the normals' means."""

    @classmethod
    def of(cls, estimate: CropEstimate, mask: NDArray[np.bool_], crop: FaceCrop, scale: float) -> FaceSurface:
        """The depth that an estimate gives, or what its normals integrate to where it gives none.

        Args:
            estimate: Of the crop.
            mask: S×S, where the face is.
            crop: The crop.
            scale: Pixels of the photo per millimetre.

        Raises:
            InputError: No face in the crop.
        """
        if not mask.any():
            raise InputError("there is no face in the crop, so it has no surface")
        normals = estimate.normals[-1]
        if estimate.depths:
            origin: Origin = "method"
            depth = estimate.depths[-1] * np.float32(crop.side)
            depth -= depth[mask].mean()
        else:
            origin = "integrated from normals"
            # Grazing normals are the least sure; they bend the rest the less.
            whole = normals_to_depth(normals, _bridged(mask), "least_squares")
            depth = ((whole - whole[mask].mean()) / crop.scale).astype(np.float32)
        depth = np.where(mask, depth, np.float32(0.0))
        again = depth_to_normals(depth * crop.scale, mask)
        known = mask & (again != 0).any(-1)
        difference = float(angular_error(again[known], normals[known]).mean()) if known.any() else 0.0
        return cls(depth, mask, crop, scale, origin, difference)

    @cached_property
    def _continued(self) -> NDArray[np.float32]:
        """The depth carried on beyond the face, so that resampling at its edge does not mix it with nothing."""
        nearest = ndimage.distance_transform_edt(~self.crop_mask, return_distances=False, return_indices=True)
        return np.asarray(self.crop_depth[tuple(nearest)], np.float32)

    @cached_property
    def _coefficients(self) -> NDArray[np.float64]:
        """The cubic spline through the depth: smooth enough to be shaded, where OpenCV's cubic leaves ripples."""
        framed = np.pad(self._continued, _FRAME, mode="edge")
        return np.asarray(ndimage.spline_filter(framed, order=3, output=np.float64, mode="nearest"))

    @property
    def bounds(self) -> tuple[float, float]:
        """Two numbers between which all of the face's depth in the photo lies.

        Every value of a spline is a mean of some of its coefficients, the weights being positive.
        """
        return float(self._coefficients.min()), float(self._coefficients.max())

    def strips(self, region: FaceRegion) -> Iterator[Strip]:
        """Depth in pixels of the photo, larger is nearer, some rows of a face's region at a time.

        Args:
            region: Where the face is in the photo; of the same crop.

        Returns:
            Places, depths and where the face is, as `FaceRegion.strips` gives them.
        """
        first = region.place[0].start
        for rows, columns in self.crop.strips(region.height, region.width):
            x, y = columns.start, rows.start
            start, right, below = self.crop.to_crop(np.array([[x, y], [x + 1.0, y], [x, y + 1.0]]) + 0.5) - 0.5
            matrix = np.stack([below - start, right - start], axis=1)[::-1]  # from rows and columns to rows and columns
            shape = (rows.stop - y, columns.stop - x)
            strip = np.empty(shape, np.float32)
            ndimage.affine_transform(
                self._coefficients, matrix, start[::-1] + _FRAME, shape, strip, order=3, mode="nearest", prefilter=False
            )
            yield (rows, columns), strip, region.mask[y - first : rows.stop - first]

    def depth(self, region: FaceRegion) -> NDArray[np.float32]:
        """H×W depth in pixels of the photo, larger is nearer, where the face is; zero elsewhere."""
        depth = np.zeros((region.height, region.width), np.float32)
        for place, strip, inside in self.strips(region):
            np.copyto(depth[place], strip, where=inside)
        return depth

    def mesh(self, height: int, width: int) -> Mesh:
        """The triangulated surface.

        Args:
            height: The photo's rows.
            width: The photo's columns.

        Returns:
            Vertices in millimetres in the photo's camera frame (x right, y up, z towards the viewer), the origin at
            the middle of the crop; cut where depth jumps and where the face ends, the outline smoothed. Texture
            coordinates are those of `texture`, origin bottom left.

        Raises:
            InputError: The face is too small for a surface.
        """
        flat = smooth_outline(depth_to_mesh(self.crop_depth * self.crop.scale, self.crop_mask))
        places = self.crop.to_photo(flat.vertices[:, :2] * np.array([1.0, -1.0]))
        x, y = (places - np.array(self.crop.centre)).T / self.scale
        vertices = np.stack([x, -y, flat.vertices[:, 2] / self.crop.scale / self.scale], axis=-1)
        return Mesh(vertices, flat.triangles, _texture_coordinates(places, self.crop, height, width)[flat.triangles])


def own_mesh(mesh: Mesh, crop_places: NDArray[np.float64], crop: FaceCrop, height: int, width: int) -> Mesh:
    """A method's mesh in the photo's camera frame, with the texture coordinates of `texture`.

    Args:
        mesh: In the crop's camera frame, millimetres.
        crop_places: [V, 2] where its vertices lie in the crop, shares of its side.
        crop: The crop.
        height: The photo's rows.
        width: The photo's columns.
    """
    vertices = mesh.vertices.copy()
    vertices[:, :2] = (mesh.vertices[:, :2] * [1.0, -1.0]) @ crop.turn.T * [1.0, -1.0]
    uv = _texture_coordinates(crop.to_photo(crop_places * crop.size), crop, height, width)
    return Mesh(vertices, mesh.triangles, uv[mesh.triangles])


def texture(photo: NDArray[Any], crop: FaceCrop) -> NDArray[np.uint8]:
    """The part of the photo H×W×3 that meshes' texture coordinates speak of, at most 2048 pixels a side."""
    x, y, w, h = crop.place(*photo.shape[:2])
    return at_most(photo[y : y + h, x : x + w], _TEXTURE_SIDE)


def _texture_coordinates(places: NDArray[np.float64], crop: FaceCrop, height: int, width: int) -> NDArray[np.float64]:
    """Texture coordinates [V, 2] of places in the photo [V, 2], origin bottom left."""
    left, top, w, h = crop.place(height, width)
    uv = (places - np.array([left, top])) / np.array([w, h])
    uv[:, 1] = 1.0 - uv[:, 1]
    return np.asarray(uv)


def _bridged(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without the gaps in it: nothing but what lies between them ties one part's depth to another's."""
    room = round(_GAP * len(mask))
    padded = np.pad(mask, room)
    near = ndimage.distance_transform_edt(~padded) <= 0.5 * room
    closed = ndimage.distance_transform_edt(near) > 0.5 * room
    return np.asarray(ndimage.binary_fill_holes(closed | padded)[room:-room, room:-room])
