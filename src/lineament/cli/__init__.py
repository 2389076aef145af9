# SPDX-License-Identifier: Apache-2.0
"""The command line: thin, made from dataclasses, one line per error."""

from __future__ import annotations

import importlib.util
import logging
import sys
import textwrap
from collections.abc import Sequence

_INTERRUPTED = 130
_TORCH_COMMANDS = frozenset({"synth", "train", "export", "bench", "ablate"})

_TABLES = (
    "yaleb",
    *("photoface-table2", "florence-table3"),
    *("casfne-table1", "casfne-table2", "casfne-table3"),
    *("hffne-table1", "hffne-table2", "hffne-table3"),
    "df2net-table2",
    *("hrn-table1-wild", "hrn-table1-lab", "hrn-table1-realy", "hrn-table2-facescape", "hrn-table2-esrc"),
    *("hrn-table3", "hrn-table4"),
    *("l2r-table2", "l2r-table3", "l2r-table4", "l2r-table5", "l2r-table6", "l2r-table7"),
)
_KINDS = {
    "evaluate": _TABLES,
    "ablate": ("casfne", "hffne"),
    "train": ("casfne", "hffne", "df2net", "albedo", "finder", "reader", "features"),
    "rig": ("build",),
}
"""Commands of two words: the first, and what may follow it."""

_HELP = """\
usage: lineament COMMAND ...

One photo of a face in, its fine geometry out.

  demo                  estimate a photo that comes with a dependency
  estimate PHOTO...     normals, depth, mesh and albedo of every face in photos
  faces PHOTO...        draw the faces that are found in photos
  check PHOTO...        say whether photos are good enough, and what to improve
  evaluate TABLE        measure a method, a peer or stored predictions: yaleb, or any table of the papers
  bench                 parameters, operations and latency of the networks
  ablate casfne, hffne  train each row of the paper's ablation for a small budget
  synth                 write synthetic faces with every label
  train METHOD          train casfne, hffne or df2net
  train finder, reader  train the finder of faces, the reader of landmarks and parts
  train features        train the features that perceptual losses compare
  train albedo          train the network that takes the shading from photos
  export WEIGHTS        write the ONNX graphs of trained weights
  rig build PATH        build a face rig from ICT-FaceKit
  version               say which version this is

`lineament COMMAND --help` lists a command's options.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words after ``lineament``; the process's own by default.

    Returns:
        The exit code: 0, an error's own (see `lineament.errors`), or 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    logging.basicConfig(format="lineament: %(message)s", level=logging.WARNING)
    from lineament.errors import LineamentError

    try:
        return _run(words)
    except LineamentError as error:
        sys.stderr.write(f"lineament: {' '.join(str(error).split())}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("lineament: interrupted\n")
        return _INTERRUPTED
    except SystemExit as stop:  # tyro's way to end after --help or a wrong option
        return stop.code if isinstance(stop.code, int) else 2


def _run(words: list[str]) -> int:
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    if command in ("--help", "-h"):
        sys.stdout.write(_HELP)
        return 0
    if command in ("version", "--version"):
        from lineament.version import __version__

        sys.stdout.write(f"lineament {__version__}\n")
        return 0
    if command in _KINDS and rest[:1] in (["--help"], ["-h"]):
        kinds = textwrap.fill(
            ", ".join(_KINDS[command]), 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
        sys.stdout.write(f"usage: lineament {command} KIND ...\n\nKIND is one of\n{kinds}\n\n")
        sys.stdout.write(f"`lineament {command} {_KINDS[command][0]} --help` lists its options.\n")
        return 0
    if command in _TORCH_COMMANDS and importlib.util.find_spec("torch") is None:
        from lineament.errors import UsageError

        raise UsageError(f"`lineament {command}` needs PyTorch: pip install 'lineament[train]'")
    return _dispatch(command, rest)


def _dispatch(command: str, rest: list[str]) -> int:
    """Parse a command's options and run it; only what the command needs is imported."""
    import tyro

    from lineament.errors import UsageError

    kind = ""
    if command in _KINDS:
        if not rest or rest[0] not in _KINDS[command]:
            raise UsageError(f"`lineament {command}` must be followed by: {' or '.join(_KINDS[command])}")
        kind, rest = rest[0], rest[1:]
    if command == "estimate":
        from lineament.cli.estimate import Estimate, run_estimate

        return run_estimate(tyro.cli(Estimate, prog="lineament estimate", args=rest))
    if command == "demo":
        from lineament.cli.estimate import Demo, run_demo

        return run_demo(tyro.cli(Demo, prog="lineament demo", args=rest))
    if command == "faces":
        from lineament.cli.faces import FindFaces, run_faces

        return run_faces(tyro.cli(FindFaces, prog="lineament faces", args=rest))
    if command == "check":
        from lineament.cli.check import Check, run_check

        return run_check(tyro.cli(Check, prog="lineament check", args=rest))
    if command == "synth":
        from lineament.cli.synth import Synth, run_synth

        return run_synth(tyro.cli(Synth, prog="lineament synth", args=rest))
    if command == "export":
        from lineament.cli.tools import Export, run_export

        return run_export(tyro.cli(Export, prog="lineament export", args=rest))
    if command == "evaluate":
        from lineament.cli.evaluate import EvaluateTable, EvaluateYaleB, evaluate_table, evaluate_yaleb

        if kind == "yaleb":
            return evaluate_yaleb(tyro.cli(EvaluateYaleB, prog="lineament evaluate yaleb", args=rest))
        return evaluate_table(kind, tyro.cli(EvaluateTable, prog=f"lineament evaluate {kind}", args=rest))
    if command == "bench":
        from lineament.cli.measure import Bench, run_bench

        return run_bench(tyro.cli(Bench, prog="lineament bench", args=rest))
    if command == "ablate":
        from lineament.cli.measure import Ablate, run_ablate

        return run_ablate(kind, tyro.cli(Ablate, prog=f"lineament ablate {kind}", args=rest))
    if command == "train":
        from lineament.cli.train import run_train

        return run_train(kind, rest)
    if command == "rig":
        from lineament.cli.tools import RigBuild, run_rig_build

        return run_rig_build(tyro.cli(RigBuild, prog="lineament rig build", args=rest))
    raise UsageError(f"no command `{' '.join([command, *rest[:1]])}`; `lineament --help` lists them")
