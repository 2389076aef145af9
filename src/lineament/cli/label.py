# SPDX-License-Identifier: Apache-2.0
"""`lineament label`: photos with what a method says of them, as a dataset for trainings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from lineament.files.overwriting import check_outputs
from lineament.methods.discovery import DEFAULT_WEIGHTS, all_methods
from lineament.options import check_options


def _methods_help() -> str:
    return f"The guide: {', '.join(all_methods())}, or a path to weights (.safetensors)."


@dataclass(frozen=True)
class Label:
    """Write the largest face of each photo with mask, normals and depth of a method, as `lineament synth` writes faces.

    An interrupted run goes on where it stopped. Photos without a face, or that cannot be read, are listed in
    skipped.jsonl.
    """

    photos: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO...")]
    """Photos: files, folders, globs."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder."""
    method: Annotated[str, tyro.conf.arg(help=_methods_help())] = DEFAULT_WEIGHTS
    size: int = 256
    """Side of the crops, pixels."""

    INTERVALS: ClassVar[dict[str, str]] = {"size": "[32, 4096]"}

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)


def run_label(options: Label) -> int:
    """Label photos; those without a face are told at the end and make no error as long as there is one with a face."""
    from lineament.cli.console import plain_console, progress_bar
    from lineament.images.read import find_images
    from lineament.pipeline.estimator import load
    from lineament.pipeline.labels import label_photos

    photos = find_images(options.photos)
    check_outputs([options.output], photos)
    console = plain_console(stderr=True)
    with progress_bar(console, len(photos), "labelling") as told:
        written = label_photos(
            photos,
            options.output,
            load(options.method),
            options.size,
            progress=told,
        )
    for name, reason in written.skipped:
        console.print(f"{name} skipped: {reason}")
    console.print(f"{written.samples} of {len(photos)} photos labelled: {options.output}")
    return 0
