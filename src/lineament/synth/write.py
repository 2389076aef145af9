# SPDX-License-Identifier: Apache-2.0
"""Synthetic faces on disk: readable pictures of every label, and a manifest.

A dataset is a folder::

    manifest.json          what it is: version, configuration, units, encodings
    samples.jsonl          one line per sample: landmarks, light, coefficients, camera, names of its files
    image/00000000.png     sRGB, 8 bit
    normals/…png           (n + 1) / 2 in 16 bit RGB, camera frame, zero off the head
    smooth_normals/…png    likewise, without wrinkles and pores
    albedo/…png            linear, 16 bit RGB
    depth/…png             16 bit grey, 32768 + 64 · depth in crop pixels, 0 off the head
    mask/…png              8 bit grey: `MaskClass`, 0 being other
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lineament.devices import device_of
from lineament.errors import DataError, NotFiniteError, OutputError, UsageError
from lineament.files.locking import folder_lock
from lineament.files.overwriting import check_foreign
from lineament.files.reading import MAXIMUM_BYTES, parse_json, read_bounded
from lineament.files.writing import write_json
from lineament.options import COUNT, check_number
from lineament.rig import load_rig
from lineament.synth.batch import MaskClass, SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.generator import Generator

Picture = Literal["image", "normals", "smooth_normals", "albedo", "depth", "mask"]
PICTURES: tuple[Picture, ...] = get_args(Picture)

# Not the deformation's weights, hundreds of numbers that say little by themselves: the depth has its shape.
_COEFFICIENTS = {"identity", "asymmetry", "stretch", "profile", "roundness", "expression"}
_LABELS = frozenset({"person", "landmarks", "visible", "light", *_COEFFICIENTS})
DEPTH_STEPS = 64.0  # sixteen-bit steps per crop pixel of depth
DEPTH_ZERO = 32768.0
MOST_PIXELS = 1 << 26
"""Pixels of the largest batch, 1024 samples of 256: each takes some hundred bytes while it is made."""


def write_dataset(
    output: Path,
    count: int,
    config: SynthConfig,
    start: int = 0,
    batch_size: int = 8,
    device: str = "cpu",
    pictures: Sequence[Picture] = PICTURES,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write ``count`` samples; a dataset that is there already is continued after its last sample.

    Args:
        output: Folder, made if missing.
        count: Number of samples in the finished dataset.
        config: The generator's ranges.
        start: Index of the first sample.
        batch_size: Samples made at once.
        device: Where they are made: cpu, cuda, cuda:N, or auto.
        pictures: Which of them to write. Cas-FNE is trained with image, normals and mask; the others take
            disk and time.
        progress: Called with the number of samples written so far.

    Returns:
        The manifest's path.

    Raises:
        UsageError: A number that makes no sense, no such device, or a folder that holds a dataset of another
            configuration.
        NotFiniteError: Samples of extreme options are not finite; they are not written.
        DataError: The folder's manifest or list of samples is damaged.
        OutputError: The folder cannot be written, holds others' files that would be replaced, or another process is
            writing into it.
    """
    check_number("count", count, COUNT, whole=True)
    check_number("start", start, "[0, 1000000000]", whole=True)
    check_number("batch_size", batch_size, COUNT, whole=True)
    if batch_size * config.size**2 > MOST_PIXELS:
        raise UsageError(
            f"{batch_size} samples of {config.size} pixels at once fit into no memory; take a smaller batch_size"
        )
    if not pictures or not set(pictures) <= set(PICTURES):
        raise UsageError(f"pictures must be some of {', '.join(PICTURES)}, not {', '.join(pictures) or 'none'}")
    where = device_of(device)
    if not (output / "manifest.json").exists() and not _begins_as_ours(output / "samples.jsonl"):
        check_foreign(output, ("samples.jsonl", "sheet.png", *(f"{name}/*" for name in pictures)), "dataset")
    with folder_lock(output):
        manifest = {"format": 1, "start": start, "config": asdict(config), "pictures": list(pictures), **_describe()}
        path = output / "manifest.json"
        try:
            if path.exists() and _read_manifest(path) != json.loads(json.dumps(manifest)):
                raise UsageError(f"{output} holds a dataset of another configuration; choose another folder")
            for name in pictures:
                (output / name).mkdir(exist_ok=True)
            write_json(path, manifest)
            lines = output / "samples.jsonl"
            done = _keep_whole_lines(lines, start)
            generator = Generator(config, load_rig(), where)
            with lines.open("a") as stream:
                while done < count:
                    indices = range(start + done, start + min(count, done + batch_size))
                    for line in _write_batch(output, generator.batch(indices), pictures):
                        stream.write(json.dumps(line, allow_nan=False) + "\n")
                    stream.flush()
                    done += len(indices)
                    if progress:
                        progress(done)
        except OSError as error:
            raise OutputError(f"cannot write {error.filename or output}: {error.strerror}") from error
    return path


def _read_manifest(path: Path) -> Any:
    """What a manifest says.

    Raises:
        DataError: It is damaged.
    """
    try:
        return parse_json(read_bounded(path, error=DataError))
    except ValueError as error:
        raise DataError(
            f"{path} is damaged ({error}); delete it and give the same options again: the samples that are there stay, "
            "but nothing can tell any more whether they were made with these options"
        ) from error


def _begins_as_ours(path: Path) -> bool:
    """Whether the first line of a list of samples is one of ours: its manifest may have been damaged and deleted."""
    try:
        return {"index", "files"} <= set(parse_json(read_bounded(path, MAXIMUM_BYTES, DataError).split(b"\n", 1)[0]))
    except (DataError, ValueError, TypeError):
        return False


def _keep_whole_lines(path: Path, start: int) -> int:
    """Cut off a line that a stopped run left half-written; return the number of whole ones.

    Raises:
        DataError: The last whole line is not the one that must stand there.
    """
    if not path.exists():
        return 0
    content = read_bounded(path, MAXIMUM_BYTES, DataError)
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        os.truncate(path, len(whole))
    count = whole.count(b"\n")
    if count:
        try:
            index = parse_json(whole[whole.rfind(b"\n", 0, -1) + 1 :])["index"]
        except (ValueError, KeyError, TypeError):
            index = None
        if index != start + count - 1:
            raise DataError(f"{path} is damaged at line {count}; delete the folder and write the dataset again")
    return count


def _describe() -> dict[str, Any]:
    return {
        "frame": "camera: x right, y up, z towards the viewer",
        "normals": "(n + 1) / 2 · 65535",
        "depth": f"({DEPTH_ZERO:g} + {DEPTH_STEPS:g} · crop pixels), larger is nearer, 0 is off the head",
        "albedo": "linear · 65535",
        "mask": {c.name.lower(): int(c) for c in MaskClass},
        "landmarks": "68, pixels, x right and y down, pixel centres at integer + 0.5",
    }


def _write_batch(output: Path, batch: SampleBatch, wanted: Sequence[Picture]) -> list[dict[str, Any]]:
    """Write the pictures of a batch; return a line for each sample.

    Raises:
        NotFiniteError: A sample has a value that is not finite; nothing of the batch is written.
    """
    for name, tensor in batch.tensors().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            first, last = int(batch.index[0]), int(batch.index[-1])
            raise NotFiniteError(
                f"{name} of the samples {first} to {last} is not finite, and they are not written; the generator's "
                "options are too extreme"
            )
    head = (batch.normals.abs().sum(1, keepdim=True) > 0).cpu()
    depth = torch.where(head, (DEPTH_ZERO + DEPTH_STEPS * batch.depth.cpu()).clamp(1, 65535), 0.0)
    makers: dict[Picture, Callable[[], NDArray[Any]]] = {
        "image": lambda: _pixels(batch.image, 255),
        "normals": lambda: _pixels(torch.where(head, 0.5 * batch.normals.cpu() + 0.5, 0.0), 65535),
        "smooth_normals": lambda: _pixels(torch.where(head, 0.5 * batch.smooth_normals.cpu() + 0.5, 0.0), 65535),
        "albedo": lambda: _pixels(batch.albedo, 65535),
        "depth": lambda: _pixels(depth / 65535, 65535),
        "mask": lambda: batch.mask.permute(0, 2, 3, 1).cpu().numpy(),
    }
    pictures = {name: makers[name]() for name in wanted}
    labels = {
        name: tensor.cpu().tolist()
        for name, tensor in batch.tensors().items()
        if name in _LABELS or name.startswith("camera.")
    }
    lines = []
    for row, index in enumerate(batch.index.tolist()):
        files = {name: f"{name}/{index:08d}.png" for name in pictures}
        for name, picture in pictures.items():
            _write_png(output / files[name], picture[row])
        lines.append({"index": index, "files": files, **{name: value[row] for name, value in labels.items()}})
    return lines


def _pixels(values: Tensor, top: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """[B, C, H, W] in [0, 1] to whole numbers [B, H, W, C] up to ``top``."""
    scaled = (values.clamp(0, 1) * top).round().permute(0, 2, 3, 1).cpu().numpy()
    return scaled.astype(np.uint8) if top == 255 else scaled.astype(np.uint16)


def _write_png(path: Path, picture: NDArray[Any]) -> None:
    import cv2

    # Quick compression: the encoder would otherwise cost more than making the sample.
    order = picture[..., ::-1] if picture.shape[-1] == 3 else picture
    done, encoded = cv2.imencode(".png", order, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OutputError(f"cannot encode {path}")
    path.write_bytes(encoded.tobytes())
