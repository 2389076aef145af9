# SPDX-License-Identifier: Apache-2.0
"""Errors nobody foresaw, closed pipes, full disks, narrow encodings and Ctrl-C: quiet, or one line each."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from lineament import errors
from lineament.cli import main
from lineament.errors import EXIT_CODES, LineamentError, NoFaceError

PYTHON = [sys.executable, "-m", "lineament"]
posix = pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell's streams")


def ran(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    found = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run([*PYTHON, *words], check=False, **found)  # type: ignore[call-overload, no-any-return]


class Panic(BaseException):
    """As Rust's extensions raise."""


@pytest.mark.parametrize("kind", [ValueError, Panic, MemoryError])
def test_an_unforeseen_error_of_a_photo_is_one_line_and_the_rest_goes_on(
    kind: type[BaseException], portrait: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lineament.images import read

    bad = portrait.with_name("a-bad.png")
    bad.write_bytes(portrait.read_bytes())
    real = read.read_frames

    def broken(path: Path) -> object:
        if path.name == bad.name:
            raise kind("out of\nluck \x1b[31m")
        return real(path)

    words = ["check", str(portrait.parent)]
    with mock.patch.object(read, "read_frames", broken):
        assert main(words) == 1
        plain = capsys.readouterr()
        assert main([*words, "--debug"]) == 1
        loud = capsys.readouterr()
    assert "astronaut.png: 1 face" in plain.out
    said = (
        "not enough memory" if kind is MemoryError else f"unexpected {kind.__name__}: out of luck \\x1b[31m; run with"
    )
    assert plain.err.startswith(f"lineament: {bad}: {said}")
    assert len(plain.err.splitlines()) == 1
    assert "Traceback" in loud.err
    assert "in broken" in loud.err


def test_an_unforeseen_error_outside_a_batch_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with mock.patch("lineament.pipeline.estimator.load", side_effect=RuntimeError("a b")):
        assert main(["estimate", "x.jpg"]) == 1
    assert capsys.readouterr().err == "lineament: unexpected RuntimeError: a b; run with --debug for details\n"


def test_advice_is_in_the_words_of_the_interface(capsys: pytest.CaptureFixture[str]) -> None:
    error = NoFaceError("x.jpg: no face", python="lower min_score=", cli="lower --min-score")
    assert str(error) == "x.jpg: no face; lower min_score="
    with mock.patch("lineament.pipeline.estimator.load", side_effect=error):
        assert main(["estimate", "x.jpg"]) == 7
    assert capsys.readouterr().err == "lineament: x.jpg: no face; lower --min-score\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--outputs", "depth", "mesh", "x.jpg"], "in one word: --outputs depth,mesh"),
        (["x.jpg", "--outputs", "mesh", "--mesh-formats", "glb", "obj"], "in one word: --mesh-formats glb,obj"),
        (["x.jpg", "--mesh-formats", "obj"], "ask for one with --outputs mesh"),
    ],
)
def test_lists_are_one_word(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", *words]) == 2
    assert said in capsys.readouterr().err


def test_every_exit_code_is_in_the_table() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LineamentError)]
    assert {kind.exit_code for kind in kinds} <= set(EXIT_CODES)
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES


@posix
def test_a_closed_pipe_and_a_full_disk(portrait: Path, tmp_path: Path) -> None:
    for words in (["--help"], ["faces", str(portrait), "-o", str(tmp_path / "out")]):
        parsing, writing = os.pipe()
        os.close(parsing)
        run = ran(*words, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
        os.close(writing)
        assert (run.returncode, run.stderr) == (141, "")
    assert not (tmp_path / "out").exists()
    if Path("/dev/full").exists():
        with open("/dev/full", "w") as full:
            run = ran("check", str(portrait), capture_output=False, stdout=full, stderr=subprocess.PIPE)
            assert run.returncode == 9
            assert run.stderr.splitlines() == ["lineament: cannot write to standard output: No space left on device"]
            run = ran("--help", capture_output=False, stdout=full, stderr=full)
            assert run.returncode == 9


def test_a_narrow_encoding(portrait: Path) -> None:
    run = ran("check", str(portrait), "nö.png", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert run.returncode == 3
    assert "turned" in run.stdout
    assert run.stderr == "lineament: n\\xf6.png: no such file\n"


@posix
def test_ctrl_c_at_any_time(portrait: Path, tiny_weights: Path, tmp_path: Path) -> None:
    words = ["estimate", *[str(portrait)] * 2, "-o", str(tmp_path / "out"), "--method", str(tiny_weights)]
    code = "import sys\nfrom lineament.cli import main\nprint(end='.', flush=True)\nraise SystemExit(main())"
    for pause in (0.0, 0.1, 0.25):
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.read(1)
        time.sleep(0.005 + pause)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "lineament: interrupted\n"
        assert process.returncode == 130
    assert not (tmp_path / "out").exists()
