# SPDX-License-Identifier: Apache-2.0
"""A few of the kills of `tests/kills/kill.py`, in a process of their own: forks want one without threads."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_killed_commands_go_on_bit_for_bit() -> None:
    words = [sys.executable, "-m", "tests.kills.kill", "--kills", "3", "--seed", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"(\w+): 1 kills, \d of them after the end, 0 files differ", done.stdout)
    assert found == ["estimate", "synth", "train"]
