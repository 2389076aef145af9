# SPDX-License-Identifier: Apache-2.0
"""`lineament synth`, `lineament rig build`, `lineament export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.progress import Progress


@dataclass(frozen=True)
class Synth:
    """Write synthetic faces with every label, and a manifest. An interrupted run goes on where it stopped."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder."""
    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 16
    """Number of samples."""
    size: int = 256
    """Side of the pictures, pixels."""
    seed: int = 0
    """The same seed gives the same faces."""
    identities: int = 0
    """Number of people, a multiple of 50; 0 gives every photo its own."""
    batch_size: int = 8
    device: str = "cpu"
    sheet: bool = True
    """Also write sheet.png, the first samples with their normals."""


@dataclass(frozen=True)
class RigBuild:
    """Build a face rig from ICT-FaceKit: its folder, or an npz of the full model."""

    path: Annotated[Path, tyro.conf.Positional]
    """ICT-FaceKit's FaceXModel folder, or the npz."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("rig.safetensors"))
    """The rig's file."""


@dataclass(frozen=True)
class Export:
    """Write the ONNX graphs that belong to trained weights, beside them."""

    weights: Annotated[Path, tyro.conf.Positional]
    """A .safetensors file that `lineament train` wrote."""


def run_synth(options: Synth) -> int:
    """Write a dataset."""
    import cv2
    import numpy as np

    from lineament.cli.console import plain_console
    from lineament.synth.config import SynthConfig
    from lineament.synth.write import write_dataset

    console = plain_console(stderr=True)
    config = SynthConfig(size=options.size, seed=options.seed, identities=options.identities)
    with _bar(console) as bar:
        task = bar.add_task("making faces", total=options.count)
        write_dataset(
            options.output,
            options.count,
            config,
            batch_size=options.batch_size,
            device=options.device,
            progress=lambda done: bar.update(task, completed=done),
        )
    if options.sheet:
        shown = range(min(8, options.count))
        rows = [
            np.concatenate([cv2.imread(str(options.output / kind / f"{i:08d}.png")) for i in shown], axis=1)
            for kind in ("image", "normals")
        ]
        cv2.imwrite(str(options.output / "sheet.png"), np.concatenate(rows, axis=0))
    console.print(f"{options.count} samples: {options.output}")
    return 0


def run_rig_build(options: RigBuild) -> int:
    """Build a rig."""
    from lineament.cli.console import plain_console
    from lineament.rig.build import build_from_path

    rig = build_from_path(options.path, options.output)
    plain_console(stderr=True).print(
        f"{len(rig.mean)} vertices, {len(rig.identity)} identity and {len(rig.expression)} expression shapes: "
        f"{options.output}"
    )
    return 0


def run_export(options: Export) -> int:
    """Export graphs."""
    from lineament.cli.console import plain_console
    from lineament.runtime.export import export_graphs

    paths = export_graphs(options.weights)
    plain_console(stderr=True).print("\n".join(map(str, paths)))
    return 0


def _bar(console: object) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    assert isinstance(console, Console)
    return Progress(console=console, transient=True)
