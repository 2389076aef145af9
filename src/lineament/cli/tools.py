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
    """A .safetensors file that `lineament train` wrote."""


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

    check_outputs([options.output], [options.path])
    console = plain_console(stderr=True)
    rig = build_from_path(options.path, options.output, console.print)
    console.print(
        f"{len(rig.mean)} vertices, {len(rig.identity)} identity and {len(rig.expression)} expression shapes: "
        f"{options.output}"
    )
    return 0


def run_export(options: Export) -> int:
    """Export graphs."""
    from lineament.cli.console import plain_console
    from lineament.methods.discovery import component_of
    from lineament.networks.onnx_export import export_graphs

    paths = export_graphs(component_of(options.weights), options.weights)
    plain_console(stderr=True).print("\n".join(map(str, paths)))
    return 0
