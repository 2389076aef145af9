# SPDX-License-Identifier: Apache-2.0
"""Meshes are read back as they were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from lineament.errors import OutputError, UsageError
from lineament.geometry.mesh import Mesh, depth_to_mesh, triangle_normals
from lineament.images.mesh import write_mesh


def ramp() -> tuple[Mesh, np.ndarray]:
    """A slope with a texture: red on the left, blue on the right, brighter above."""
    mesh = depth_to_mesh(np.tile(np.arange(12.0) * 0.5, (9, 1)))
    texture = np.zeros((90, 120, 3), np.uint8)
    texture[:, :60, 0] = texture[:, 60:, 2] = 200
    texture[:45, :, 1] = 100
    return mesh, texture


def loaded(path: Path) -> trimesh.Trimesh:
    """A mesh in millimetres: glTF's unit is the metre."""
    mesh = trimesh.load(path, force="mesh", process=False)
    return mesh.apply_scale(1000.0) if path.suffix == ".glb" else mesh


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_meshes_are_read_back(kind: str, tmp_path: Path) -> None:
    mesh, texture = ramp()
    files = write_mesh(tmp_path / f"face.{kind}", mesh, texture)
    assert sorted(files) == sorted(tmp_path.iterdir())  # and nothing temporary
    read = loaded(tmp_path / f"face.{kind}")
    assert len(read.faces) == len(mesh.triangles)
    assert np.allclose(read.bounds, [mesh.vertices.min(0), mesh.vertices.max(0)], atol=1e-4)
    assert np.allclose(np.sort(read.area_faces), np.sort(np.linalg.norm(triangle_normals(mesh), axis=1) / 2), atol=1e-4)
    assert (read.face_normals[:, 2] > 0).all()  # none is flipped
    colours = read.visual.vertex_colors if kind == "ply" else read.visual.to_color().vertex_colors
    left, above = read.vertices[:, 0] < 5.9, read.vertices[:, 1] > -4.4
    assert (colours[left, 0] > 150).all()
    assert (colours[~left, 0] < 50).all()
    assert (colours[above & left, 1] > 80).mean() > 0.8  # the texture stands the right way up
    assert (colours[~above & left, 1] < 20).mean() > 0.7


@pytest.mark.parametrize("kind", ["glb", "obj", "ply"])
def test_meshes_without_a_texture_and_with_seams(kind: str, tmp_path: Path) -> None:
    mesh, texture = ramp()
    write_mesh(tmp_path / f"plain.{kind}", Mesh(mesh.vertices, mesh.triangles))
    assert len(loaded(tmp_path / f"plain.{kind}").vertices) == len(mesh.vertices)
    assert mesh.corner_uv is not None
    seam = Mesh(mesh.vertices, mesh.triangles, mesh.corner_uv * np.linspace(0.1, 1, len(mesh.triangles))[:, None, None])
    write_mesh(tmp_path / f"seam.{kind}", seam, texture)
    assert len(loaded(tmp_path / f"seam.{kind}").faces) == len(mesh.triangles)


def test_a_glb_takes_a_normal_map(tmp_path: Path) -> None:
    mesh, texture = ramp()
    bumps = np.full((90, 120, 3), (128, 128, 255), np.uint8)
    bumps[:45] = (90, 128, 250)
    write_mesh(tmp_path / "face.glb", mesh, texture, bumps)
    (read,) = trimesh.load(tmp_path / "face.glb", process=False).geometry.values()
    assert np.array_equal(np.asarray(read.visual.material.normalTexture.convert("RGB")), bumps)
    assert np.array_equal(np.asarray(read.visual.material.baseColorTexture.convert("RGB")), texture)


def test_stl_holds_the_shape(tmp_path: Path) -> None:
    mesh, texture = ramp()
    write_mesh(tmp_path / "face.stl", mesh, texture)
    read = loaded(tmp_path / "face.stl")
    assert len(read.faces) == len(mesh.triangles)
    assert np.allclose(read.bounds, [mesh.vertices.min(0), mesh.vertices.max(0)], atol=1e-4)


def test_an_obj_shows_its_texture_as_it_is(tmp_path: Path) -> None:
    write_mesh(tmp_path / "face.obj", *ramp())
    lines = [line.split() for line in (tmp_path / "face.mtl").read_text().splitlines() if line]
    colours = {words[0]: list(map(float, words[1:])) for words in lines if words[0] in ("Ka", "Kd", "Ks")}
    assert colours["Kd"] == [1, 1, 1]
    assert colours["Ks"] == [0, 0, 0]
    assert ["map_Kd", "face.png"] in lines


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    mesh, _ = ramp()
    with pytest.raises(UsageError, match="glb, obj, ply, stl"):
        write_mesh(tmp_path / "face.fbx", mesh)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_mesh(tmp_path / "file" / "face.glb", mesh)
