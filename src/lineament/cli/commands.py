# SPDX-License-Identifier: Apache-2.0
"""All commands: which there are, their options, their errors in one line each."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import signal
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lineament.errors import BROKEN_PIPE, EXIT_CODES, OutputError, UsageError
from lineament.inference.component import Reference, resolved


@dataclass(frozen=True)
class Command:
    """A command: where it is, and what it says of itself in the list of all."""

    summary: str
    run: Reference
    """A function of the options, or of the words where there are none; with kinds, of the kind before them."""
    options: Reference | None = None
    """A dataclass from which the options are made."""
    arguments: str = ""
    """What follows the command's name, for the list."""
    kinds: Reference | None = None
    """A function that gives what may follow the command's name, and a few words on each."""
    lists: Reference | None = None
    """Options that take several values in one word, each with its values."""
    torch_from: str | None = None
    """The extra that brings PyTorch, if the command needs it."""


COMMANDS = {
    "demo": Command(
        "estimate the photo that ships",
        "lineament.cli.estimate:run_demo",
        "lineament.cli.estimate:Demo",
    ),
    "estimate": Command(
        "normals, depth, mesh and albedo of every face in photos",
        "lineament.cli.estimate:run_estimate",
        "lineament.cli.estimate:Estimate",
        "PHOTO...",
        lists="lineament.cli.estimate:LISTS",
    ),
    "video": Command(
        "steady normals of every face in a video, from a camera or of pictures",
        "lineament.cli.video:run_video",
        "lineament.cli.video:Video",
        "CLIP",
        lists="lineament.cli.video:LISTS",
    ),
    "multiview": Command(
        "one head of several photos of a person",
        "lineament.cli.multiview:run_multiview",
        "lineament.cli.multiview:Multiview",
        "PHOTO...",
        lists="lineament.cli.multiview:LISTS",
        torch_from="fit",
    ),
    "faces": Command(
        "draw the faces that are found in photos",
        "lineament.cli.faces:run_faces",
        "lineament.cli.faces:DetectFaces",
        "PHOTO...",
    ),
    "check": Command(
        "say whether photos are good enough, and what to improve",
        "lineament.cli.check:run_check",
        "lineament.cli.check:Check",
        "PHOTO...",
    ),
    "evaluate": Command(
        "measure a method, a peer or stored predictions: yaleb, or any table of the papers",
        "lineament.cli.evaluate:run_evaluate",
        arguments="TABLE",
        kinds="lineament.cli.evaluate:tables",
    ),
    "bench": Command(
        "parameters, operations and latency of the networks",
        "lineament.cli.measure:run_bench",
        "lineament.cli.measure:Bench",
        torch_from="train",
    ),
    "ablate": Command(
        "train each row of a paper's ablation for a small budget",
        "lineament.cli.measure:run_ablate",
        "lineament.cli.measure:Ablate",
        "METHOD",
        kinds="lineament.cli.measure:ablations",
        torch_from="train",
    ),
    "synth": Command(
        "write synthetic faces with every label",
        "lineament.cli.synth:run_synth",
        "lineament.cli.synth:Synth",
        torch_from="train",
    ),
    "label": Command(
        "write photos' faces with a method's normals and depth, for trainings",
        "lineament.cli.label:run_label",
        "lineament.cli.label:Label",
        "PHOTO...",
    ),
    "crops": Command(
        "write a published set's training people with their true normals, for trainings",
        "lineament.cli.crops:run_crops",
        "lineament.cli.crops:Crops",
        "SET",
        kinds="lineament.cli.crops:sets",
    ),
    "train": Command(
        "train a method or a helper network",
        "lineament.cli.train:run_train",
        arguments="NAME",
        kinds="lineament.cli.train:trainings",
        torch_from="train",
    ),
    "scan-fit": Command(
        "fit the head model to a scan and its photo, for trainings",
        "lineament.cli.scan_fit:run_scan_fit",
        "lineament.cli.scan_fit:ScanFit",
        "SCAN PHOTO",
    ),
    "export": Command(
        "write the ONNX graphs of trained weights, or of a stopped run's",
        "lineament.cli.tools:run_export",
        "lineament.cli.tools:Export",
        "WEIGHTS",
        torch_from="train",
    ),
    "rig": Command(
        "build a face rig from ICT-FaceKit",
        "lineament.cli.tools:run_rig_build",
        "lineament.cli.tools:RigBuild",
        "build PATH",
        kinds="lineament.cli.tools:rig_kinds",
    ),
    "version": Command("say which version this is", "lineament.cli.tools:run_version"),
}

_HEAD = """\
usage: lineament COMMAND ...

One photo of a face in, its fine geometry out.

"""
_FOOT = """
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
    with _noted_interrupts() as interrupts:
        try:
            return _run(words, interrupts)
        except SystemExit as stop:  # tyro's way to end after --help or a wrong option
            return stop.code if isinstance(stop.code, int) else UsageError.exit_code
        except (KeyboardInterrupt, BrokenPipeError):
            raise
        except BaseException as error:  # extensions raise kinds of their own that are no Exception
            if interrupts:  # while an extension was imported, which then says that it failed
                raise KeyboardInterrupt from error
            from lineament.cli.console import described

            line, code = described(error)
            _say(line)
            return code


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """A block in which Ctrl-C is noted as well as raised."""
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread, which alone gets signals
        yield noted
        return
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


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


def _run(words: list[str], interrupts: Sequence[int]) -> int:
    name, rest = (words[0], words[1:]) if words else ("--help", [])
    if name in ("--help", "-h"):
        sys.stdout.write(_help())
        return 0
    name = {"--version": "version"}.get(name, name)
    if name not in COMMANDS:
        raise UsageError(f"no command `{' '.join([name, *rest[:1]])}`; `lineament --help` lists them")
    if empty := next((n for n, word in enumerate(rest, 1) if not word or word.endswith("=")), 0):
        before = f" after {rest[empty - 2]}" if empty > 1 and rest[empty - 1] == "" else ""
        raise UsageError(f"argument {empty} of `lineament {name}`{before} is empty; is a variable of the shell unset?")
    command = COMMANDS[name]
    if command.kinds is None:
        return _dispatch(command, f"lineament {name}", (), rest, interrupts)
    kinds: dict[str, str] = resolved(command.kinds)()
    if rest[:1] in (["--help"], ["-h"]):
        listed = "".join(f"  {kind:<22}  {summary}\n" for kind, summary in kinds.items())
        usage = f"usage: lineament {name} {command.arguments} ...\n\n{command.summary.capitalize()}. There are\n"
        sys.stdout.write(f"{usage}{listed}\n`lineament {name} {next(iter(kinds))} --help` lists its options.\n")
        return 0
    if not rest or rest[0] not in kinds:
        raise UsageError(f"`lineament {name}` must be followed by: {' or '.join(kinds)}")
    return _dispatch(command, f"lineament {name} {rest[0]}", (rest[0],), rest[1:], interrupts)


def _dispatch(command: Command, prog: str, kind: tuple[str, ...], words: list[str], interrupts: Sequence[int]) -> int:
    """Parse a command's options and run it; only what the command needs is imported."""
    if command.torch_from and importlib.util.find_spec("torch") is None:
        raise UsageError(f"`{prog}` needs PyTorch: pip install 'lineament[{command.torch_from}]'")
    run = resolved(command.run)
    if command.options is None:
        return int(run(*kind, words))
    import tyro

    if command.lists is not None:
        from lineament.cli.arguments import check_lists

        check_lists(words, **resolved(command.lists))
    options = tyro.cli(resolved(command.options), prog=prog, args=words)
    if interrupts:  # while a module was imported, in a callback whose errors Python passes over
        raise KeyboardInterrupt
    return int(run(*kind, options))


def _help() -> str:
    """The list of commands, and of exit codes."""
    calls = {name: f"{name} {command.arguments}".strip() for name, command in COMMANDS.items()}
    lines = [f"  {calls[name]:<20}  {command.summary}\n" for name, command in COMMANDS.items()]
    trained = ", ".join(resolved("lineament.cli.train:trainings")())
    lines.append(textwrap.fill(f"NAME is one of {trained}.", 98, initial_indent="\n  ", subsequent_indent="  ") + "\n")
    codes = [f"  {code:>3}  {meaning}\n" for code, meaning in EXIT_CODES.items()]
    return "".join([_HEAD, *lines, _FOOT, *codes])
