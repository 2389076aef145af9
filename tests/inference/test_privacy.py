# SPDX-License-Identifier: Apache-2.0
"""Estimation writes where it is told to and nowhere else, and reaches for no network."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from skimage import data, io

ROOT = Path(__file__).parents[2]

# Runs commands with every socket refused, and prints each file that Python opens for writing and each refused socket.
GUARDED = """
import os, sys

def guard(event, args):
    if event.startswith("socket."):
        print("SOCKET", event, args, flush=True)
        raise PermissionError("no network")
    if event == "open" and isinstance(args[0], (str, bytes)) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print("WRITES", os.path.abspath(os.fsdecode(args[0])), flush=True)

sys.addaudithook(guard)
from lineament.cli import main

photo, out = sys.argv[1:]
box = ["--face-box", "174,72,96,96"]
assert main(["check", photo]) == 0
assert main(["estimate", photo, "-o", out, "--outputs", "normals,depth,mesh,albedo", *box]) == 0
import time
time.sleep(0.5)  # what a thread of a library begins shows within this
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    (folder / "tmp").mkdir(parents=True)
    return folder


def environment(home: Path) -> dict[str, str]:
    """That of a person's own machine: what quiets libraries on build machines is left out, and ours, too."""
    quiet = ("CI", "ORT_", "XDG_", "TF_BUILD", "GITHUB_", "GITLAB_", "BUILD_", "JENKINS_", "TRAVIS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(quiet)}
    return kept | {"HOME": str(home), "TMPDIR": str(home / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}


def test_estimation_leaves_no_file_and_opens_no_socket(home: Path, tmp_path: Path) -> None:
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    io.imsave(photo, data.astronaut(), check_contrast=False)
    words = [sys.executable, "-c", GUARDED, str(photo), str(out)]
    trace = tmp_path / "trace"
    if strace := shutil.which("strace"):  # sees the calls of native code, which Python does not
        words = [strace, "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o", str(trace), *words]
    done = subprocess.run(words, env=environment(home), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path for path in home.rglob("*") if path != home / "tmp"] == []
    assert "SOCKET" not in done.stdout
    written = {Path(line.removeprefix("WRITES ")) for line in done.stdout.splitlines() if line.startswith("WRITES ")}
    written -= {Path(os.devnull)}
    assert written  # the guard sees our own files
    assert {path for path in written if out not in path.parents} == set()
    if trace.exists():
        assert re.findall(r"^.*(?:AF_INET|connect\().*$", trace.read_text(), re.MULTILINE) == []


def test_telemetry_is_off_before_onnx_runtime_can_be_imported(home: Path) -> None:
    code = (
        "import sys, os, lineament; "
        "assert 'onnxruntime' not in sys.modules; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    )
    for given in ({}, {"ORT_DISABLE_TELEMETRY": "0"}):
        assert subprocess.run([sys.executable, "-c", code], env=environment(home) | given, check=False).returncode == 0


def test_one_module_imports_onnx_runtime() -> None:
    importing = set()
    for path in [p for room in ("src", "tests", "benchmarks", "docs") for p in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "onnxruntime" for name in names):
                importing.add(path.relative_to(ROOT).as_posix())
    assert importing == {"src/lineament/inference/engine.py"}
