# SPDX-License-Identifier: Apache-2.0
"""The animatable head of a face, for methods that give the coefficients of the rig; and writing it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.errors import InputError
from lineament.files.writing import write_json
from lineament.geometry.head import Head
from lineament.geometry.mesh import Mesh
from lineament.images.encoding import DESCRIPTIONS, encode_srgb
from lineament.images.gltf import write_head
from lineament.images.mesh import write_mesh
from lineament.images.resize import to_uint8
from lineament.images.write import MeshFormat, write_exr, write_png
from lineament.result.crop_estimate import CropEstimate
from lineament.result.head_detail import normal_map_of, offsets_at_rest, raised
from lineament.result.head_texture import HeadTexture, chart_of, texture_of_head
from lineament.rig import shipped_rig
from lineament.rig.arkit import arkit_name, arkit_shapes
from lineament.rig.posing import DISTANCE, FOCAL, head_rotation

if TYPE_CHECKING:
    from lineament.result.geometry import FaceGeometry

_NO_HEAD = "this method gives no head that can be animated: take one that gives coefficients of the rig"
_ALBEDO_SIDE = 512  # texels: the model's albedo is smooth


def has_head(estimate: CropEstimate) -> bool:
    """Whether a method said which head of the rig a face is."""
    return {"identity", "expression"} <= set(estimate.coefficients)


def head_of(estimate: CropEstimate) -> Head:
    """The head at rest, its expressions by ARKit's names, and which of them the photo shows.

    Raises:
        InputError: The method gives no such coefficients.
    """
    if not has_head(estimate):
        raise InputError(_NO_HEAD)
    rig, identity = shipped_rig(), estimate.coefficients["identity"]
    weights = zip(rig.expression_names, estimate.coefficients["expression"].tolist(), strict=True)
    return Head(
        vertices=rig.vertices(identity).astype(np.float64) + offsets_at_rest(estimate),
        triangles=rig.faces.astype(np.int64),
        uv=rig.uv.astype(np.float64),
        weld=rig.weld(),
        morphs=arkit_shapes(rig, identity),
        weights={arkit_name(name): weight for name, weight in weights},
    )


def head_texture_of(face: FaceGeometry, unlit: bool = False) -> HeadTexture:
    """What the photo shows of the head, on its atlas; the face without its shading, if it is to be lit anew.

    Raises:
        InputError: The method gives no head.
    """
    estimate = face.crop_estimate
    if not has_head(estimate) or estimate.mesh is None or estimate.mesh_places is None:
        raise InputError(
            "this method gives no head that a photo could be laid on: take one that gives coefficients of the rig"
        )
    picture = face.photo
    if unlit:
        shaded, picture = to_uint8(picture), face.albedo
        picture = np.where(picture.any(-1, keepdims=True), picture, shaded)  # hair and ears have no albedo
    return texture_of_head(picture, face.crop, face.region.parse, estimate.mesh, estimate.mesh_places)


def albedo_of(estimate: CropEstimate) -> NDArray[np.uint8]:
    """The model's albedo on the head's atlas, [T, T, 3] sRGB."""
    rig, chart = shipped_rig(), chart_of(_ALBEDO_SIDE)
    linear = rig.albedo_mean + np.tensordot(estimate.coefficients["albedo"], rig.albedo, 1)
    texels = chart.of(linear.clip(0.0, 1.0), rig.faces)
    return np.rint(255.0 * encode_srgb(texels)).astype(np.uint8)


def write_head_files(
    face: FaceGeometry, folder: Path, formats: Sequence[MeshFormat], unlit: bool = False
) -> dict[str, Any]:
    """Write a head, its coefficients, its camera and the maps of its atlas; return what ``face.json`` says of it.

    The GLB holds the head at rest with its shapes; other formats hold it as the photo shows it. Their texture is the
    photo or, ``unlit``, the photo without its shading.
    """
    own = face.crop_estimate
    head, texture, height = head_of(own), head_texture_of(face), own.displacement_map
    mesh = posed_mesh(face)
    colours = head_texture_of(face, unlit=True).colours if unlit else texture.colours
    normal_map = None if height is None else normal_map_of(head, height, len(texture.colours))
    files = write_meshes(folder, formats, head, mesh, colours, height, normal_map)
    (folder / "uv").mkdir(exist_ok=True)
    maps = _write_chart(own, folder / "uv")
    for name, picture in (("normals", normal_map), ("unlit", colours if unlit else None)):
        if picture is not None:
            write_png(folder / "uv" / f"{name}.png", picture)
            maps.append(f"uv/{name}.png")
    write_png(folder / "uv" / "texture.png", texture.colours)
    write_png(folder / "uv" / "visibility.png", np.rint(255.0 * texture.visibility).astype(np.uint8))
    write_png(folder / "uv" / "albedo.png", albedo_of(own))
    write_json(folder / "coefficients.json", _coefficients(own))
    write_json(folder / "camera.json", _camera(own, face.crop))
    return {
        "origin": "method",
        "files": [file.name for file in files],
        "unit": "millimetres of the statistical head; metres in GLB",
        "frame": f"GLB: upright, y up, facing +z, at rest, its default weights as in the photo; others: "
        f"{DESCRIPTIONS['opengl']}; the origin is the camera",
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.triangles),
        "shapes": list(head.morphs),
        "maps": ["uv/texture.png", "uv/visibility.png", "uv/albedo.png", *maps],
        "coefficients": "coefficients.json",
        "camera": "camera.json",
    }


def write_meshes(
    folder: Path,
    formats: Sequence[MeshFormat],
    head: Head,
    mesh: Mesh,
    colours: NDArray[np.uint8],
    height: NDArray[np.float32] | None,
    normal_map: NDArray[np.uint8] | None,
) -> list[Path]:
    """Write the files of a head: GLB as it can be animated, with a normal map, and what is no GLB as one mesh.

    Args:
        folder: A folder that is there.
        formats: Which files.
        head: The head at rest, for the GLB.
        mesh: Its vertices as other files are to hold them, mm.
        colours: [T, T, 3] its texture.
        height: [U, U] mm along the normals, on the face's chart, for STL.
        normal_map: [T, T, 3] for the GLB.
    """
    files: list[Path] = []
    for kind in formats:
        path = folder / f"mesh.{kind}"
        if kind == "glb":
            files.append(write_head(path, head, colours, normal_map))
        elif kind == "stl" and height is not None:
            files += write_mesh(path, raised(mesh, height))
        else:
            files += write_mesh(path, mesh, colours)
    return files


def _write_chart(estimate: CropEstimate, folder: Path) -> list[str]:
    """Write the maps of the face's chart that a method gives, as OpenEXR; return their names in the result."""
    vectors = ("X", "Y", "Z")
    frame = "mm, crop's camera frame: x right, y up, z towards the viewer"
    found = {
        "position": (estimate.position_map, vectors, frame),
        "deformation": (estimate.deformation_map, vectors, frame),
        "displacement": (estimate.displacement_map, ("Y",), "mm along the normal"),
    }
    written = []
    for name, (values, channels, unit) in found.items():
        if values is None:
            continue
        planes = np.atleast_3d(values)
        content = {channel: planes[..., number] for number, channel in enumerate(channels)}
        write_exr(folder / f"{name}.exr", content, {"unit": unit, "chart": "face, row 0 is v = 1"})
        written.append(f"uv/{name}.exr")
    return written


def posed_mesh(face: FaceGeometry) -> Mesh:
    """The head as the photo shows it, with the texture coordinates of its atlas, in the photo's camera frame."""
    estimate, rig = face.crop_estimate, shipped_rig()
    assert estimate.mesh is not None
    vertices = estimate.mesh.vertices @ face.crop.camera_turn.T
    return Mesh(vertices, estimate.mesh.triangles, rig.uv[rig.faces].astype(np.float64))


def _coefficients(estimate: CropEstimate) -> dict[str, Any]:
    """The content of ``coefficients.json``."""
    numbers = {name: np.round(values.astype(np.float64), 5).tolist() for name, values in estimate.coefficients.items()}
    numbers["expression"] = dict(zip(shipped_rig().expression_names, numbers["expression"], strict=True))
    units = {
        "identity": "standard deviations of the rig's components",
        "expression": "weights, 0 to 1",
        "albedo": "standard deviations of the rig's components, of linear reflectance",
        "angles": "radians about x, y, z in the crop: Rz · Rx · Ry takes the rig's frame to the camera's",
        "light": "spherical harmonics of the shading, nine for each of red, green, blue: [9, 3], in the crop's frame",
        "translation": "mm, of the rig's origin in the crop's camera frame",
    }
    return {"rig": "lineament-rig", "units": units, **numbers}


def _camera(estimate: CropEstimate, crop: FaceCrop) -> dict[str, Any]:
    """The content of ``camera.json``."""
    turn = crop.camera_turn
    rotation = turn @ head_rotation(estimate.coefficients["angles"])
    translation = turn @ (estimate.coefficients["translation"].astype(np.float64) - [0.0, 0.0, DISTANCE])
    return {
        "model": "pinhole at the origin that looks along -z; x right, y up, z towards the viewer",
        "focal_length": round(FOCAL * crop.side, 3),
        "principal_point": [round(value, 3) for value in crop.centre],
        "unit": "pixels of the photo, x right and y down, pixel centres at integer + 0.5",
        "origin_of_focal_length": "assumed: one photo does not tell it",
        "rotation": np.round(rotation, 6).tolist(),
        "translation": np.round(translation, 3).tolist(),
        "frame": "rotation · vertex + translation takes the head's own frame (mm) to the camera's",
    }
