# SPDX-License-Identifier: Apache-2.0
"""Photos of every kind that people have, and every kind of damage."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lineament.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    InputError,
    LineamentError,
    NoImagesError,
    NotAnImageError,
)
from lineament.images import as_image, find_images, read_image


def picture(width: int = 40, height: int = 24) -> np.ndarray:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8)


def test_plain_png_and_jpeg(tmp_path: Path) -> None:
    Image.fromarray(picture()).save(tmp_path / "a.png")
    Image.fromarray(picture()).save(tmp_path / "a.jpg", quality=98)
    assert np.array_equal(read_image(tmp_path / "a.png"), picture())
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - picture()).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "lzw.tif", "grey.tif", "16.png", "16.tif", "float.tif"])
def test_exif_orientations_are_undone(tmp_path: Path, orientation: int, suffix: str) -> None:
    transposed = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = Image.fromarray(picture())
    stored = upright.transpose(transposed[orientation]) if orientation != 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    expected = picture()
    if suffix == "grey.tif":
        stored = stored.convert("L")
        expected = np.repeat(np.asarray(upright.convert("L"))[..., None], 3, axis=-1)
    options = {"jpg": {"quality": 98}, "lzw.tif": {"compression": "tiff_lzw"}}.get(suffix, {})
    if suffix in ("16.png", "16.tif", "float.tif"):
        deep = np.asarray(stored)[..., ::-1]
        deep = deep / np.float32(255) if suffix == "float.tif" else deep.astype(np.uint16) * 257
        cv2.imwrite(str(path), deep, [cv2.IMWRITE_TIFF_COMPRESSION, 1])
        turn_in_header(path, orientation, exif)
    else:
        stored.save(path, exif=exif, **options)
    read = read_image(path)
    read = read * 255 if read.dtype == np.float32 else read.astype(int)
    assert read.shape == expected.shape
    assert np.abs(read - expected).mean() < 3


def turn_in_header(path: Path, orientation: int, exif: Image.Exif) -> None:
    """Add an orientation to a file that OpenCV wrote, which writes none."""
    data = path.read_bytes()
    if path.suffix == ".png":
        body = b"eXIf" + exif.tobytes()[6:]  # without the name that JPEG puts before it
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(data[:33] + chunk + data[33:])
        return
    start = struct.unpack("<I", data[4:8])[0]
    count = struct.unpack("<H", data[start : start + 2])[0]
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    entries = [entry for entry in entries if entry[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries, key=lambda e: struct.unpack("<H", e[:2])))
    path.write_bytes(data[:4] + struct.pack("<I", len(data)) + data[8:] + directory + bytes(4))


def test_sixteen_bits_keep_their_precision(tmp_path: Path) -> None:
    fine = (np.linspace(0.2, 0.21, 40 * 24 * 3).reshape(24, 40, 3) * 65535).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "rgb.png"), fine[..., ::-1])
    cv2.imwrite(str(tmp_path / "grey.png"), fine[..., 0])
    for name, expected in (("rgb.png", fine), ("grey.png", np.repeat(fine[..., :1], 3, -1))):
        read = read_image(tmp_path / name)
        assert read.dtype == np.float32
        assert np.abs(read - expected / 65535).max() < 1e-5


def test_cmyk_palette_grey_and_alpha_become_rgb(tmp_path: Path) -> None:
    colour = Image.fromarray(picture())
    colour.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    colour.quantize(64).save(tmp_path / "palette.png")
    colour.convert("L").save(tmp_path / "grey.png")
    clear = colour.copy()
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    colour.quantize(8).save(tmp_path / "animation.gif", save_all=True, append_images=[colour.quantize(8)])
    for name in ("cmyk.jpg", "palette.png", "grey.png", "clear.png", "animation.gif"):
        read = read_image(tmp_path / name)
        assert read.shape == (24, 40, 3)
        assert read.dtype == np.uint8
    assert (read_image(tmp_path / "clear.png") == 128).all()
    assert np.abs(read_image(tmp_path / "palette.png").astype(int) - picture()).mean() < 20
    assert np.ptp(read_image(tmp_path / "grey.png"), axis=-1).max() == 0


def damaged(folder: Path, kind: str) -> Path:
    """A file of one kind of damage."""
    path = folder / f"{kind}.png"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no picture\n" * 20)
    elif kind == "truncated":
        path = folder / "truncated.jpg"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:4000])
    elif kind == "one pixel":
        Image.new("RGB", (1, 1)).save(path)
    elif kind in ("huge", "bomb"):
        Image.new("1", (40, 40)).save(path)
        data = bytearray(path.read_bytes())
        side = 20000 if kind == "huge" else 40000
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        path.write_bytes(data)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("empty", NotAnImageError),
        ("text", NotAnImageError),
        ("truncated", InputError),
        ("one pixel", ImageTooSmallError),
        ("huge", ImageTooLargeError),
        ("bomb", ImageTooLargeError),
        ("missing", InputError),
        ("folder", InputError),
    ],
)
def test_each_damage_has_its_error_in_one_line(tmp_path: Path, kind: str, error: type[LineamentError]) -> None:
    with pytest.raises(error) as caught:
        read_image(damaged(tmp_path, kind))
    assert "\n" not in str(caught.value)
    assert caught.type is error


def test_arrays_are_checked() -> None:
    assert as_image(np.zeros((20, 30), np.uint8)).shape == (20, 30, 3)
    assert as_image(np.ones((20, 30, 3))).dtype == np.float32
    for wrong, message in (
        (np.zeros((20, 30, 5), np.uint8), "shape"),
        (np.zeros((3, 20, 30), np.uint8), "shape"),
        (np.zeros((2, 20, 30, 3), np.uint8), "shape"),
        (np.zeros((20, 30, 3), np.complex64), "complex64"),
        (np.zeros((20, 30, 3), bool), "bool"),
        (np.zeros((20, 30, 3), np.int64), "uint8"),
        (np.full((20, 30, 3), 2.0), "lie in"),
        (np.full((20, 30, 3), np.nan), "not finite"),
        (None, "cv2.imread"),
        ([np.zeros((20, 30, 3), np.uint8)], "one at a time"),
        (object(), "object"),
    ):
        with pytest.raises(InputError, match=message):
            as_image(wrong)
    with pytest.raises(ImageTooSmallError):
        as_image(np.zeros((1, 1, 3), np.uint8))


def half_clear(size: tuple[int, int] = (24, 40)) -> np.ndarray:
    alpha = np.zeros((*size, 1), np.uint8)
    alpha[:, size[1] // 2 :] = 255
    return alpha


def test_python_types_give_the_same_photo() -> None:
    plain = picture()
    fractions = plain / np.float32(255)
    assert np.array_equal(as_image(Image.fromarray(plain)), plain)
    assert np.array_equal(as_image(plain[..., :1])[..., 2], plain[..., 0])
    for other in (plain.astype(np.uint16) * 257, fractions.astype(np.float64), fractions.astype(np.float16)):
        read = as_image(other)
        assert read.dtype == np.float32
        assert np.abs(read - fractions).max() < (5e-4 if other.dtype == np.float16 else 1e-6)
    rounded = fractions.copy()
    rounded[0, 0], rounded[0, 1] = 1.0000002, -1e-7
    read = as_image(rounded)
    assert read.max() == 1.0
    assert read.min() == 0.0
    assert np.array_equal(as_image(plain[::-1, ::-1]), plain[::-1, ::-1])  # not contiguous


def test_alpha_of_arrays_is_laid_over_grey_as_that_of_files(tmp_path: Path) -> None:
    rgba = np.concatenate([picture(), half_clear()], axis=-1)
    grey_alpha = np.concatenate([picture()[..., :1], half_clear()], axis=-1)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    for given in (rgba, Image.fromarray(rgba), tmp_path / "a.png"):
        read = read_image(given) if isinstance(given, Path) else as_image(given)
        assert (read[:, :20] == 128).all()
        assert np.array_equal(read[:, 20:], picture()[:, 20:])
    assert np.array_equal(as_image(grey_alpha)[:, 20:, 1], picture()[:, 20:, 0])
    deep = as_image(rgba.astype(np.uint16) * 257)
    assert np.abs(deep * 255 - as_image(rgba)).max() < 0.01


def test_a_pil_image_is_turned_upright_and_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(picture()[::-1, ::-1].copy()).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as opened:
        assert np.array_equal(as_image(opened), picture())
        assert np.array_equal(np.asarray(opened), picture()[::-1, ::-1])
    with pytest.raises(ImageTooSmallError):
        as_image(Image.new("RGB", (3, 3)))


class Tensor:
    """What of a tensor's interface is used: on a device, in a graph, with numbers that NumPy lacks."""

    def __init__(self, values: np.ndarray, steps: tuple[str, ...] = ()) -> None:
        self.values, self.steps = values, steps

    def detach(self) -> Tensor:
        return Tensor(self.values, (*self.steps, "detach"))

    def cpu(self) -> Tensor:
        return Tensor(self.values, (*self.steps, "cpu"))

    def is_floating_point(self) -> bool:
        return bool(np.issubdtype(self.values.dtype, np.floating))

    def float(self) -> Tensor:
        return Tensor(self.values.astype(np.float32), (*self.steps, "float"))

    def numpy(self) -> np.ndarray:
        assert self.steps[:2] == ("detach", "cpu")
        assert not self.is_floating_point() or self.steps[2:] == ("float",)
        return self.values


def test_tensors_are_taken_without_their_library() -> None:
    first = np.moveaxis(picture(), -1, 0)
    assert np.array_equal(as_image(Tensor(first)), picture())
    assert np.array_equal(as_image(Tensor(picture())), picture())
    assert np.abs(as_image(Tensor(first / 255)) * 255 - picture()).max() < 1e-4
    assert as_image(Tensor(first[:1])).shape == (24, 40, 3)
    with pytest.raises(InputError, match="shape"):
        as_image(Tensor(first[None]))


def test_tensors_of_torch_are_taken() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(picture()).permute(2, 0, 1)
    assert np.array_equal(as_image(tensor), picture())
    assert np.abs(as_image((tensor / 255).requires_grad_()) * 255 - picture()).max() < 1e-4
    assert np.abs(as_image((tensor / 255).bfloat16()) * 255 - picture()).max() < 1.0


def test_files_folders_and_globs_are_found(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg", "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "none").mkdir()
    found = find_images([tmp_path, tmp_path / "b.png", str(tmp_path / "*.jpg")])
    assert [p.name for p in found] == ["a.jpg", "b.png"]
    for empty in (tmp_path / "none", str(tmp_path / "*.webp")):
        with pytest.raises(NoImagesError):
            find_images([empty])
    with pytest.raises(NoImagesError):
        find_images([])
