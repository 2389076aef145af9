# SPDX-License-Identifier: Apache-2.0
"""Normal maps of every kind are read back, in anybody's axes; what cannot be read is said."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lineament.errors import ImageTooLargeError, InputError
from lineament.images import encode_normals, write_exr
from lineament.images.maps import Axes, read_array, read_normals, read_picture_values


def some_normals() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(20, 24, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors[:3] = 0.0
    return vectors


@pytest.mark.parametrize(
    ("suffix", "tolerance"), [("png", 0.01), ("16.png", 1e-4), ("exr", 1e-3), ("npy", 0), ("npz", 0)]
)
def test_normals_are_read_back(suffix: str, tolerance: float, tmp_path: Path) -> None:
    normals, path = some_normals(), tmp_path / f"map.{suffix}"
    if suffix == "exr":
        write_exr(path, {"RGB": normals.astype(np.float16)}, {})
    elif suffix == "npy":
        np.save(path, normals)
    elif suffix == "npz":
        np.savez(path, normals=normals, other=np.zeros(3))
    else:
        cv2.imwrite(str(path), encode_normals(normals, bits=16 if suffix == "16.png" else 8)[..., ::-1])
    assert np.abs(read_normals(path) - normals).max() <= tolerance


def test_exr_files_with_channels_of_their_own_are_read(tmp_path: Path) -> None:
    normals = some_normals()
    write_exr(tmp_path / "map.exr", dict(zip("RGB", np.moveaxis(normals, -1, 0), strict=True)), {})
    assert np.array_equal(read_normals(tmp_path / "map.exr"), normals)
    write_exr(tmp_path / "depth.exr", {"Z": normals[..., 0]}, {})
    with pytest.raises(InputError, match="no channels R, G and B"):
        read_normals(tmp_path / "depth.exr")


def test_axes_are_taken_to_ours() -> None:
    normals = some_normals()
    assert np.array_equal(Axes("+x-y-z").to_ours(normals * np.float32([1, -1, -1])), normals)
    assert np.array_equal(Axes("+z+y+x").to_ours(normals[..., ::-1]), normals)


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"nothing")
    for read in (read_normals, read_picture_values):
        with pytest.raises(InputError, match="not a picture"):
            read(broken)
    for name in ("broken.npy", "missing.npy"):
        (tmp_path / "broken.npy").write_bytes(b"nothing")
        with pytest.raises(InputError, match=r"cannot be read|no such file"):
            read_array(tmp_path / name, "normals")
    (tmp_path / "broken.exr").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_normals(tmp_path / "broken.exr")
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((20, 20), np.uint8))
    with pytest.raises(InputError, match="RGB"):
        read_normals(tmp_path / "grey.png")
    monkeypatch.setattr("lineament.images.decode.MAXIMUM_PIXELS", 300)
    with pytest.raises(ImageTooLargeError):
        read_picture_values(tmp_path / "grey.png")
