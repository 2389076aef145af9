# SPDX-License-Identifier: Apache-2.0
"""Files that nobody vouches for: only meant formats, bounded, finite, never a hang, one line each."""

from __future__ import annotations

import io
import logging
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from lineament.errors import ImageTooLargeError, InputError, LineamentError, NotAnImageError
from lineament.images import find_images, read_image
from lineament.images.formats import FORMATS, SUFFIXES
from lineament.images.maps import read_array, read_normals, read_picture_values
from lineament.images.read import read_frames

GREY = np.tile(np.linspace(0.1, 0.9, 40, dtype=np.float32), (24, 1))
# TIFF without compression: older OpenCV writes colours of floating point as SGI LogLuv, which rounds.
LOSSLESS = [cv2.IMWRITE_TIFF_COMPRESSION, 1]


def colours() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(20, 230, 64), np.linspace(20, 230, 48))
    return np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8)


def one_line(error: pytest.ExceptionInfo[BaseException], path: Path) -> None:
    assert isinstance(error.value, LineamentError)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


WRITTEN = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "PPM": ".ppm",
    "GIF": ".gif",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
    "HEIF": ".heic",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_every_listed_format_is_read(kind: str, tmp_path: Path) -> None:
    if kind == "HEIF":
        pytest.importorskip("pi_heif").register_heif_opener()
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    path = tmp_path / f"photo{WRITTEN[kind]}"
    Image.fromarray(colours()).save(path, format=kind)
    assert path.suffix in SUFFIXES
    assert find_images([tmp_path]) == [path]
    assert np.abs(read_image(path).astype(int) - colours()).mean() < 8


@pytest.mark.parametrize("kind", ["EPS", "BLP", "PCX", "TGA", "ICO", "SGI", "DDS", "PDF"])
def test_no_other_format_is_opened_whatever_its_name(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kind not in FORMATS
    path = tmp_path / "photo.jpg"
    picture = Image.fromarray(colours())
    (picture.quantize(16) if kind == "BLP" else picture).save(path, format=kind)

    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("a programme was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    for read in (read_image, read_picture_values):
        with pytest.raises(NotAnImageError, match="format that is read") as error:
            read(path)
        one_line(error, path)


def test_heic_without_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "photo.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(InputError, match=r"lineament\[heic\]") as error:
        read_image(path)
    one_line(error, path)


@pytest.mark.parametrize("raised", [TypeError, RuntimeError, MemoryError, struct.error, AssertionError, RecursionError])
def test_whatever_a_decoder_raises_is_one_line(
    raised: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(colours()).save(path)

    def fail(*_: Any, **__: Any) -> None:
        raise raised("of several\nlines")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(InputError) as error:
        read_image(path)
    one_line(error, path)
    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(InputError) as error:
        read_picture_values(path)
    one_line(error, path)


def with_long(path: Path, tag: int, number: int) -> None:
    """Write a TIFF with one more number in its header, in place of the resolution unit."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[296] = 1
    Image.fromarray(GREY).save(path, tiffinfo=tags)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<HHI", 296, 3, 1))
    data[place : place + 12] = struct.pack("<HHII", tag, 4, 1, number)
    path.write_bytes(data)


def test_a_tag_of_the_wrong_type_and_a_broken_avif_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    with_long(path, 700, 1)  # XMP should be text
    with pytest.raises(InputError) as error:
        read_image(path)
    one_line(error, path)
    Image.init()
    if "AVIF" in Image.SAVE:
        stream = io.BytesIO()
        Image.fromarray(colours()).save(stream, format="AVIF")
        broken = bytearray(stream.getvalue())
        broken[len(broken) // 2 :] = bytes(len(broken) - len(broken) // 2)
        (tmp_path / "photo.avif").write_bytes(broken)
        with pytest.raises(InputError) as error:
            read_image(tmp_path / "photo.avif")
        one_line(error, tmp_path / "photo.avif")


READERS: list[tuple[str, Callable[[Path], Any]]] = [
    ("photo.png", read_image),
    ("map.png", read_normals),
    ("map.exr", read_normals),
    ("map.npy", read_normals),
    ("map.npz", read_normals),
]


@pytest.mark.parametrize(("name", "read"), READERS)
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder", "nothing", "empty", "forbidden", "long name"])
def test_what_is_no_file_is_refused_without_being_opened(
    name: str, read: Callable[[Path], Any], kind: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes here")
        os.mkfifo(path)
    elif kind == "socket":
        if not hasattr(socket, "AF_UNIX"):
            pytest.skip("no sockets in folders here")
        short = Path(tempfile.mkdtemp()) / name  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(short))
        path = short
    elif kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "forbidden":
        path.write_bytes(b"something")
        path.chmod(0)  # root reads it all the same, and finds no picture
    elif kind == "long name":
        path = tmp_path / ("x" * 300 + name)
    with pytest.raises(InputError) as error:
        read(path)
    one_line(error, path)


def test_a_name_that_no_file_can_have_and_no_name_at_all() -> None:
    for wrong in ("a\0b.png", 3, None):
        with pytest.raises(InputError):
            read_image(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_no_files(device: str) -> None:
    if not Path(device).exists():
        pytest.skip("no such device here")
    with pytest.raises(InputError, match="a device"):
        read_image(device)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(("factor", "span"), [(1.0, 1.0), (255.0, 255.0), (65535.0, 65535.0), (1.1, 1.0)])
def test_floating_point_is_scaled_by_a_rule(colour: bool, factor: float, span: float, tmp_path: Path) -> None:
    grey = (GREY * np.float32(factor)).astype(np.float32)
    if colour:
        cv2.imwrite(str(tmp_path / "f.tif"), np.stack([grey, grey * 0.5, grey * 0.25], axis=-1)[..., ::-1], LOSSLESS)
    else:
        Image.fromarray(grey).save(tmp_path / "f.tif")
    read = read_image(tmp_path / "f.tif")
    assert read.dtype == np.float32
    assert np.abs(read[..., 0] - grey / span).max() < 1e-6
    assert np.abs(read[..., 2] - grey / span * (0.25 if colour else 1.0)).max() < 1e-6


def test_floating_point_without_a_scale_or_not_finite_is_refused(tmp_path: Path) -> None:
    for wrong, said in (
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (3.0, "scale"),
        (1e9, "scale"),
        (-0.5, "scale"),
    ):
        grey = GREY.copy()
        grey[3, 4] = wrong
        Image.fromarray(grey).save(tmp_path / "grey.tif")
        cv2.imwrite(str(tmp_path / "rgb.tif"), np.repeat(grey[..., None], 3, axis=-1), LOSSLESS)
        for name in ("grey.tif", "rgb.tif"):
            with pytest.raises(InputError, match=said) as error:
                read_image(tmp_path / name)
            one_line(error, tmp_path / name)


def test_sixteen_bit_grey_keeps_its_scale(tmp_path: Path) -> None:
    dark = np.rint(GREY * 200).astype(np.uint16)  # all below 255, and 16 bits still
    for name in ("g.png", "g.tif", "g.pgm"):
        cv2.imwrite(str(tmp_path / name), dark)
        assert np.abs(read_image(tmp_path / name)[..., 1] - dark / np.float32(65535)).max() < 1e-6, name


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_deep_grey_is_turned_upright_and_may_have_white_at_zero(orientation: int, tmp_path: Path) -> None:
    grey = np.rint(GREY * 65535).astype(np.uint16)
    stored_grey = np.rot90(grey, {1: 0, 3: 2, 6: 1, 8: 3}[orientation])
    Image.fromarray(np.ascontiguousarray(stored_grey)).save(tmp_path / "g.tif", tiffinfo={274: orientation})
    assert np.abs(read_image(tmp_path / "g.tif")[..., 0] - grey / np.float32(65535)).max() < 1e-6
    data = bytearray((tmp_path / "g.tif").read_bytes())
    data[data.index(struct.pack("<HHI", 262, 3, 1)) + 8] = 0
    (tmp_path / "g.tif").write_bytes(data)
    assert np.abs(read_image(tmp_path / "g.tif")[..., 0] - (1 - grey / np.float32(65535))).max() < 1e-6


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]


def stored(mode: str, folder: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture in a mode, in a format that stores it; half of the transparent ones is seen through."""
    path = folder / f"{mode.replace(';', '')}.{'tif' if mode in ('CMYK', 'I', 'F') else 'png'}"
    if mode in ("P", "PA"):
        picture = Image.fromarray(colours()).resize(size).quantize(16)
        picture.save(path, **({"transparency": bytes([0] * 8 + [255] * 8)} if mode == "PA" else {}))
        return path
    if mode in ("I;16", "I", "F"):
        ramp = np.tile(np.linspace(0, 1, size[0], dtype=np.float32), (size[1], 1))
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        Image.fromarray((ramp * (1 if mode == "F" else 65535)).astype(kind)).save(path)
        return path
    Image.fromarray(colours()).resize(size).convert(mode).save(path)
    return path


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_bounded_by_what_it_decodes_to(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(mode, tmp_path)
    assert read_image(path).shape == (48, 64, 3)

    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded before it was bounded")

    monkeypatch.setattr("lineament.files.reading.MAXIMUM_BYTES", 64 * 48 * 3)  # the result alone
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    monkeypatch.setattr(cv2, "imdecode", load)
    for read in (read_image, read_picture_values):
        with pytest.raises(ImageTooLargeError, match="GB") as error:
            read(path)
        one_line(error, path)


@pytest.mark.parametrize("mode", MODES)
def test_strips_give_what_the_whole_gives(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(mode, tmp_path)
    whole = read_image(path)
    monkeypatch.setattr("lineament.images.decode._STRIP", 64 * 5)
    assert np.array_equal(read_image(path), whole)


def test_deep_pictures_too_large_for_floats_are_read_as_eight_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = np.rint(np.stack([GREY, GREY * 0.5, GREY * 0.25], axis=-1) * 65535).astype(np.uint16)
    for name in ("d.png", "d.tif"):
        cv2.imwrite(str(tmp_path / name), deep[..., ::-1])
    Image.fromarray(deep[..., 0]).save(tmp_path / "g.png")
    monkeypatch.setattr("lineament.files.reading.MAXIMUM_BYTES", GREY.size * 8)
    for name, factor in (("d.png", 0.5), ("d.tif", 0.5), ("g.png", 1.0)):
        read = read_image(tmp_path / name)
        assert read.dtype == np.uint8
        assert np.abs(read[..., 1] - GREY * 255 * factor).max() <= 1.0


def test_a_tile_larger_than_its_picture_is_counted(tmp_path: Path) -> None:
    with_long(tmp_path / "t.tif", 322, 50000)
    data = (tmp_path / "t.tif").read_bytes()
    rows = struct.pack("<HHI", 278, 4, 1)  # rows of a strip: of a tile now
    place = data.index(rows)
    (tmp_path / "t.tif").write_bytes(data[:place] + struct.pack("<HHII", 323, 4, 1, 40000) + data[place + 12 :])
    with pytest.raises(ImageTooLargeError):
        read_image(tmp_path / "t.tif")


MEASURE = """
import re, sys
import cv2
from lineament.images.read import read_image
photo = read_image(sys.argv[1])
# Unlike getrusage's, this peak is not that of the process which started this one.
kilobytes = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(photo.shape[0], photo.shape[1], 1024 * int(kilobytes))
"""


def test_a_transparent_palette_takes_little_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a process's peak in memory there")
    picture = Image.new("P", (6000, 5000))
    picture.putpalette([40, 80, 120])
    picture.save(tmp_path / "bomb.png", transparency=0, compress_level=1)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "bomb.png")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    height, width, peak = map(int, answer.split())
    assert (height, width) == (5000, 6000)
    assert peak < 0.3e9  # 60 MB of modules; as RGBA it would take 0.36


def test_frames_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.fromarray(np.full((40, 50, 3), shade, np.uint8)) for shade in (0, 90, 200)]
    for name in ("a.gif", "a.webp", "a.png", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        means = [float(frame.mean()) for frame in read_frames(tmp_path / name)]
        assert means == pytest.approx([0, 90, 200], abs=2), name
        assert np.array_equal(read_image(tmp_path / name), next(read_frames(tmp_path / name)))
    frames[1].save(tmp_path / "still.jpg")
    assert len(list(read_frames(tmp_path / "still.jpg"))) == 1
    with pytest.raises(InputError):
        next(read_frames(tmp_path / "none.gif"))
    monkeypatch.setattr("lineament.images.read.MAXIMUM_FRAMES", 2)
    assert len(list(read_frames(tmp_path / "a.gif"))) == 2
    monkeypatch.setattr("lineament.images.read._MAXIMUM_FRAME_PIXELS", 2000)
    assert len(list(read_frames(tmp_path / "a.gif"))) == 1


def test_a_damaged_later_frame_ends_the_frames(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 60, 60), dtype=np.uint8)
    pages = [Image.fromarray(page) for page in noise]
    pages[0].save(tmp_path / "a.gif", save_all=True, append_images=pages[1:])
    data = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(data[: len(data) * 3 // 5])
    assert 1 <= len(list(read_frames(tmp_path / "a.gif"))) < 3


def test_skipped_files_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.JPG", "b.heic", "c.avif", "film.mov", "raw.dng", "raw2.dng", "notes"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.WARNING):
        assert [p.name for p in find_images([tmp_path])] == ["a.JPG", "b.heic", "c.avif"]
    (said,) = caplog.messages
    assert "4 of 7" in said
    assert "2 × .dng" in said
    assert [p.name for p in find_images([str(tmp_path / "*")])] == ["a.JPG", "b.heic", "c.avif"]


@pytest.mark.parametrize("shape", ["1000000, 1000000, 3", "-4, -4, 3", "4, 4, 3", "'x', 2"])
def test_what_an_array_declares_is_not_believed(shape: str, tmp_path: Path) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}".encode().ljust(117) + b"\n"
    path = tmp_path / "declared.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    with pytest.raises(InputError) as error:
        read_array(path, "normals")
    one_line(error, path)


def test_arrays_are_bounded_finite_and_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "unpickled"),)

    np.save(tmp_path / "o.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "o.npz", normals=np.array([Evil()], dtype=object))
    np.save(tmp_path / "t.npy", np.array(["text"]))
    np.savez(tmp_path / "empty.npz")
    np.save(tmp_path / "nan.npy", np.float32([0, np.nan]))
    np.savez(tmp_path / "inf.npz", normals=np.float64([0, 1e300]))  # none in the precision that is read
    for name in ("o.npy", "o.npz", "t.npy", "empty.npz", "nan.npy", "inf.npz"):
        with pytest.raises(InputError) as error:
            read_array(tmp_path / name, "normals")
        one_line(error, tmp_path / name)
    assert not (tmp_path / "unpickled").exists()
    np.savez_compressed(tmp_path / "zeros.npz", normals=np.zeros((300, 300, 3), np.float32))
    assert read_array(tmp_path / "zeros.npz", "normals").shape == (300, 300, 3)
    monkeypatch.setattr("lineament.files.reading.MAXIMUM_BYTES", 1_000_000)
    with pytest.raises(ImageTooLargeError):
        read_array(tmp_path / "zeros.npz", "normals")


def test_arrays_in_columns_and_of_other_kinds_are_read(tmp_path: Path) -> None:
    values = np.arange(24).reshape(2, 4, 3)
    for kind in (np.float64, np.float16, np.int32, ">f4"):
        np.save(tmp_path / "a.npy", np.asfortranarray(values.astype(kind)))
        assert np.array_equal(read_array(tmp_path / "a.npy", "normals"), values)


def test_exr_files_are_bounded_finite_and_may_have_alpha(tmp_path: Path) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    normals = np.random.default_rng(0).normal(size=(20, 30, 3)).astype(np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    path = tmp_path / "rgba.exr"
    rgba = np.concatenate([normals, np.ones((20, 30, 1), np.float32)], axis=-1)
    with OpenEXR.File(header, {"RGBA": rgba}) as file:
        file.write(str(path))
    assert np.array_equal(read_normals(path), normals)
    data = bytearray(path.read_bytes())
    window = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[window : window + 16] = struct.pack("<4i", 0, 0, 9999, 9999)
    (tmp_path / "huge.exr").write_bytes(data)
    with pytest.raises(ImageTooLargeError):
        read_normals(tmp_path / "huge.exr")
    whole = path.read_bytes()
    (tmp_path / "cut.exr").write_bytes(whole[: len(whole) * 2 // 3] + bytes(len(whole) // 3))
    with pytest.raises(InputError):
        read_normals(tmp_path / "cut.exr")
    rgba[3, 4, 1] = np.nan
    with OpenEXR.File(header, {"RGBA": rgba}) as file:
        file.write(str(path))
    with pytest.raises(InputError, match="not finite"):
        read_normals(path)


def test_maps_of_floats_in_pictures_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "f.tif"), GREY)
    with pytest.raises(InputError, match="8 or 16 bits"):
        read_picture_values(tmp_path / "f.tif")
