# SPDX-License-Identifier: Apache-2.0
"""Published sets as training data: their training people with true normals, in the very crop that benchmarks show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lineament.annotations.parsing import MaskClass
from lineament.datasets.dataset import Dataset
from lineament.datasets.florence import Florence
from lineament.datasets.ict3drfe import ICT3DRFE
from lineament.datasets.labelled_folder import (
    SAMPLES,
    SKIPPED,
    Picture,
    append_line,
    begin,
    items_done,
    whole_lines,
    write_pictures,
)
from lineament.datasets.photoface import Photoface
from lineament.datasets.sample import Sample
from lineament.errors import DataError, LineamentError, OutputError
from lineament.evaluation.systems.framing import Framing
from lineament.files.locking import folder_lock
from lineament.files.names import printable
from lineament.images.encoding import encode_normals
from lineament.version import __version__

SETS: Mapping[str, type[Dataset]] = {"photoface": Photoface, "florence": Florence, "ict3drfe": ICT3DRFE}
"""Sets with true normals that the papers train on, by name."""

PICTURES: tuple[Picture, ...] = ("image", "normals", "mask")


@dataclass(frozen=True)
class Written:
    """What a folder of crops holds."""

    samples: int
    people: int
    skipped: tuple[str, ...]
    """A line for each item that cannot be used."""


def write_crops(
    name: str,
    root: Path,
    output: Path,
    size: int = 256,
    padding: float = Framing.padding,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Write a set's training people as a folder that trainings read (`lineament train METHOD --data FOLDER`).

    The split is the one that the tables use, so that nobody of the test is learned from. A folder of the same set, size
    and padding that is there already is continued.

    Args:
        name: One of `SETS`.
        root: The set's folder, laid out as its publishers ship it.
        output: The folder to write.
        size: Side of the crops, pixels.
        padding: Margin around the photo, of its longer side, as the tables' ``--padding``.
        progress: Called with the number of items that are done, and of all.

    Raises:
        DataError: The set cannot be read, none of its items has normals, or the folder's lists are damaged.
        UsageError: The folder holds other data.
        OutputError: It cannot be written, or another process is writing into it.
    """
    dataset, framing = SETS[name](root, "train"), Framing(padding)
    people = {subject: number for number, subject in enumerate(dict.fromkeys(i.subject for i in dataset.items))}
    about = {"lineament": __version__, "set": name, "items": len(dataset), "size": size, "padding": padding}
    with folder_lock(output):
        try:
            begin(output, about, PICTURES)
            samples, skipped = output / SAMPLES, output / SKIPPED
            done = items_done(samples, skipped)
            with samples.open("a", encoding="utf-8") as taken, skipped.open("a", encoding="utf-8") as left:
                for index in range(done, len(dataset)):
                    item = dataset.items[index]
                    line = {"index": index, "photo": printable(item.name)}
                    try:
                        pictures = _pictures(dataset.read(item), framing, size)
                    except (LineamentError, OSError, ValueError, KeyError, IndexError, SyntaxError) as error:
                        reason = " ".join(printable(str(error)).split()) or type(error).__name__
                        append_line(left, {**line, "reason": reason})
                    else:
                        files = write_pictures(output, index, pictures)
                        append_line(taken, {**line, "person": people[item.subject], "files": files})
                    if progress:
                        progress(index + 1, len(dataset))
        except OSError as error:
            raise OutputError(f"cannot write {error.filename or output}: {error.strerror}") from error
        count = len(whole_lines(samples))
        if count == 0:
            raise DataError(f"none of {len(dataset)} items of {dataset.NAME} can be used; see {skipped}")
        lines = [line.decode("utf-8", "replace") for line in whole_lines(skipped)]
    return Written(count, len(people), tuple(lines))


def _pictures(sample: Sample, framing: Framing, size: int) -> Mapping[Picture, Any]:
    """A sample as the benchmark's crop shows it, and its truth there."""
    normals, valid = sample.normals_and_mask()
    height, width = sample.image.shape[:2]
    crop = framing.crop(height, width, size)
    seen = crop.normals_from_photo(normals * valid[..., None])
    there = (seen != 0).any(-1)
    return {
        "image": framing.apply(sample.image, size),
        "normals": encode_normals(seen, bits=16),
        "mask": np.where(there, int(MaskClass.SKIN), int(MaskClass.OTHER)).astype(np.uint8),
    }
