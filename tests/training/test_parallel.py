# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from lineament.training.parallel import agree, average_gradients, dealt, joined, wait


def test_batches_are_dealt_out_without_gap_or_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    numbers: list[int] = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        numbers += islice(dealt(2, "train"), 4)
        assert list(islice(dealt(2, "validation"), 3)) == [2, 3, 4]
    assert sorted(numbers) == list(range(6, 18))


def _member(rank: int, folder: str, port: int) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.manual_seed(rank)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    with joined(torch.device("cpu")):
        agree([network])
        for parameter in network.parameters():
            parameter.grad = torch.full_like(parameter, float(rank))
        average_gradients(network.parameters())
        written = Path(folder) / "written"
        if rank == 0:
            time.sleep(0.5)
            written.touch()
        wait()
        assert written.exists()
    torch.save([*network.state_dict().values(), *(p.grad for p in network.parameters())], f"{folder}/{rank}.pt")


def test_processes_agree_on_weights_and_average_their_gradients(tmp_path: Path) -> None:
    port = 20000 + os.getpid() % 20000
    torch.multiprocessing.spawn(_member, (str(tmp_path), port), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all((gradient == 0.5).all() for gradient in first[-4:])


def test_two_processes_train_one_model(tmp_path: Path, faces: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    port = str(20000 + (os.getpid() + 7) % 20000)
    command += ["--master-port", port, "-m", "lineament", "train", "casfne", "--output", str(run), "--data", str(faces)]
    command += [
        "--size",
        "32",
        "--batch-size",
        "2",
        "--steps",
        "2",
        "--stages",
        "0",
        "--losses",
        "rec",
        "--validation-batches",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 2]  # one log, and one validation in it
    assert (run / "casfne-s.safetensors").exists()
