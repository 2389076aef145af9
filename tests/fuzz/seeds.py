# SPDX-License-Identifier: Apache-2.0
"""Sound inputs of every kind, small, made by code: what the mutations start from.

`write_seeds` fills a folder as kind/name/files. The first file in a seed's folder by `TARGETS` is damaged, the others
belong to it.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from tests.fuzz.training import FACES, TINY, chdir, run_config, tiny_network

SIDE = 64
"""Of the maps, and of the photo that predictions are looked for."""

TARGETS: dict[str, tuple[str, ...]] = {
    "weights": ("tiny.safetensors",),
    "graph": ("tiny.initial.onnx", "tiny.cascade.onnx"),
    "synth": ("manifest.json", "samples.jsonl", "image/00000001.png", "normals/00000001.png", "mask/00000001.png"),
    "run": ("checkpoint*.safetensors", "config.json", "log.jsonl"),
}
"""Files that are damaged (patterns), of the kinds whose seeds are of several files."""

Files = Iterator[tuple[str, bytes]]


def write_seeds(folder: Path) -> None:
    """Write all seeds, each into a folder of its own."""
    makers: dict[str, Callable[[], Files]] = {
        "photo": _photos,
        "bomb": _bombs,
        "map": _maps,
        "mesh": _meshes,
        "landmarks": _landmarks,
        "rig": _rigs,
    }
    for kind, maker in makers.items():
        for name, data in maker():
            path = folder / kind / name.replace(".", "-") / name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
    _write_weights(folder)
    _write_training(folder)


def _photos() -> Files:
    from skimage.data import astronaut

    rgb = Image.fromarray(astronaut()[0:200, 130:310]).resize((108, 120))
    rgba = rgb.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(rgb.size))
    palette, grey = rgb.quantize(32), rgb.convert("L")
    frames = [Image.new("RGB", rgb.size), rgb, rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a photo"
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    floating = Image.fromarray(np.asarray(grey).astype(np.float32) / 255)
    moving: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 50}
    pictures: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("exif.jpg", rgb, {"exif": exif}),
        ("progressive.jpg", rgb, {"progressive": True, "icc_profile": b"\0" * 200}),
        ("cmyk.jpg", rgb.convert("CMYK"), {}),
        ("grey.jpg", grey, {"quality": 30}),
        ("rgb.png", rgb, {"exif": exif}),
        ("rgba.png", rgba, {}),
        ("palette.png", palette, {"transparency": bytes(range(0, 256, 8))}),
        ("bit.png", rgb.convert("1"), {}),
        ("deep.png", deep, {}),
        ("moving.png", frames[0], moving),
        ("raw.tif", rgb, {"tiffinfo": {278: 8, 274: 3}}),
        ("lzw.tif", rgb, {"compression": "tiff_lzw"}),
        ("deflate.tif", rgba, {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tif", rgb, {"compression": "jpeg"}),
        ("fax.tif", rgb.convert("1"), {"compression": "group4"}),
        ("packbits.tif", palette, {"compression": "packbits"}),
        ("float.tif", floating, {}),
        ("deep.tif", deep, {}),
        ("cmyk.tif", rgb.convert("CMYK"), {}),
        ("big.tif", rgb, {"big_tiff": True}),
        ("pages.tif", frames[0], moving),
        ("moving.gif", frames[0], moving),
        ("still.gif", palette, {"transparency": 3}),
        ("lossy.webp", rgb, {"exif": exif}),
        ("lossless.webp", rgba, {"lossless": True}),
        ("moving.webp", frames[0], moving),
        ("rgb.bmp", rgb, {}),
        ("palette.bmp", palette, {}),
        ("rgb.ppm", rgb, {}),
        ("grey.pgm", grey, {}),
        ("deep.pgm", deep, {}),
    ]
    if features.check("avif"):
        pictures += [("rgb.avif", rgb, {"exif": exif}), ("rgba.avif", rgba, {}), ("moving.avif", frames[0], moving)]
    if features.check("jpg_2000"):
        pictures += [("rgb.jp2", rgb, {}), ("rgba.jp2", rgba, {}), ("grey.j2k", grey, {})]
    for name, picture, options in pictures:
        yield name, _encoded(picture, Path(name).suffix, options)
    import cv2

    deep_rgb = np.asarray(rgb).astype(np.uint16)[..., ::-1] * 257
    yield "deep-rgb.png", cv2.imencode(".png", deep_rgb)[1].tobytes()
    yield "deep-rgb.tif", cv2.imencode(".tif", deep_rgb)[1].tobytes()
    yield "float-rgb.tif", cv2.imencode(".tif", np.asarray(rgb, np.float32)[..., ::-1] / 255)[1].tobytes()
    yield "rgb.exr", next(data for name, data in _exrs(np.asarray(rgb, np.float32) / 255) if name == "joined-float.exr")


def _bombs() -> Files:
    """Little that becomes much: 119 megapixels, just below what is decoded, of the kind that Pillow copies most."""
    picture = Image.new("P", (11_000, 10_800))
    picture.putpalette([level for level in range(256) for _ in "RGB"])
    yield "packed.png", _encoded(picture, ".png", {"transparency": bytes(range(256))})


def _encoded(picture: Image.Image, suffix: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    picture.save(out, Image.registered_extensions()[suffix], **options)
    return out.getvalue()


def ball(side: int = SIDE) -> np.ndarray:
    """Unit normals S×S×3 of a ball seen from the front, zero around it."""
    x, y = np.meshgrid(*[(np.arange(side) + 0.5) * 2 / side - 1] * 2)
    square = x**2 + y**2
    normals = np.stack([x, -y, np.sqrt(np.clip(1 - square, 0, 1))], axis=-1)
    return np.where(square[..., None] < 1, normals, 0).astype(np.float32)


def _maps() -> Files:
    import cv2

    normals = ball()
    depth = normals[..., 2] * 20

    def packed(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
        out = io.BytesIO()
        save(out, *arrays, **named)
        return out.getvalue()

    yield "float.npy", packed(np.save, normals)
    yield "half.npy", packed(np.save, normals.astype(np.float16))
    yield "columns.npy", packed(np.save, np.asfortranarray(normals.astype(np.float64)))
    yield "stages.npy", packed(np.save, np.stack([normals, normals]))
    yield "depth.npy", packed(np.save, depth)
    yield "whole.npy", packed(np.save, (depth * 100).astype(np.int32))
    yield "stored.npz", packed(np.savez, normals=normals, depth=depth)
    yield "packed.npz", packed(np.savez_compressed, normals)
    coded = (normals[..., ::-1] + 1) / 2 * (normals != 0).any(-1, keepdims=True)
    for name, array in (
        ("eight.png", (coded * 255).astype(np.uint8)),
        ("sixteen.png", (coded * 65535).astype(np.uint16)),
        ("sixteen.tif", (coded * 65535).astype(np.uint16)),
        ("depth.png", (depth * 3000).astype(np.uint16)),
        ("lossy.jpg", (coded * 255).astype(np.uint8)),
        ("eight.bmp", (coded * 255).astype(np.uint8)),
    ):
        yield name, cv2.imencode(Path(name).suffix, array)[1].tobytes()
    yield from _exrs(normals)


def _exrs(picture: np.ndarray) -> Files:
    import tempfile

    import OpenEXR

    def channels(kind: type, names: str) -> dict[str, np.ndarray]:
        alpha = np.ones_like(picture[..., :1])
        values = np.concatenate([picture, alpha], axis=-1).astype(kind)
        return {name: np.ascontiguousarray(values[..., "RGBA".index(name)]) for name in names}

    strips = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    kinds = {
        "rgb-half.exr": (strips, channels(np.float16, "RGB")),
        "rgba-float.exr": (strips, channels(np.float32, "RGBA")),
        "joined-float.exr": (strips, {"RGB": picture}),
        "raw-half.exr": ({**strips, "compression": OpenEXR.NO_COMPRESSION}, channels(np.float16, "RGB")),
        "piz-float.exr": ({**strips, "compression": OpenEXR.PIZ_COMPRESSION}, channels(np.float32, "RGB")),
        "dwa-half.exr": ({**strips, "compression": OpenEXR.DWAA_COMPRESSION}, channels(np.float16, "RGB")),
        "tiled-half.exr": ({**strips, "type": OpenEXR.tiledimage, "tiles": tiles}, channels(np.float16, "RGB")),
        "single.exr": (strips, {"Y": np.ascontiguousarray(picture[..., 2])}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (header, values) in kinds.items():
            path = Path(folder) / name
            OpenEXR.File(header, values).write(str(path))
            yield name, path.read_bytes()


def _meshes() -> Files:
    import tempfile

    import trimesh

    from lineament.geometry.mesh import Mesh
    from lineament.images.mesh import write_mesh

    sphere = trimesh.creation.icosphere(subdivisions=1, radius=50)
    uv = sphere.vertices[:, :2] / 100 + 0.5
    vertices, triangles = np.array(sphere.vertices), np.array(sphere.faces, np.int64)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("own.obj", "own.ply", "own.glb"):
            path = Path(folder) / name
            write_mesh(path, Mesh(vertices, triangles, uv[triangles]), np.full((8, 8, 3), 99, np.uint8))
            yield name, path.read_bytes()
    yield "text.ply", trimesh.exchange.ply.export_ply(sphere, encoding="ascii")
    yield "binary.stl", trimesh.exchange.stl.export_stl(sphere)
    yield "text.stl", trimesh.exchange.stl.export_stl_ascii(sphere).encode()
    yield "text.off", trimesh.exchange.off.export_off(sphere).encode()
    points = ", ".join(" ".join(f"{v:.4f}" for v in row) for row in vertices)
    fans = ", ".join(" ".join(map(str, [*row, -1])) for row in triangles)
    places = ", ".join(f"{u:.4f} {v:.4f}" for u, v in uv)
    yield (
        "faces.wrl",
        f"#VRML V2.0 utf8\nShape {{ geometry IndexedFaceSet {{\n coord Coordinate {{ point [ {points} ] }}\n"
        f" coordIndex [ {fans} ]\n texCoord TextureCoordinate {{ point [ {places} ] }}\n"
        f" texCoordIndex [ {fans} ]\n}} }}\n".encode(),
    )
    lines = [*(f"v {x:.4f} {y:.4f} {z:.4f} 0.5 0.5 0.5" for x, y, z in vertices), "vn 0 0 1", "g é", "usemtl a"]
    lines += [f"f {a + 1}//1 {b + 1}//1 {c + 1}//1 {a + 1}//1" for a, b, c in triangles]
    yield "other.obj", ("mtllib other.mtl\n" + "\n".join(lines) + "\n").encode("latin-1")


def _landmarks() -> Files:
    yield "points.txt", b"1.5 2.5 3\n4 5 6\n7 8 9\n"
    yield "vertices.txt", b"3\n1\n7\n"
    yield "places.txt", b"1, 2, 3, 0.2, 0.3, 0.5\n4, 5, 6, 1, 0, 0\n"


def _rigs() -> Files:
    import tempfile

    from lineament.rig import load_rig, save_rig

    rig = load_rig()
    few = 80  # of its vertices, so that mutations hit what matters
    faces = np.arange(few - few % 3, dtype=np.int32).reshape(-1, 3)
    small = replace(
        rig,
        mean=rig.mean[:few],
        faces=faces,
        uv=rig.uv[:few],
        part=rig.part[:few],
        face_part=rig.face_part[: len(faces)],
        identity=rig.identity[:3, :few],
        identity_std=rig.identity_std[:3],
        expression=rig.expression[:2, :few],
        expression_names=rig.expression_names[:2],
        expression_std=rig.expression_std[:2],
        landmarks=np.arange(len(rig.landmarks), dtype=np.int32),
        face_uv=rig.face_uv[:few],
        on_chart=rig.on_chart[: len(faces)],
        contour=rig.contour % few,
        albedo_mean=rig.albedo_mean[:few],
        albedo=rig.albedo[:2, :few],
        regions={name: values[:few] for name, values in list(rig.regions.items())[:2]},
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rig.safetensors"
        save_rig(small, path)
        yield "small.safetensors", path.read_bytes()


def _write_weights(folder: Path) -> None:
    """A small, untrained Cas-FNE with its graphs, once as weights and once as graphs to be damaged."""
    import torch

    from lineament.methods.casfne.method import METHOD
    from lineament.methods.casfne.model import CasFNE
    from lineament.networks.onnx_export import export_graphs
    from lineament.networks.weight_files import save_weights

    torch.manual_seed(0)
    model = CasFNE(TINY)
    for kind in ("weights", "graph"):
        path = folder / kind / "tiny" / "tiny.safetensors"
        path.parent.mkdir(parents=True)
        save_weights(model, path)
        export_graphs(METHOD, path)


def _write_training(folder: Path) -> None:
    """A dataset of small synthetic faces, and a run on it that was finished."""
    from lineament.methods.casfne.recipe import CasFNERecipe
    from lineament.synth.write import write_dataset
    from lineament.training.loop import train

    write_dataset(folder / "synth" / "faces", **FACES)
    run = folder / "run" / "short"
    run.mkdir(parents=True)
    # Relative, so that the same bytes are written wherever the seeds lie.
    with chdir(folder), tiny_network():
        config = run_config(Path("run/short"))
        train(CasFNERecipe(config), config)
    for path in run.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not any(path.match(pattern) for pattern in TARGETS["run"]):
            path.unlink()
