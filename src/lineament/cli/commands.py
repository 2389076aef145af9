# SPDX-License-Identifier: Apache-2.0
"""All commands: which there are, their options, their errors in one line each."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lineament.errors import BROKEN_PIPE, EXIT_CODES, OutputError, UsageError

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

`lineament COMMAND --help` lists a command's options; --debug shows the details of errors.

Exit codes; of several photos, the first failure's, the others being done all the same:
"""


def run(words: list[str]) -> int:
    """Run the command that the words after ``lineament`` ask for; see `lineament.cli.main`."""
    _prepare_streams()
    try:
        with _logging("--debug" in words), _quiet_decoders("--debug" in words):
            code = _reported([word for word in words if word != "--debug"])
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _leave_standard_output()
        return BROKEN_PIPE
    except OSError as error:  # of the flush: all others are reported
        _leave_standard_output()
        _say(f"cannot write to standard output: {error.strerror or error}")
        return OutputError.exit_code


def _reported(words: list[str]) -> int:
    """Run a command and report its error in one line."""
    try:
        return _run(words)
    except SystemExit as stop:  # tyro's way to end after --help or a wrong option
        return stop.code if isinstance(stop.code, int) else UsageError.exit_code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except BaseException as error:  # extensions raise kinds of their own that are no Exception
        from lineament.cli.console import described

        line, code = described(error)
        _say(line)
        return code


def _prepare_streams() -> None:
    """Let the standard streams take every character, and be there."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process runs
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _logging(debug: bool) -> Iterator[None]:
    """Log warnings in plain lines on standard error, with ``debug`` also the details of our own errors."""
    ours, root = logging.getLogger("lineament"), logging.getLogger()
    handler, level = logging.StreamHandler(), ours.level
    handler.setFormatter(_PlainFormatter("lineament: %(message)s"))
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG if debug else level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


@contextmanager
def _quiet_decoders(debug: bool) -> Iterator[None]:
    """Keep decoders from printing beside the one line that says what is wrong with a file."""
    if not debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # read when OpenCV is imported
    with warnings.catch_warnings():
        if not debug:
            warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


class _PlainFormatter(logging.Formatter):
    """Messages with control characters spelt out, whatever file names they hold."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message, without the traceback that may follow it."""
        from lineament.files.names import printable

        return printable(super().formatMessage(record))


def _say(line: str) -> None:
    """A line on standard error, if that can be written."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"lineament: {line}\n")
        sys.stderr.flush()


def _leave_standard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    if command in ("--help", "-h"):
        codes = "".join(f"  {code:>3}  {meaning}\n" for code, meaning in EXIT_CODES.items())
        sys.stdout.write(_HELP + codes)
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
        raise UsageError(f"`lineament {command}` needs PyTorch: pip install 'lineament[train]'")
    return _dispatch(command, rest)


def _dispatch(command: str, rest: list[str]) -> int:
    """Parse a command's options and run it; only what the command needs is imported."""
    import tyro

    kind = ""
    if command in _KINDS:
        if not rest or rest[0] not in _KINDS[command]:
            raise UsageError(f"`lineament {command}` must be followed by: {' or '.join(_KINDS[command])}")
        kind, rest = rest[0], rest[1:]
    if command == "estimate":
        from lineament.cli.arguments import check_lists
        from lineament.cli.estimate import LISTS, Estimate, run_estimate

        check_lists(rest, **LISTS)
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
