# SPDX-License-Identifier: Apache-2.0
"""Reading the datasets that `lineament synth` wrote, one sample at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import DataError
from lineament.files.reading import MAXIMUM_BYTES, parse_json, read_bounded
from lineament.synth.stream import is_validation


def labelled_samples(
    folders: tuple[Path, ...], split: str, needs: tuple[str, ...] = (), pictures: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """The lines of datasets written by `lineament synth` that belong to a split, with whole paths.

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
    path = folder / "samples.jsonl"
    if not path.exists():
        raise DataError(f"{folder} holds no dataset written by `lineament synth`: there is no {path.name}")
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
