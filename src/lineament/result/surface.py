# SPDX-License-Identifier: Apache-2.0
"""A face's surface from its normals: depth in the photo's frame, and a textured mesh in millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.alignment.crop import FaceCrop
from lineament.alignment.scale import pixels_per_millimetre
from lineament.errors import InputError
from lineament.geometry.angular import angular_error
from lineament.geometry.integration import normals_to_depth
from lineament.geometry.mesh import Mesh, depth_to_mesh
from lineament.geometry.normals import depth_to_normals
from lineament.geometry.outline import smooth_outline
from lineament.images.resize import at_most

_TEXTURE_SIDE = 2048
_GAP = 0.08  # width of what parts a face (the frame of glasses, a strand of hair), of the crop's side


@dataclass(frozen=True)
class FaceSurface:
    """The surface of one face, as its crop's pixels carry it."""

    crop_depth: NDArray[np.float32]
    """S×S, larger is nearer, pixels of the photo; of the camera's frame of the crop, zero mean on the face."""
    crop_mask: NDArray[np.bool_]
    """S×S, where the face is."""
    crop: FaceCrop
    """Where the crop lies in the photo."""
    scale: float
    """Pixels of the photo per millimetre, if the head has the average adult's size."""
    disagreement: float
    """Mean angle in degrees between the normals and those of the depth: integration has to even out what is not the
    gradient of any surface."""

    @classmethod
    def of(
        cls,
        normals: NDArray[np.float32],
        mask: NDArray[np.bool_],
        crop: FaceCrop,
        landmarks: NDArray[np.float64],
        visibility: NDArray[np.float32],
    ) -> FaceSurface:
        """Integrate the normals of a crop.

        Args:
            normals: S×S×3 in the crop's own frame.
            mask: S×S.
            crop: The crop.
            landmarks: [68, 2] in the photo.
            visibility: [68].

        Raises:
            InputError: No face in the crop.
        """
        if not mask.any():
            raise InputError("there is no face in the crop, so it has no surface")
        # Grazing normals are the least sure; they bend the rest the less.
        whole = normals_to_depth(normals, _bridged(mask), "least_squares")
        depth = np.where(mask, whole - whole[mask].mean(), 0.0)
        again = depth_to_normals(depth, mask)
        there = mask & (again != 0).any(-1)
        apart = float(angular_error(again[there], normals[there]).mean()) if there.any() else 0.0
        scale = pixels_per_millimetre(landmarks, visibility)
        return cls((depth / crop.scale).astype(np.float32), mask, crop, scale, apart)

    @cached_property
    def _continued(self) -> NDArray[np.float32]:
        """The depth carried on beyond the face, so that resampling at its edge does not mix it with nothing."""
        nearest = ndimage.distance_transform_edt(~self.crop_mask, return_distances=False, return_indices=True)
        return np.asarray(self.crop_depth[tuple(nearest)], np.float32)

    def depth(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """H×W depth in pixels of the photo, larger is nearer, where the photo's mask is; zero elsewhere."""
        height, width = mask.shape
        x, y, w, h = self.crop.place(height, width)
        depth = np.zeros((height, width), np.float32)
        # A cubic spline is smooth enough to be shaded; OpenCV's cubic leaves ripples in the normals.
        start, right, below = self.crop.to_crop(np.array([[x, y], [x + 1.0, y], [x, y + 1.0]]) + 0.5) - 0.5
        matrix = np.stack([below - start, right - start], axis=1)[::-1]  # from rows and columns to rows and columns
        # Written where it belongs: a second map of a large photo would be one too many.
        part = depth[y : y + h, x : x + w]
        ndimage.affine_transform(self._continued, matrix, start[::-1], (h, w), part, order=3, mode="nearest")
        part *= mask[y : y + h, x : x + w]
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
        left, top, w, h = self.crop.place(height, width)
        uv = (places - np.array([left, top])) / np.array([w, h])
        uv[:, 1] = 1.0 - uv[:, 1]
        return Mesh(vertices, flat.triangles, uv[flat.triangles])

    def texture(self, photo: NDArray[Any]) -> NDArray[np.uint8]:
        """The part of the photo H×W×3 that the mesh's texture coordinates speak of, at most 2048 pixels a side."""
        x, y, w, h = self.crop.place(*photo.shape[:2])
        return at_most(photo[y : y + h, x : x + w], _TEXTURE_SIDE)


def _bridged(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without the gaps in it: nothing but what lies between them ties one part's depth to another's."""
    room = round(_GAP * len(mask))
    padded = np.pad(mask, room)
    near = ndimage.distance_transform_edt(~padded) <= 0.5 * room
    closed = ndimage.distance_transform_edt(near) > 0.5 * room
    return np.asarray(ndimage.binary_fill_holes(closed | padded)[room:-room, room:-room])
