# SPDX-License-Identifier: Apache-2.0
"""Labelled crops of faces in a folder: what `lineament synth` and `lineament label` write and trainings read.

A dataset is a folder::

    manifest.json          what it is: version, configuration, units, encodings
    samples.jsonl          one line per sample: landmarks and other labels, names of its files
    image/00000000.png     sRGB, 8 bit
    normals/…png           (n + 1) / 2 in 16 bit RGB, camera frame, zero where there are none
    smooth_normals/…png    likewise, without wrinkles and pores
    albedo/…png            linear, 16 bit RGB
    depth/…png             16 bit grey, 32768 + 64 · depth in crop pixels, 0 where there is none
    mask/…png              8 bit grey: `MaskClass`, 0 being other

Pictures that a dataset does not have are left out. No torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

import numpy as np
from numpy.typing import NDArray

from lineament.annotations.parsing import MaskClass
from lineament.errors import DataError, OutputError, UsageError
from lineament.files.overwriting import check_foreign
from lineament.files.reading import MAXIMUM_BYTES, parse_json, read_bounded
from lineament.files.writing import write_json

Picture = Literal["image", "normals", "smooth_normals", "albedo", "depth", "mask"]
PICTURES: tuple[Picture, ...] = get_args(Picture)

MANIFEST, SAMPLES = "manifest.json", "samples.jsonl"
SKIPPED = "skipped.jsonl"
"""The list of what became no sample (a photo without a face, a damaged one), each with the reason."""
DEPTH_STEPS = 64.0  # sixteen-bit steps per crop pixel of depth
DEPTH_ZERO = 32768.0
VALIDATION_EVERY = 50
"""One person in so many is kept for validation."""


def is_validation(person: int) -> bool:
    """Whether a person's number belongs to the validation split."""
    return person % VALIDATION_EVERY == 0


def labelled_samples(
    folders: tuple[Path, ...], split: str, needs: tuple[str, ...] = (), pictures: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """The lines of datasets that belong to a split, with whole paths.

    Args:
        folders: The datasets.
        split: "train" or "validation".
        needs: Labels that every sample must have.
        pictures: Pictures that every sample must have.

    Raises:
        DataError: A folder without a dataset, with a damaged one or one that lacks a label, or no sample of the split.
    """
    samples: list[dict[str, Any]] = []
    for folder in folders:
        lines = _lines_of(folder)
        if missing := [name for name in needs if lines and name not in lines[0]]:
            raise DataError(f"{folder} was written by an older version, without {missing[0]}; write it again")
        if lacking := [name for name in pictures if lines and name not in lines[0]["files"]]:
            wanted = " ".join(pictures)
            raise DataError(f"{folder} has no {lacking[0]}; write it with `lineament synth --pictures {wanted}`")
        for line in lines:
            if is_validation(line["person"]) == (split == "validation"):
                line["files"] = {name: folder / file for name, file in line["files"].items()}
                samples.append(line)
    if not samples:
        raise DataError(f"{', '.join(map(str, folders)) or 'no folder'} holds no {split} samples; write more of them")
    return samples


def _lines_of(folder: Path) -> list[dict[str, Any]]:
    """What samples.jsonl says; a last line that is still being written is left out."""
    path = folder / SAMPLES
    if not path.exists():
        raise DataError(
            f"{folder} holds no dataset written by `lineament synth` or `lineament label`: there is no {path.name}"
        )
    content = read_bounded(path, MAXIMUM_BYTES, DataError)
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            line = parse_json(text)
            if not isinstance(line["person"], int) or not all(isinstance(f, str) for f in line["files"].values()):
                raise ValueError("no person or no files")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is damaged at line {number} ({error}); write the dataset again") from error
        lines.append(line)
    return lines


def read_picture(path: Path) -> NDArray[Any]:
    """A PNG of a dataset, H×W×3 RGB or H×W, uint8 or uint16.

    Raises:
        DataError: It cannot be read.
    """
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise DataError(f"cannot read {path}")
    return np.asarray(picture[..., ::-1] if picture.ndim == 3 else picture)


def decoded_normals(picture: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Normals [H, W, 3] of a dataset's picture of them, zero where there are none."""
    decoded = picture.astype(np.float32) / np.float32(32767.5) - np.float32(1)
    return np.where(picture.any(-1, keepdims=True), decoded, np.float32(0))


def begin(folder: Path, about: Mapping[str, Any], pictures: Sequence[Picture]) -> None:
    """Write a dataset's manifest; of a dataset that is there already, hold its manifest to this one.

    Args:
        folder: The dataset, locked by the caller (`lineament.files.locking.folder_lock`).
        about: What its manifest says beside its pictures, units and encodings: all that its samples depend on.
        pictures: The ones that it will have.

    Raises:
        UsageError: It holds a dataset of another configuration.
        DataError: Its manifest is damaged.
        OutputError: It cannot be written.
    """
    manifest = {"format": 1, **about, "pictures": list(pictures), **_encodings()}
    path = folder / MANIFEST
    if not path.exists() and not _begins_as_ours(folder / SAMPLES):
        check_foreign(folder, (SAMPLES, "sheet.png", *(f"{name}/*" for name in pictures)), "dataset")
    if path.exists() and _read_manifest(path) != json.loads(json.dumps(manifest)):
        raise UsageError(f"{folder} holds a dataset of another configuration; choose another folder")
    for name in pictures:
        (folder / name).mkdir(exist_ok=True)
    write_json(path, manifest)


def _begins_as_ours(path: Path) -> bool:
    """Whether the first line of a list of samples is one of ours: its manifest may have been damaged and deleted."""
    try:
        return {"index", "files"} <= set(parse_json(read_bounded(path, MAXIMUM_BYTES, DataError).split(b"\n", 1)[0]))
    except (DataError, ValueError, TypeError):
        return False


def _encodings() -> dict[str, Any]:
    return {
        "frame": "camera: x right, y up, z towards the viewer",
        "normals": "(n + 1) / 2 · 65535",
        "depth": f"({DEPTH_ZERO:g} + {DEPTH_STEPS:g} · crop pixels), larger is nearer, 0 is off the head",
        "albedo": "linear · 65535",
        "mask": {c.name.lower(): int(c) for c in MaskClass},
        "landmarks": "68, pixels, x right and y down, pixel centres at integer + 0.5",
    }


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


def whole_lines(path: Path) -> list[bytes]:
    """The lines of a list; one that a stopped run left half-written is cut off."""
    if not path.exists():
        return []
    content = read_bounded(path, MAXIMUM_BYTES, DataError)
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) != len(content):
        os.truncate(path, len(whole))
    return whole.splitlines()


def items_done(samples: Path, skipped: Path) -> int:
    """How many of a source's items are done, in order; each has its line in one of two lists.

    Raises:
        DataError: The lists do not go together.
    """
    indices = [index_of(line) for path in (samples, skipped) for line in whole_lines(path)]
    if sorted(-1 if index is None else index for index in indices) != list(range(len(indices))):
        raise DataError(f"{samples} or {skipped.name} is damaged; delete the folder and write it again")
    return len(indices)


def append_line(stream: TextIO, line: Mapping[str, Any]) -> None:
    """Add a line to one of the lists, at once."""
    stream.write(json.dumps(line, allow_nan=False) + "\n")
    stream.flush()


def index_of(line: bytes) -> int | None:
    """The index that a line of a list says, or None where it is damaged."""
    try:
        index = parse_json(line)["index"]
    except (ValueError, KeyError, TypeError):
        return None
    return index if isinstance(index, int) else None


def write_pictures(folder: Path, index: int, pictures: Mapping[Picture, NDArray[Any]]) -> dict[str, str]:
    """Write a sample's pictures, H×W or H×W×C uint8 or uint16; return their names by kind.

    Raises:
        OutputError: One of them cannot be encoded.
    """
    files: dict[str, str] = {}
    for name, picture in pictures.items():
        files[name] = f"{name}/{index:08d}.png"
        _write_png(folder / files[name], picture)
    return files


def _write_png(path: Path, picture: NDArray[Any]) -> None:
    import cv2

    # Quick compression: the encoder would otherwise cost more than making the sample.
    order = picture[..., ::-1] if picture.shape[-1] == 3 else picture
    done, encoded = cv2.imencode(".png", order, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise OutputError(f"cannot encode {path}")
    path.write_bytes(encoded.tobytes())
