# SPDX-License-Identifier: Apache-2.0
"""The rig as an object and as a file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from lineament.errors import LineamentError
from lineament.rig import DEFAULT_RIG_PATH, Rig, RigFileError, load_rig, save_rig
from lineament.rig.io import FORMAT_NAME
from lineament.rig.model import RigShapeError


@pytest.fixture
def triangle_rig() -> Rig:
    """A rig of one triangle, two identity components and one expression."""
    rng = np.random.default_rng(1)
    return Rig(
        mean=rng.normal(size=(3, 3)).astype(np.float32),
        faces=np.array([[0, 1, 2]], np.int32),
        uv=np.array([[0, 0], [1, 0], [0, 1]], np.float32),
        part=np.zeros(3, np.uint8),
        face_part=np.zeros(1, np.uint8),
        identity=rng.normal(size=(2, 3, 3)).astype(np.float32),
        identity_std=np.ones(2, np.float32),
        expression=rng.normal(size=(1, 3, 3)).astype(np.float32),
        expression_names=("jawOpen",),
        expression_std=np.full(1, 0.3, np.float32),
        landmarks=np.zeros(68, np.int32),
        eye_centre=np.zeros((2, 3), np.float32),
        eye_radius=np.ones(2, np.float32),
        iris_radius=5.9,
        face_uv=np.array([[0, 0], [1, 0], [0, 1]], np.float32),
        on_chart=np.ones(1, np.bool_),
        contour=np.tile(np.array([0, 1, 2], np.int32), (17, 1)),
        albedo_mean=np.full((3, 3), 0.4, np.float32),
        albedo=rng.normal(size=(2, 3, 3)).astype(np.float16).astype(np.float32),
        regions={"lip": np.arange(3, dtype=np.float32)},
        metadata={"notice": "a notice"},
    )


def test_vertices_are_mean_plus_offsets(triangle_rig):
    rig = triangle_rig
    np.testing.assert_array_equal(rig.vertices(), rig.mean)
    single = rig.vertices([1.0, -2.0], [0.5])
    wanted = rig.mean + rig.identity[0] - 2.0 * rig.identity[1] + 0.5 * rig.expression[0]
    np.testing.assert_allclose(single, wanted, atol=1e-6)
    batch = rig.vertices([[1.0, -2.0], [0.0, 0.0]], [[0.5], [0.0]])
    assert batch.shape == (2, 3, 3)
    np.testing.assert_allclose(batch[0], wanted, atol=1e-6)
    np.testing.assert_allclose(batch[1], rig.mean, atol=1e-6)
    np.testing.assert_allclose(rig.vertices([1.0]), rig.mean + rig.identity[0], atol=1e-6)
    assert rig.vertices([1.0], [[0.1], [0.2], [0.3]]).shape == (3, 3, 3)


def test_wrong_coefficients_are_refused(triangle_rig):
    with pytest.raises(RigShapeError, match=r"identity coefficients have shape \(1, 3\)"):
        triangle_rig.vertices([0.0, 0.0, 0.0])
    with pytest.raises(RigShapeError, match="2 identities and 3 expressions"):
        triangle_rig.vertices(np.zeros((2, 2)), np.zeros((3, 1)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("uv", np.zeros((2, 2), np.float32)),
        ("identity", np.zeros((2, 4, 3), np.float32)),
        ("landmarks", np.zeros(5, np.int32)),
        ("faces", np.array([[0, 1, 3]], np.int32)),
        ("regions", {"lip": np.zeros(4, np.float32)}),
        ("expression_names", ("a", "b")),
    ],
)
def test_arrays_that_do_not_fit_are_named(triangle_rig, name, value):
    with pytest.raises(RigShapeError, match=name.removesuffix("_names")):
        dataclasses.replace(triangle_rig, **{name: value})


def test_round_trip_through_a_file(triangle_rig, tmp_path):
    path = tmp_path / "folder" / "rig.safetensors"
    save_rig(triangle_rig, path)
    again = load_rig(path)
    for field in dataclasses.fields(Rig):
        before, after = getattr(triangle_rig, field.name), getattr(again, field.name)
        if field.name in ("identity", "expression"):
            np.testing.assert_allclose(after, before, rtol=1e-3)
            assert after.dtype == np.float32
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(after, before)
            assert after.dtype == before.dtype
    assert again.expression_names == ("jawOpen",)
    assert again.iris_radius == 5.9
    np.testing.assert_array_equal(again.regions["lip"], [0, 1, 2])
    assert again.metadata["notice"] == "a notice"
    # Saving what was read changes nothing any more.
    save_rig(again, tmp_path / "second.safetensors")
    assert (tmp_path / "second.safetensors").stat().st_size == path.stat().st_size
    np.testing.assert_array_equal(load_rig(tmp_path / "second.safetensors").identity, again.identity)


def test_bad_files_are_refused_with_their_name(triangle_rig, tmp_path):
    with pytest.raises(LineamentError, match=r"no rig file at .*nowhere"):
        load_rig(tmp_path / "nowhere.safetensors")
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"\xff" * 100)
    with pytest.raises(RigFileError, match="garbage"):
        load_rig(garbage)
    good = tmp_path / "good.safetensors"
    save_rig(triangle_rig, good)
    header = {
        "format": FORMAT_NAME,
        "format_version": "2",
        "landmark_order": "ibug-68",
        "expression_names": '["jawOpen"]',
        "iris_radius": "5.9",
    }
    tensors = load_file(good)
    for change, message in (
        ({"format": "other"}, "not a lineament-rig file"),
        ({"format_version": "99"}, "version '99'"),
        ({"landmark_order": "dlib"}, "'dlib'"),
        ({"iris_radius": "wide"}, "broken header"),
        ({"expression_names": '["a", "b"]'}, "expression has shape"),
    ):
        save_file(tensors, tmp_path / "bad.safetensors", metadata={**header, **change})
        with pytest.raises(LineamentError, match=message):
            load_rig(tmp_path / "bad.safetensors")
    del tensors["uv"]
    save_file(tensors, tmp_path / "bad.safetensors", metadata=header)
    with pytest.raises(RigFileError, match="lacks the tensors uv"):
        load_rig(tmp_path / "bad.safetensors")


def test_reading_needs_numpy_only():
    import subprocess
    import sys

    code = (
        "import sys, lineament.rig as r; r.load_rig(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'scipy', 'cv2', 'trimesh')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_shipped_file_is_small():
    assert DEFAULT_RIG_PATH.stat().st_size < 12 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("mean", np.array([[0, 0, np.nan], [1, 0, 0], [0, 1, 0]], np.float32), "'mean' has values that are not finite"),
        ("identity", np.full((2, 3, 3), np.inf, np.float16), "'identity' has values that are not finite"),
        ("faces", np.array([[0, 1, 2]], np.int64), "'faces' is of the type I64"),
        ("part", np.zeros(3, np.float16), "'part' as float16, expected uint8"),
        ("faces", np.array([[0, 1, 2**32 - 1]], np.uint32), "holds vertex indices"),
        ("region.brow", np.array([0, 1, np.nan], np.float16), "'region.brow' has values that are not finite"),
    ],
)
def test_values_that_no_rig_has_are_refused(triangle_rig, tmp_path, name, values, message):
    path = tmp_path / "rig.safetensors"
    save_rig(triangle_rig, path)
    with safe_open(path, framework="np") as file:
        header = file.metadata()
    save_file({**load_file(path), name: values}, path, metadata=header)
    with pytest.raises(LineamentError, match=message):
        load_rig(path)


@pytest.mark.parametrize("change", [{"iris_radius": "nan"}, {"iris_radius": "-1"}, {"expression_names": '"jawOpen"'}])
def test_headers_that_no_rig_has_are_refused(triangle_rig, tmp_path, change):
    path = tmp_path / "rig.safetensors"
    save_rig(triangle_rig, path)
    with safe_open(path, framework="np") as file:
        header = file.metadata()
    save_file(load_file(path), path, metadata={**header, **change})
    with pytest.raises(RigFileError, match="broken header"):
        load_rig(path)


def test_a_header_of_any_length_is_not_read(triangle_rig, tmp_path):
    path = tmp_path / "rig.safetensors"
    save_rig(triangle_rig, path)
    path.write_bytes((1 << 40).to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(RigFileError, match="larger than"):
        load_rig(path)
