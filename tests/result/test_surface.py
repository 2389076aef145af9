# SPDX-License-Identifier: Apache-2.0
"""From normals in a crop to depth in the photo and a mesh in millimetres, on an ellipsoid, and by command."""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import trimesh
from skimage import data

import lineament
from lineament.alignment.scale import average_landmarks, pixels_per_millimetre
from lineament.cli import main
from lineament.errors import InputError
from lineament.face import FaceCrop, Pose
from lineament.face.paste import FaceRegion
from lineament.geometry import angular_error, depth_to_normals
from lineament.geometry.mesh import Mesh, triangle_normals, vertex_normals
from lineament.result import albedo
from lineament.result.crop_estimate import CropEstimate
from lineament.result.geometry import FaceGeometry
from lineament.result.mesh_files import frontal, tangent_normals
from lineament.result.surface import FaceSurface, texture

SCALE = 1.5  # px of the photo per mm


def ellipsoid(crop: FaceCrop) -> tuple[FaceSurface, np.ndarray]:
    """The surface of an ellipsoid with half axes of 90, 120 and 60 px in the photo, seen by a crop; its photo mask."""
    height, width = 400, 500
    half = np.array([90.0, 120.0, 60.0])

    def height_at(points: np.ndarray) -> np.ndarray:
        x, y = points[..., 0] - 260.0, 190.0 - points[..., 1]
        return half[2] * np.sqrt(np.clip(1 - (x / half[0]) ** 2 - (y / half[1]) ** 2, 0, None))

    grid = np.stack(np.meshgrid(np.arange(crop.size) + 0.5, np.arange(crop.size) + 0.5), -1)
    places = crop.to_photo(grid)
    z = height_at(places)
    x, y = places[..., 0] - 260.0, 190.0 - places[..., 1]
    normals = np.stack([x, y, z], -1) / half**2
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    mask = z > 0.45 * half[2]
    landmarks = SCALE * average_landmarks()[:, :2] * [1.0, -1.0] + [260.0, 190.0]
    estimate = CropEstimate((crop.normals_to_crop(normals.astype(np.float32)),))
    surface = FaceSurface.of(estimate, mask, crop, pixels_per_millimetre(landmarks))
    rows, columns = np.mgrid[:height, :width] + 0.5
    return surface, height_at(np.stack([columns, rows], -1))


def region_like(surface: FaceSurface, mask: np.ndarray) -> FaceRegion:
    """Where a face is in the photo whose mask is given."""
    height, width = mask.shape
    x, y, w, h = surface.crop.place(height, width)
    part = mask[y : y + h, x : x + w]
    return FaceRegion(
        surface.crop, height, width, np.zeros(part.shape, np.uint8), part, surface.crop_mask.astype(np.float32)
    )


@pytest.mark.parametrize("roll", [0.0, 25.0, -100.0])
def test_depth_lies_in_the_photos_frame(roll: float) -> None:
    surface, truth = ellipsoid(FaceCrop(110.0, 40.0, 300.0, 128, roll))
    mask = truth > 0.6 * 60.0
    depth = surface.depth(region_like(surface, mask))
    assert (depth[~mask] == 0).all()
    difference = (depth - truth)[mask]
    assert np.abs(difference - difference.mean()).max() < 1.5  # of 60 px
    again, wanted = depth_to_normals(depth, mask), depth_to_normals(truth, mask)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0
    assert angular_error(again[inner], wanted[inner]).mean() < 0.5
    assert surface.disagreement < 1.0
    assert surface.scale == pytest.approx(SCALE, rel=1e-6)


@pytest.mark.parametrize("roll", [0.0, 25.0])
def test_the_mesh_is_in_millimetres_and_right_way_up(roll: float) -> None:
    crop = FaceCrop(110.0, 40.0, 300.0, 128, roll)
    surface, truth = ellipsoid(crop)
    mesh = surface.mesh(*truth.shape)
    assert (triangle_normals(mesh)[:, 2] > 0).all()
    centred = mesh.vertices * SCALE  # in pixels, the crop's middle at (260, 190)
    x, y = centred[:, 0], centred[:, 1]
    z = 60.0 * np.sqrt(1 - (x / 90) ** 2 - (y / 120) ** 2)
    assert np.abs((centred[:, 2] - z) - (centred[:, 2] - z).mean()).max() < 1.5
    photo = np.zeros((*truth.shape, 3), np.uint8)
    photo[:190, :, 0], photo[:, 260:, 1] = 255, 255  # red above, green on the right
    picture = texture(photo, crop)
    assert mesh.corner_uv is not None
    corners = mesh.vertices[mesh.triangles].reshape(-1, 3)
    uv = mesh.corner_uv.reshape(-1, 2)
    column = (uv[:, 0] * picture.shape[1]).astype(int).clip(0, picture.shape[1] - 1)
    row = ((1 - uv[:, 1]) * picture.shape[0]).astype(int).clip(0, picture.shape[0] - 1)
    seen = picture[row, column]
    clear = (np.abs(corners[:, :2]) > 2).all(1)
    assert ((seen[:, 0] > 127) == (corners[:, 1] > 0))[clear].all()
    assert ((seen[:, 1] > 127) == (corners[:, 0] > 0))[clear].all()


def test_glasses_do_not_part_the_surface() -> None:
    crop = FaceCrop(110.0, 40.0, 300.0, 128)
    surface, _ = ellipsoid(crop)
    normals = depth_to_normals(surface.crop_depth * crop.scale, surface.crop_mask)
    parted = surface.crop_mask.copy()
    parted[44:48] = False  # a frame from ear to ear
    again = FaceSurface.of(CropEstimate((normals,)), parted, crop, SCALE)
    difference = (again.crop_depth - surface.crop_depth)[parted]
    assert np.abs(difference - difference.mean()).max() < 1.0  # px of 60
    assert (again.crop_depth[~parted] == 0).all()


def test_depth_comes_in_strips_within_its_bounds() -> None:
    crop = FaceCrop(110.0, 40.0, 300.0, 128, 25.0)
    surface, truth = ellipsoid(crop)
    region = region_like(surface, truth > 0.6 * 60.0)
    whole = surface.depth(region)
    strips = list(surface.strips(region))
    assert len(strips) > 1
    assert max(len(strip) for _, strip, _ in strips) <= 256
    low, high = surface.bounds
    assert low <= whole[region.whole(region.mask)].min()
    assert whole.max() <= high
    rows = np.concatenate(list(region.whole_rows(iter(strips), np.float32)))
    assert np.array_equal(rows, whole)


def own_depth(crop: FaceCrop) -> tuple[CropEstimate, np.ndarray]:
    """What a method that gives depth says of an ellipsoid, in shares of the crop's side, and its mask."""
    surface, _ = ellipsoid(crop)
    depth = np.asarray(surface.crop_depth / crop.side + 0.3, np.float32)
    normals = depth_to_normals(crop.size * depth, surface.crop_mask)
    return CropEstimate((normals,), depths=(depth,)), surface.crop_mask


def test_a_methods_own_depth_is_taken_as_it_is() -> None:
    crop = FaceCrop(110.0, 40.0, 300.0, 128)
    estimate, mask = own_depth(crop)
    surface = FaceSurface.of(estimate, mask, crop, SCALE)
    pixels = estimate.depths[-1] * np.float32(crop.side)
    assert surface.origin == "method"
    assert np.array_equal(surface.crop_depth, np.where(mask, pixels - pixels[mask].mean(), np.float32(0)))
    assert surface.disagreement < 1e-3
    assert FaceSurface.of(CropEstimate(estimate.normals), mask, crop, SCALE).origin == "integrated from normals"


@pytest.mark.parametrize("turns", [0, 1])
def test_a_methods_own_mesh_and_albedo_reach_the_files(
    turns: int, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = lineament.Options(second_view=False, fine_crop=False)
    box = (72, 242, 96, 96) if turns else (174, 72, 96, 96)  # of the face that lies on its side
    photo = np.ascontiguousarray(np.rot90(data.astronaut(), turns))
    (face,) = lineament.load(str(tiny_weights), options=options).estimate(photo, [box])
    crop = face.crop
    assert abs(crop.roll + 90 * turns) < 10
    mesh = Mesh(np.array([[-40.0, 0, 0], [40.0, 0, 0], [0, 60.0, 10]]), np.array([[0, 1, 2]]))
    places = np.array([[0.3, 0.5], [0.7, 0.5], [0.5, 0.2]])
    red = np.zeros((crop.size, crop.size, 3), np.float32) + np.float32([0.9, 0.2, 0.2])
    own = replace(face.crop_estimate, mesh=mesh, mesh_places=places, albedo=red)
    face = replace(face, crop_estimate=own)
    found = face.mesh()
    cosine, sine = np.cos(np.radians(crop.roll)), np.sin(np.radians(crop.roll))  # clockwise as seen
    assert np.allclose(found.vertices[1], [40 * cosine, -40 * sine, 0])
    assert np.allclose(found.vertices[:, 2], [0, 0, 10])
    x, y, w, h = crop.place(512, 512)
    pixels = crop.to_photo(places * crop.size)
    assert found.corner_uv is not None
    assert np.allclose(found.corner_uv[0] * [w, h], (pixels - [x, y]) * [1, -1] + [0, h])
    monkeypatch.setattr(albedo, "shipped_albedo", None)  # not asked
    folder = face.save(tmp_path / "out", outputs=("mesh", "albedo"), mesh_formats=("ply",))
    said = json.loads((folder / "face.json").read_text())
    assert said["mesh"]["origin"] == said["albedo"]["origin"] == "method"
    assert said["mesh"]["vertices"] == 3
    read = trimesh.load(folder / "mesh.ply", process=False)
    assert np.allclose(read.vertices, found.vertices, atol=1e-4)


def test_saving_makes_no_map_of_floats_as_large_as_the_photo(
    tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (face,) = lineament.load(str(tiny_weights)).estimate(data.astronaut())
    for name in ("normals", "depth", "albedo", "uncertainty"):
        monkeypatch.setattr(FaceGeometry, name, property(lambda self: pytest.fail("a map as large as the photo")))
    folder = face.save(tmp_path / "out", outputs=("depth", "mesh", "albedo"))
    assert {"depth.exr", "depth.png", "albedo.png", "mesh.glb"} <= {path.name for path in folder.iterdir()}


def test_a_crop_without_a_face_has_no_surface() -> None:
    estimate, mask = CropEstimate((np.zeros((64, 64, 3), np.float32),)), np.zeros((64, 64), bool)
    with pytest.raises(InputError, match="no face in the crop"):
        FaceSurface.of(estimate, mask, FaceCrop(0, 0, 64, 64), 1.0)


def test_depth_and_meshes_by_command(tiny_weights: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), data.astronaut()[..., ::-1])
    words = ["estimate", str(photo), "-o", str(tmp_path / "out"), "--method", str(tiny_weights), "--no-fine-crop"]
    assert main([*words, "--outputs", "depth,mesh", "--mesh-formats", "glb,obj,ply"]) == 0
    folder = tmp_path / "out" / "photo"
    said = json.loads((folder / "face.json").read_text())
    face = lineament.load(str(tiny_weights)).estimate(data.astronaut(), options=lineament.Options(fine_crop=False))[0]
    levels = cv2.imread(str(folder / "depth.png"), cv2.IMREAD_UNCHANGED)
    assert levels.dtype == np.uint16
    assert np.array_equal(levels > 0, face.mask)
    decoded = said["depth"]["offset"] + said["depth"]["step"] * levels
    assert np.abs(decoded - face.depth)[face.mask].max() < 2 * said["depth"]["step"]
    stored = OpenEXR.File(str(folder / "depth.exr")).channels()["Z"].pixels
    assert np.abs(stored - face.depth).max() < 1e-4
    for name in ("mesh.glb", "mesh.obj", "mesh.ply"):
        assert name in said["mesh"]["files"]
        read = trimesh.load(folder / name, force="mesh", process=False)
        assert len(read.faces) == said["mesh"]["triangles"]
        height = np.ptp(read.vertices[:, 1]) * (1000.0 if name.endswith("glb") else 1.0)
        assert 100 < height < 300  # mm, a face
    (shown,) = trimesh.load(folder / "mesh.glb", process=False).geometry.values()
    assert shown.visual.material.normalTexture is not None
    assert (shown.visual.uv >= 0).all()
    assert (shown.visual.uv <= 1).all()
    place = said["mesh"]["texture"]["shows"]
    texture = data.astronaut()[place["y"] : place["y"] + place["height"], place["x"] : place["x"] + place["width"]]
    assert np.array_equal(np.asarray(shown.visual.material.baseColorTexture.convert("RGB")), texture)
    plain = tmp_path / "plain"
    assert main([*words[:2], "-o", str(plain), *words[4:]]) == 0
    assert not list((plain / "photo").glob("depth*")) + list((plain / "photo").glob("mesh*"))


def test_a_frontal_mesh_looks_at_the_viewer() -> None:
    pose = Pose(yaw=35.0, pitch=-10.0, roll=20.0)
    flat = Mesh(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.array([[0, 1, 2]]))
    turned = Mesh(flat.vertices @ pose.rotation.T, flat.triangles)
    assert astuple(Pose.of_rotation(pose.rotation)) == pytest.approx(astuple(pose))
    assert not np.allclose(vertex_normals(turned)[0], [0.0, 0.0, 1.0], atol=0.1)
    assert np.allclose(frontal(turned, pose).vertices, flat.vertices)


def test_albedo_is_the_texture_where_it_was_asked_for(tiny_weights: Path, tmp_path: Path) -> None:
    (face,) = lineament.load(str(tiny_weights)).estimate(data.astronaut(), options=lineament.Options(fine_crop=False))
    folder = face.save(tmp_path / "out", outputs=("mesh", "albedo"), mesh_pose="frontal")
    said = json.loads((folder / "face.json").read_text())["mesh"]
    assert (said["pose"], said["texture"]["of"]) == ("frontal", "albedo.png")
    (shown,) = trimesh.load(folder / "mesh.glb", process=False).geometry.values()
    place = said["texture"]["shows"]
    albedo = cv2.imread(str(folder / "albedo.png"))[..., ::-1]
    part = albedo[place["y"] : place["y"] + place["height"], place["x"] : place["x"] + place["width"]]
    assert np.array_equal(np.asarray(shown.visual.material.baseColorTexture.convert("RGB")), part)


def test_a_normal_map_adds_what_the_surface_lacks(tiny_weights: Path) -> None:
    (face,) = lineament.load(str(tiny_weights)).estimate(data.astronaut(), options=lineament.Options(fine_crop=False))
    x, y, w, h = face.crop.place(512, 512)
    bumps = tangent_normals(face, h, w).astype(np.float32) / 127.5 - 1.0
    base = face.crop.normals_to_photo(depth_to_normals(face.surface.crop_depth * face.crop.scale, face.region.in_crop))
    smooth = face.region.whole(np.zeros_like(face.region.mask, np.float32))[..., None].repeat(3, -1)
    face.region.fill(base, smooth)
    along = np.array([1.0, 0.0, 0.0]) - smooth * smooth[..., :1]
    along /= np.linalg.norm(along, axis=-1, keepdims=True).clip(1e-6)
    frames = np.stack([along, np.cross(smooth, along), smooth], axis=-2)[y : y + h, x : x + w]
    again = np.einsum("ijk,ijkl->ijl", bumps, frames)
    inner = cv2.erode(face.mask.astype(np.uint8), np.ones((15, 15)))[y : y + h, x : x + w] > 0
    wanted = face.normals[y : y + h, x : x + w]
    assert (
        angular_error(again[inner], wanted[inner]).mean()
        < 0.5 * angular_error(smooth[y : y + h, x : x + w][inner], wanted[inner]).mean()
    )


def test_a_base_mesh_takes_over_the_faces_normals() -> None:
    face = lineament.load().estimate(data.astronaut(), options=lineament.Options(fine_crop=False))[0]
    own = face.mesh()
    pixels = own.vertices[:, :2] * face.surface.scale * [1.0, -1.0] + np.array(face.crop.centre)
    x, y, z = own.vertices.T
    bowl = np.stack([np.ones_like(x), x, y, x**2, x * y, y**2], -1)
    smooth = Mesh(np.stack([x, y, bowl @ np.linalg.lstsq(bowl, z, rcond=None)[0]], -1), own.triangles)
    wanted = vertex_normals(own)
    before = angular_error(vertex_normals(smooth), wanted).mean()
    enhanced = face.enhance(smooth, pixels)
    assert before > 10
    assert angular_error(vertex_normals(enhanced), wanted).mean() < 0.6 * before
    moved = np.abs(enhanced.vertices - smooth.vertices).max(axis=1)
    assert 10 < np.quantile(moved, 0.999) < 16  # mm: the nose grows out of the bowl
    away = face.enhance(Mesh(smooth.vertices, smooth.triangles[:, ::-1]), pixels)
    assert np.allclose(away.vertices, smooth.vertices)  # it looks away from the camera
    with pytest.raises(InputError, match="do not belong"):
        face.enhance(smooth, pixels[:-1])
