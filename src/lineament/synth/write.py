# SPDX-License-Identifier: Apache-2.0
"""Synthetic faces on disk: readable pictures of every label, and a manifest (`lineament.datasets.labelled_folder`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lineament.datasets.labelled_folder import (
    DEPTH_STEPS,
    DEPTH_ZERO,
    MANIFEST,
    PICTURES,
    SAMPLES,
    Picture,
    begin,
    index_of,
    whole_lines,
    write_pictures,
)
from lineament.devices import device_of
from lineament.errors import DataError, NotFiniteError, OutputError, UsageError
from lineament.files.locking import folder_lock
from lineament.files.reading import parse_json, read_bounded
from lineament.options import COUNT, check_number
from lineament.rig import load_rig
from lineament.synth.batch import SampleBatch
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.generator import Generator

# Not the deformation's weights, hundreds of numbers that say little by themselves: the depth has its shape.
_COEFFICIENTS = {"identity", "asymmetry", "stretch", "profile", "curvature", "expression"}
_LABELS = frozenset({"person", "landmarks", "visible", "light", *_COEFFICIENTS})
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
    with folder_lock(output):
        try:
            begin(output, {"start": start, "config": asdict(config)}, pictures)
            lines = output / SAMPLES
            done = _samples_there(lines, start)
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
    return output / MANIFEST


def config_of(folder: Path) -> SynthConfig:
    """The generator's ranges that a dataset was written with.

    Raises:
        DataError: The folder's manifest is missing, damaged or not of `write_dataset`.
    """
    path = folder / MANIFEST
    try:
        said = parse_json(read_bounded(path, error=DataError))["config"]
        return SynthConfig(**{**said, "degrade": DegradeConfig(**said["degrade"])})
    except (ValueError, KeyError, TypeError, UsageError) as error:
        raise DataError(
            f"{folder} does not say how its faces were made: write it with `lineament synth` of this version"
        ) from error


def _samples_there(path: Path, start: int) -> int:
    """How many whole lines a list of samples has.

    Raises:
        DataError: The last one is not the one that must stand there.
    """
    lines = whole_lines(path)
    if lines and index_of(lines[-1]) != start + len(lines) - 1:
        raise DataError(f"{path} is damaged at line {len(lines)}; delete the folder and write the dataset again")
    return len(lines)


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
        files = write_pictures(output, index, {name: picture[row] for name, picture in pictures.items()})
        lines.append({"index": index, "files": files, **{name: value[row] for name, value in labels.items()}})
    return lines


def _pixels(values: Tensor, top: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """[B, C, H, W] in [0, 1] to whole numbers [B, H, W, C] up to ``top``."""
    scaled = (values.clamp(0, 1) * top).round().permute(0, 2, 3, 1).cpu().numpy()
    return scaled.astype(np.uint8) if top == 255 else scaled.astype(np.uint16)
