# SPDX-License-Identifier: Apache-2.0
"""`lineament rig build`, `lineament export`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from lineament.errors import UsageError
from lineament.files.overwriting import check_outputs


@dataclass(frozen=True)
class RigBuild:
    """Build a face rig from ICT-FaceKit: its folder, or an npz of the full model."""

    path: Annotated[Path, tyro.conf.Positional]
    """ICT-FaceKit's FaceXModel folder, or the npz."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("rig.safetensors"))
    """The rig's file."""

    def __post_init__(self) -> None:
        if self.output.is_dir():
            raise UsageError(f"output must be a file, but {self.output} is a folder")


@dataclass(frozen=True)
class Export:
    """Write the ONNX graphs that belong to trained weights, beside them: NAME.PART.onnx for NAME.safetensors. Graphs
    that are there are replaced; any other file of such a name is refused."""

    weights: Annotated[Path, tyro.conf.Positional]
    """A .safetensors file that `lineament train` wrote; with --ema the folder of a run."""
    ema: bool = False
    """Take the averaged weights out of the run's latest checkpoint first, as averaged.safetensors in its folder: what a
    run has learned that was stopped, or that still goes on."""

    def __post_init__(self) -> None:
        if self.ema and not self.weights.is_dir():
            raise UsageError(f"--ema is for the folder of a run, and {self.weights} is none")
        if not self.ema and self.weights.is_dir():
            raise UsageError(
                f"{self.weights} is a folder: name a weights file in it, or take --ema for what a stopped run learned"
            )


def rig_kinds() -> dict[str, str]:
    """What can be done with rigs."""
    return {"build": "build a face rig from ICT-FaceKit"}


def run_version(words: Sequence[str]) -> int:
    """Print the version."""
    from lineament.version import __version__

    sys.stdout.write(f"lineament {__version__}\n")
    return 0


def run_rig_build(kind: str, options: RigBuild) -> int:
    """Build a rig."""
    from lineament.cli.console import plain_console
    from lineament.rig.build import build_from_path
    from lineament.synth.skin_statistics import mean_and_components

    check_outputs([options.output], [options.path])
    console = plain_console(stderr=True)
    rig = build_from_path(options.path, options.output, console.print, mean_and_components)
    console.print(
        f"{len(rig.mean)} vertices, {len(rig.identity)} identity, {len(rig.expression)} expression and "
        f"{len(rig.albedo)} albedo shapes: {options.output}"
    )
    return 0


def run_export(options: Export) -> int:
    """Export graphs."""
    from lineament.cli.console import plain_console
    from lineament.methods.discovery import all_components, component_of
    from lineament.networks.onnx_export import export_graphs
    from lineament.weights.file import read_method

    console = plain_console(stderr=True)
    weights = options.weights
    if options.ema:
        from lineament.training.checkpoint import export_averaged

        weights = export_averaged(options.weights)
        console.print(str(weights))
        # What only training uses has no graphs, nor has the first step of a training of several.
        whole = {c.weights_format.name: c for c in all_components().values() if c.graphs is not None}
        if read_method(weights) not in whole:
            return 0
    console.print("\n".join(map(str, export_graphs(component_of(weights), weights))))
    return 0
