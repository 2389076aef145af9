# SPDX-License-Identifier: Apache-2.0
"""Datasets on disk: one writer, written whole, damage said with the way to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from lineament.cli import main
from lineament.errors import DataError, NotFiniteError, OutputError
from lineament.files.locking import folder_lock
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.synth.config import SynthConfig
from lineament.synth.generator import Generator
from lineament.synth.write import write_dataset
from lineament.training.loop import train

SMALL = SynthConfig(size=32, identities=50)
HOLD = """
import sys, time
from pathlib import Path
from lineament.files.locking import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a folder's lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_writer_is_refused_at_once_and_a_dead_one_blocks_nobody(tmp_path: Path, faces: Path) -> None:
    run = CasFNETrainConfig(tmp_path, data=(faces,), size=64, stages=0, losses=("rec",), steps=1, validation_batches=1)
    with holder(tmp_path) as other:
        with pytest.raises(OutputError, match="another process is writing into"):
            write_dataset(tmp_path, 1, SMALL)
        with pytest.raises(OutputError, match="another process is writing into"):
            train(CasFNERecipe(run), run)
        assert {path.name for path in tmp_path.iterdir()} == {".lock"}
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    write_dataset(tmp_path, 1, SMALL)


def test_a_lock_is_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="by chance"), folder_lock(tmp_path / "new"):
        raise ValueError("by chance")
    with folder_lock(tmp_path / "new"), pytest.raises(OutputError, match="another"), folder_lock(tmp_path / "new"):
        pass
    stale, foreign = tmp_path / "new" / ".lineament-0123456789ab.png", tmp_path / "new" / ".mine.png"
    stale.touch()  # what a killed process left
    foreign.touch()
    with folder_lock(tmp_path / "new"):
        assert not stale.exists()
        assert foreign.exists()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"), folder_lock(tmp_path / "file"):
        pass


@pytest.mark.parametrize("content", [b"", b'{"format": 1, "sta', b"\xff\xfe\x00", b"[]]"])
def test_a_damaged_manifest_is_said_with_the_way_to_go_on(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["synth", "-o", str(tmp_path), "-n", "2", "--size", "32", "--identities", "50", "--no-sheet"]
    assert main(words) == 0
    whole = (tmp_path / "manifest.json").read_bytes()
    samples = (tmp_path / "samples.jsonl").read_bytes()
    (tmp_path / "manifest.json").write_bytes(content)
    capsys.readouterr()
    assert main(words) == DataError.exit_code
    assert "delete it and give the same options again" in capsys.readouterr().err
    (tmp_path / "manifest.json").unlink()
    assert main(words) == 0
    assert (tmp_path / "manifest.json").read_bytes() == whole
    assert (tmp_path / "samples.jsonl").read_bytes() == samples


def test_a_damaged_list_of_samples_is_not_continued(tmp_path: Path) -> None:
    write_dataset(tmp_path, 3, SMALL)
    lines = (tmp_path / "samples.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "samples.jsonl").write_text(lines[0] + lines[2])
    with pytest.raises(DataError, match="damaged at line 2"):
        write_dataset(tmp_path, 4, SMALL)
    (tmp_path / "samples.jsonl").write_text("".join(lines[:2]) + lines[2][:40])  # cut off, as by a kill
    write_dataset(tmp_path, 3, SMALL)
    assert (tmp_path / "samples.jsonl").read_text() == "".join(lines)


def test_samples_that_are_not_finite_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Generator.batch

    def corrupted(generator: Generator, indices: range) -> object:
        batch = plain(generator, indices)
        batch.landmarks[0, 0, 0] = torch.nan
        return batch

    monkeypatch.setattr(Generator, "batch", corrupted)
    with pytest.raises(NotFiniteError, match="landmarks of the samples 0 to 0 is not finite"):
        write_dataset(tmp_path, 1, SMALL)
    assert (tmp_path / "samples.jsonl").read_text() == ""
    assert not list((tmp_path / "image").iterdir())


def test_the_manifest_appears_whole(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, 1, SMALL)
    assert json.loads(path.read_text())["config"]["size"] == 32
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".") and name != ".lock"]
