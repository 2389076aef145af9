# SPDX-License-Identifier: Apache-2.0
"""The animatable head: its texture is what the photo shows, its files say where it stands."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import trimesh
from numpy.typing import NDArray

import lineament
from lineament.annotations.parsing import MaskClass
from lineament.errors import InputError
from lineament.face import FaceCrop
from lineament.geometry.camera import Perspective
from lineament.geometry.head import Head
from lineament.geometry.mesh import Mesh
from lineament.methods.hrn.coefficients import SIZES
from lineament.methods.hrn.head import mesh_of
from lineament.result.head import head_of
from lineament.result.head_detail import normal_map_of, raised
from lineament.result.head_texture import chart_of, texture_of_head
from lineament.rig import Part, load_rig
from lineament.rig.posing import FOCAL

SIDE = 256
BOX = [(174.0, 72.0, 96.0, 96.0)]


def photographed(yaw: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, object]]:
    """A photo whose colours say where it is, a parse that calls all of it skin, and the mean head before it."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    photo = np.stack([columns * 255 // SIDE, rows * 255 // SIDE, np.full_like(rows, 90)], -1).astype(np.uint8)
    parse = np.full((SIDE, SIDE), int(MaskClass.SKIN), np.uint8)
    none = {name: np.zeros(size, np.float32) for name, size in SIZES.items()}
    mesh = mesh_of(load_rig(), {**none, "angles": np.array([0.0, yaw, 0.0], np.float32)})
    places = Perspective(FOCAL, (0.5, 0.5)).project(mesh.vertices)
    return photo, parse, {"mesh": mesh, "places": places}


def test_what_is_seen_has_the_photos_colours() -> None:
    photo, parse, head = photographed(0.0)
    texture = texture_of_head(photo, FaceCrop(0.0, 0.0, SIDE, SIDE), parse, side=256, **head)
    rig, chart = load_rig(), chart_of(256)
    seen = (texture.visibility > 0.99) & (rig.face_part[chart.triangle.clip(0)] == Part.FACE)
    assert seen.mean() > 0.15
    places = chart.of(head["places"], rig.faces)[seen]
    found = texture.colours[seen].astype(float)
    assert np.abs(found[:, 0] - 255 * places[:, 0]).mean() < 2.5
    assert np.abs(found[:, 1] - 255 * places[:, 1]).mean() < 2.5


def test_the_hidden_half_is_filled_from_the_other() -> None:
    photo, parse, head = photographed(0.7)  # to the image's right: the head's own left side is hidden
    texture = texture_of_head(photo, FaceCrop(0.0, 0.0, SIDE, SIDE), parse, side=256, **head)
    rig, chart = load_rig(), chart_of(256)
    rest = chart.of(rig.mean, rig.faces)
    cheek = (rig.face_part[chart.triangle.clip(0)] == Part.FACE) & (np.abs(rest[..., 1]) < 40) & (chart.triangle >= 0)
    left, right = cheek & (rest[..., 0] > 45), cheek & (rest[..., 0] < -45)
    assert texture.visibility[right].mean() > 0.7
    assert texture.visibility[left].mean() < 0.2
    assert texture.colours[left].min() > 0  # nothing is left black
    assert texture.colours[left][:, 2].astype(float) == pytest.approx(90.0, abs=12.0)


def test_what_is_no_skin_is_not_laid_on_the_face() -> None:
    photo, parse, head = photographed(0.0)
    parse[:, : SIDE // 2] = int(MaskClass.OTHER)  # a hand before one half
    photo[:, : SIDE // 2] = (0, 0, 255)
    texture = texture_of_head(photo, FaceCrop(0.0, 0.0, SIDE, SIDE), parse, side=256, **head)
    rig, chart = load_rig(), chart_of(256)
    rest = chart.of(rig.mean, rig.faces)
    covered = (rig.face_part[chart.triangle.clip(0)] == Part.FACE) & (rest[..., 0] < -15) & (chart.triangle >= 0)
    assert texture.visibility[covered].max() < 0.1
    assert texture.colours[covered][:, 2].mean() < 130  # not the hand's blue


def test_files_of_a_head(hrn_weights: Path, tmp_path: Path) -> None:
    from skimage import data

    photo = data.astronaut()
    (face,) = lineament.load(hrn_weights).estimate(photo, BOX)
    out = face.save(tmp_path / "out", outputs=("normals", "mesh", "albedo"), mesh_formats=("glb", "obj", "stl"))
    said = json.loads((out / "face.json").read_text())["mesh"]
    rig = load_rig()
    assert said["files"][0] == "mesh.glb"
    assert "jawOpen" in said["shapes"]
    (mesh,) = trimesh.load(out / "mesh.glb", process=False).geometry.values()
    assert len(mesh.vertices) == rig.vertex_count
    assert np.abs(1000.0 * mesh.vertices - head_of(face.crop_estimate).vertices).max() < 1e-3
    assert 0.2 < mesh.extents[1] < 0.5  # metres
    coefficients = json.loads((out / "coefficients.json").read_text())
    assert set(coefficients["expression"]) == set(rig.expression_names)
    assert len(coefficients["light"]) == 27
    for name in ("texture", "visibility", "albedo", "normals"):
        assert cv2.imread(str(out / "uv" / f"{name}.png")) is not None
    assert {"uv/position.exr", "uv/deformation.exr", "uv/displacement.exr"} <= set(said["maps"])
    with OpenEXR.File(str(out / "uv" / "deformation.exr")) as file:
        assert np.array_equal(file.channels()["Z"].pixels, face.crop_estimate.deformation_map[..., 2])
    # With the albedo, the mesh can be lit anew: its texture has no shading.
    unlit = cv2.imread(str(out / "uv" / "unlit.png"))[..., ::-1]
    assert np.abs(unlit.astype(int) - cv2.imread(str(out / "uv" / "texture.png"))[..., ::-1]).mean() > 1.0
    picture = np.asarray(mesh.visual.material.baseColorTexture)[..., :3].astype(int)
    assert np.abs(picture - unlit).mean() < 3.0  # JPEG
    printed = trimesh.load(out / "mesh.stl", process=False)
    assert len(printed.faces) == 16 * len(rig.faces)
    # The camera's file puts the head where the landmarks of the mesh lie in the photo.
    camera = json.loads((out / "camera.json").read_text())
    head = head_of(face.crop_estimate).mesh
    seen = head.vertices @ np.array(camera["rotation"]).T + camera["translation"]
    places = Perspective(camera["focal_length"], tuple(camera["principal_point"])).project(seen)
    known = face.crop.to_photo(face.crop_estimate.mesh_places * face.crop.size)
    skin = rig.part <= Part.NECK
    assert np.abs(places - known)[skin].max() < 0.1


def test_relief_is_in_the_normal_map_and_in_the_raised_mesh() -> None:
    rig = load_rig()
    head = Head(rig.mean.astype(np.float64), rig.faces.astype(np.int64), rig.uv.astype(np.float64), rig.weld())
    row, column = np.mgrid[:256, :256] + 0.5
    cheek = np.array([60.0, 150.0])  # texels to the right and down: smooth skin beside the nose
    bump = (2.0 * np.exp(-((column - cheek[0]) ** 2 + (row - cheek[1]) ** 2) / 50.0)).astype(np.float32)
    flat = normal_map_of(head, np.zeros_like(bump), 256)
    assert np.abs(flat.astype(int) - [128, 128, 255]).max() <= 1
    bumped = normal_map_of(head, bump, 512)
    tilted = np.abs(bumped.astype(int) - [128, 128, 255]).max(-1) > 20
    assert 0.0005 < tilted.mean() < 0.02  # around the bump alone
    mesh = Mesh(head.vertices, head.triangles)
    plain, raised_mesh = raised(mesh, np.zeros_like(bump)), raised(mesh, bump)
    away = np.linalg.norm(raised_mesh.vertices - plain.vertices, axis=1)
    assert away.max() == pytest.approx(2.0, abs=0.3)
    assert (away > 0.01).mean() < 0.05
    middle = plain.vertices[away.argmax()]
    assert middle[0] < -15.0  # the chart's left is the head's x below zero
    assert (raised_mesh.vertices - plain.vertices)[away.argmax()] @ middle > 0.0  # outwards


def test_other_methods_have_no_head() -> None:
    from skimage import data

    (face,) = lineament.estimate(data.astronaut(), BOX)
    with pytest.raises(InputError, match="no head"):
        head_of(face.crop_estimate)
