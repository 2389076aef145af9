# SPDX-License-Identifier: Apache-2.0
"""Meshes and tables from strangers: read, or refused in one line, and never a hang."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lineament.datasets.meshes import read_mesh, read_points
from lineament.errors import DataError, InputError
from lineament.evaluation.systems.stored import landmarks_of, read_rows
from lineament.geometry.mesh import Mesh

PLY = """ply
format {kind} 1.0
comment {comment}
element vertex {count}
property float x
property float y
property float z
element face 1
property list uchar int vertex_indices
end_header
"""
BODY = "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
VRML = "#VRML V2.0 utf8\nShape {{ geometry IndexedFaceSet {{ coord Coordinate {{ point [ {points} ] }} {more} }} }}"
POINTS = "0 0 0, 1 0 0, 0 1 0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n# caf\xe9\ng t\xeate\nf 1 2 3\n"),
        ("m.off", "OFF\n# caf\xe9\n3 1 0\n" + BODY),
        ("m.ply", PLY.format(kind="ascii", comment="caf\xe9", count=3) + BODY),
        ("t.ply", PLY.format(kind="ascii", comment="TextureFile none.png", count=3) + BODY),
        ("m.wrl", "# caf\xe9\n" + VRML.format(points=POINTS, more="coordIndex [ 0 1 2 -1 ]")),
        # Texture coordinates that are no pairs are left out: the shape is whole.
        (
            "odd.wrl",
            VRML.format(points=POINTS, more="texCoord TextureCoordinate { point [ 0 0 1 ] } coordIndex [ 0 1 2 -1 ]"),
        ),
    ],
)
def test_other_encodings_and_odd_textures_are_read(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    mesh = read_mesh(tmp_path / name)
    assert np.array_equal(mesh.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert np.array_equal(mesh.triangles, [[0, 1, 2]])
    assert mesh.corner_uv is None


def test_an_stl_of_another_encoding_is_read(tmp_path: Path) -> None:
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    (tmp_path / "m.stl").write_bytes(f"solid caf\xe9\n{facet}endsolid\n".encode("latin-1"))
    assert read_mesh(tmp_path / "m.stl").vertices.shape == (3, 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nan.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("inf.obj", "v 0 0 1e999\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"),
        ("index.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"),
        ("none.obj", "nothing\n"),
        ("ascii.ply", PLY.format(kind="ascii", comment="", count=3 * 10**12) + BODY),
        ("binary.ply", PLY.format(kind="binary_little_endian", comment="", count=3 * 10**12) + BODY),
        ("count.off", "OFF\n99999999999 1 0\n" + BODY),
        ("index.wrl", VRML.format(points=POINTS, more="coordIndex [ 0 1 99999999999999999999 -1 ]")),
        ("beyond.wrl", VRML.format(points=POINTS, more="coordIndex [ 0 1 7 -1 ]")),
        ("inf.wrl", VRML.format(points="0 0 1e999, 1 0 0, 0 1 0", more="coordIndex [ 0 1 2 -1 ]")),
        ("odd.wrl", VRML.format(points="0 0 0, 1 0 0, 0 1", more="coordIndex [ 0 1 2 -1 ]")),
    ],
)
def test_damaged_meshes_are_refused_in_one_line(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as error:
        read_mesh(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
    if name.endswith((".obj",)) and name != "index.obj":
        with pytest.raises(DataError):
            read_points(tmp_path / name)


@pytest.mark.parametrize("suffix", ["obj", "ply", "stl", "off", "wrl"])
def test_pipes_folders_and_large_files_are_not_opened(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"folder.{suffix}").mkdir()
    paths = [tmp_path / f"folder.{suffix}", tmp_path / f"none.{suffix}"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / f"pipe.{suffix}")
        paths.append(tmp_path / f"pipe.{suffix}")
    for path in paths:
        with pytest.raises(DataError):
            read_mesh(path)
        with pytest.raises(DataError):
            read_points(path)
    with (tmp_path / f"large.{suffix}").open("wb") as file:
        file.truncate(1 << 30)  # of no blocks: only its length is asked

    def opened(*_: object) -> None:
        raise AssertionError("read before its size was asked")

    monkeypatch.setattr(Path, "read_bytes", opened)
    monkeypatch.setattr(Path, "read_text", opened)
    with pytest.raises(DataError, match="MB"):
        read_mesh(tmp_path / f"large.{suffix}")


def test_tables_are_finite_and_files(tmp_path: Path) -> None:
    path = tmp_path / "landmarks.txt"
    for text in ("1 2 nan\n", "1 2 inf\n", "a b c\n", "1 2 3\n4 5\n"):
        path.write_text(text)
        with pytest.raises(InputError) as error:
            read_rows(path)
        assert str(path) in str(error.value)
    path.write_bytes(b"1 2 \xff\n")
    with pytest.raises(InputError):
        read_rows(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.txt")
        with pytest.raises(InputError, match="named pipe"):
            read_rows(tmp_path / "pipe.txt")
    path.write_text("0.5, 1, 2\n3 4 5\n")
    assert read_rows(path).tolist() == [[0.5, 1, 2], [3, 4, 5]]
    mesh = Mesh(np.eye(3), np.array([[0, 1, 2]]))
    with pytest.raises(InputError):
        landmarks_of(np.zeros((0, 1)), mesh, path)
