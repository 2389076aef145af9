# SPDX-License-Identifier: Apache-2.0
"""`lineament synth`: faces with labels in a folder (needs torch)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from lineament.datasets.labelled_folder import PICTURES, Picture
from lineament.synth.config import SynthConfig
from lineament.synth.write import write_dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Synth:
    """Write synthetic faces with every label, and a manifest. An interrupted run goes on where it stopped."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder."""
    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 16
    """Number of samples."""
    start: int = 0
    """Index of the first sample: folders of one seed with other starts hold other faces."""
    pictures: tuple[Picture, ...] = PICTURES
    """Which pictures to write; image, normals and mask are all that `lineament train` needs."""
    batch_size: int = 8
    """Samples made at once."""
    device: str = "cpu"
    """cpu, cuda, cuda:N, or auto."""
    sheet: bool = True
    """Also write sheet.png, the first samples with their normals, if both are written."""
    config: Annotated[SynthConfig, tyro.conf.arg(name="")] = field(default_factory=SynthConfig)


def run_synth(options: Synth) -> int:
    """Write a dataset."""
    import numpy as np

    from lineament.cli.console import plain_console, progress_bar
    from lineament.datasets.labelled_folder import read_picture
    from lineament.images.write import write_png

    console = plain_console(stderr=True)
    with progress_bar(console, options.count, "making faces") as told:
        write_dataset(
            options.output,
            options.count,
            options.config,
            start=options.start,
            batch_size=options.batch_size,
            device=options.device,
            pictures=options.pictures,
            progress=told,
        )
    if options.sheet and {"image", "normals"} <= set(options.pictures):
        shown = range(options.start, options.start + min(8, options.count))
        rows = [
            np.concatenate([_eight_bits(read_picture(options.output / kind / f"{i:08d}.png")) for i in shown], axis=1)
            for kind in ("image", "normals")
        ]
        write_png(options.output / "sheet.png", np.concatenate(rows, axis=0))
    console.print(f"{options.count} samples: {options.output}")
    return 0


def _eight_bits(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """A picture of 8 or 16 bits as one of 8."""
    return (picture >> (8 * (picture.dtype.itemsize - 1))).astype("uint8")
