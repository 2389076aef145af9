# SPDX-License-Identifier: Apache-2.0
"""The files of a face's mesh: its texture, its normal map, its pose, and what ``face.json`` says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.face.face import Pose
from lineament.geometry.mesh import Mesh
from lineament.geometry.normals import depth_to_normals
from lineament.images.encoding import DESCRIPTIONS
from lineament.images.mesh import write_mesh
from lineament.images.resize import at_most
from lineament.images.write import MeshFormat
from lineament.result.albedo import photo_albedo
from lineament.result.geometry import FaceGeometry, MeshPose
from lineament.result.head import has_head, write_head_files


def write_mesh_files(
    face: FaceGeometry, folder: Path, formats: Sequence[MeshFormat], pose: MeshPose, unlit: bool
) -> dict[str, Any]:
    """Write a face's mesh.

    Args:
        face: The face.
        folder: A folder that is there.
        formats: Kinds of files.
        pose: As in the photo, or turned to face the viewer. A whole head's files have poses of their own.
        unlit: Give the photo without its shading as the texture.

    Returns:
        What ``face.json`` says of it.

    Raises:
        InputError: There is no face in the crop, or it is too small for a surface.
    """
    own = face.crop_estimate
    if has_head(own):
        return write_head_files(face, folder, formats, unlit=unlit)
    mesh, texture = face.mesh(), face.mesh_texture()
    if unlit:
        texture = _part(face, photo_albedo(face.photo, face.region, own.albedo))
    bumps = None if own.mesh is not None else tangent_normals(face, *texture.shape[:2])
    if pose == "frontal":
        mesh = frontal(mesh, face.pose)
    files = [path.name for kind in formats for path in write_mesh(folder / f"mesh.{kind}", mesh, texture, bumps)]
    x, y, w, h = face.crop.place(face.region.height, face.region.width)
    size = "millimetres of an average adult's head" if own.mesh is None else "millimetres"
    zero = "the middle of the crop" if own.mesh is None else "the method's own"
    return {
        "origin": face.surface.origin if own.mesh is None else "method",
        "files": files,
        "unit": f"{size}; glb: metres",
        "frame": f"{DESCRIPTIONS['opengl']}; the origin is {zero}",
        "pose": pose,
        "texture": {
            "shows": {"x": x, "y": y, "width": w, "height": h},
            "of": "albedo.png" if unlit else "the photo",
            "coordinates": "u to the right, v up, origin bottom left of that rectangle of the photo",
        },
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.triangles),
    }


def frontal(mesh: Mesh, pose: Pose) -> Mesh:
    """A mesh in the photo's camera frame, turned about its origin so that the face looks at the viewer, upright."""
    return replace(mesh, vertices=mesh.vertices @ pose.rotation)


def tangent_normals(face: FaceGeometry, height: int, width: int) -> NDArray[np.uint8]:
    """The last stage's normals in the tangent frames of the face's surface, as glTF's normal maps hold them.

    Args:
        face: A face whose mesh is its surface.
        height: Rows of the texture.
        width: Columns of the texture.

    Returns:
        height×width×3, (n + 1) / 2: x along the texture's u, y along its v, z out of the surface; flat where there is
        no face.
    """
    crop, surface = face.crop, face.surface
    smooth = crop.normals_to_photo(depth_to_normals(surface.crop_depth * crop.scale, surface.crop_mask))
    fine = face.stages[-1]
    known = surface.crop_mask & (smooth[..., 2] > 0.0)
    along = np.array([1.0, 0.0, 0.0], np.float32) - smooth * smooth[..., :1]
    along = along / np.linalg.norm(along, axis=-1, keepdims=True).clip(1e-3)
    frames = np.stack([along, np.cross(smooth, along), smooth], axis=-2)
    flat = np.array([0.0, 0.0, 1.0], np.float32)
    bumps = np.where(known[..., None], np.einsum("ijkl,ijl->ijk", frames, fine), flat).astype(np.float32)
    x, y, w, _ = crop.place(face.region.height, face.region.width)
    share = width / w
    there = replace(crop, left=(crop.left - x) * share, top=(crop.top - y) * share, side=crop.side * share)
    pasted = there.paste(bumps, height, width)
    whole = np.broadcast_to(flat, (height, width, 3)).copy()
    whole[: len(pasted), : pasted.shape[1]] = pasted[:height, :width]
    whole /= np.linalg.norm(whole, axis=-1, keepdims=True).clip(1e-3)
    return np.asarray(np.rint(255 * (0.5 * whole + 0.5)).clip(0, 255), np.uint8)


def _part(face: FaceGeometry, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a picture of the photo's size that a mesh's texture coordinates speak of."""
    texture = face.mesh_texture()
    x, y, w, h = face.crop.place(*picture.shape[:2])
    return np.asarray(at_most(picture[y : y + h, x : x + w], max(texture.shape[:2])), np.uint8)
