# SPDX-License-Identifier: Apache-2.0
"""Encodings round-trip; files are whole or absent."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lineament.errors import OutputError
from lineament.files.writing import atomic_path
from lineament.images import decode_normals, encode_normals, write_exr, write_png


def normals_of(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    normals = draw.normal(size=(6, 5, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[0] = 0
    return normals


@given(
    seed=st.integers(0, 10**6),
    convention=st.sampled_from(["opengl", "directx", "opencv"]),
    bits=st.sampled_from([8, 16]),
)
def test_normal_maps_round_trip(seed: int, convention: str, bits: int) -> None:
    normals = normals_of(seed)
    colours = encode_normals(normals, convention, bits)
    assert colours.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert (colours[0] == 0).all()
    decoded = decode_normals(colours, convention)
    cosine = (decoded * normals).sum(-1)[1:].clip(-1, 1)
    assert np.degrees(np.arccos(cosine)).max() < (0.6 if bits == 8 else 0.05)
    assert (decoded[0] == 0).all()


def test_conventions_differ_in_sign_only() -> None:
    up = np.zeros((1, 1, 3), np.float32)
    up[..., 1] = 1
    assert encode_normals(up, "opengl")[0, 0].tolist() == [128, 255, 128]
    assert encode_normals(up, "directx")[0, 0].tolist() == [128, 0, 128]
    facing = np.array([[[0, 0, 1]]], np.float32)
    assert encode_normals(facing, "opencv")[0, 0, 2] == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_keeps_pixels_and_text(tmp_path: Path, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (7, 9, 3)).astype(dtype)
    path = tmp_path / "map.png"
    write_png(path, pixels, {"Normals": "opengl: x right", "Software": "lineament"})
    assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)
    with Image.open(path) as opened:
        assert opened.text == {"Normals": "opengl: x right", "Software": "lineament"}


def test_exr_keeps_values_and_attributes(tmp_path: Path) -> None:
    normals = normals_of(1)
    path = tmp_path / "map.exr"
    write_exr(path, {"RGB": normals.astype(np.float16)}, {"normalsConvention": "opengl"})
    with OpenEXR.File(str(path)) as file:
        assert file.header()["normalsConvention"] == "opengl"
        stored = file.channels()["RGB"].pixels
    assert np.abs(stored.astype(np.float32) - normals).max() < 1e-3


def test_failed_writes_leave_nothing(tmp_path: Path) -> None:
    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"), atomic_path(tmp_path / "file.txt") as temporary:
        fail(temporary)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write_png(tmp_path / "file" / "map.png", np.zeros((4, 4), np.uint8))
