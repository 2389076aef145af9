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

from lineament.training.parallel import constant, dealt, joined, wait
from lineament.training.recipe import Learner


def test_batches_are_dealt_out_without_gap_or_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    numbers: list[int] = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        numbers += islice(dealt(2, "train"), 4)
        assert list(islice(dealt(2, "validation"), 3)) == [2, 3, 4]
    assert sorted(numbers) == list(range(6, 18))


class Cascade(nn.Module):
    """A network with a frozen part, a part that no step runs, and one that each step runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.first, self.idle = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.again = nn.Conv2d(3, 3, 1)
        self.frozen.requires_grad_(False)

    def stages(self, image: torch.Tensor) -> list[torch.Tensor]:
        x = self.first(self.frozen(image))
        stages = []
        for _ in range(3):
            x = torch.tanh(self.again(x))
            stages.append(x)
        return stages


STEPS = 3


def _train(rank: int, count: int) -> dict[str, torch.Tensor]:
    """Some steps of a network and its discriminator on this process's share of the batches."""
    torch.manual_seed(rank)  # processes start differently
    network = Cascade().double().to(memory_format=torch.channels_last)
    discriminator = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.LeakyReLU(), nn.Conv2d(4, 1, 3)).double()
    draw = torch.Generator().manual_seed(5)
    pairs = {"model": (network, 0.05), "discriminator": (discriminator, 0.02)}
    learners = {
        name: Learner(module, torch.optim.SGD([p for p in module.parameters() if p.requires_grad], rate), 0.5)
        for name, (module, rate) in pairs.items()
    }
    metrics = {}
    for step in range(STEPS):
        images, truths = (torch.rand(4, 3, 12, 12, generator=draw, dtype=torch.float64) for _ in range(2))
        image, truth = images[rank::count], truths[rank::count]

        def generated(
            image: torch.Tensor = image, truth: torch.Tensor = truth
        ) -> tuple[torch.Tensor, list[torch.Tensor]]:
            stages = network.stages(image)
            loss = sum(((stage - truth) ** 2).mean() for stage in stages)
            with constant(discriminator):
                loss = loss - 0.1 * discriminator(stages[-1]).mean()
            return loss, [stage.detach() for stage in stages]

        _, metrics[f"norm {step}"], stages = learners["model"].descend(generated)
        learners["discriminator"].descend(
            lambda stages=stages, truth=truth: (
                sum(discriminator(stage).square().mean() for stage in stages) - discriminator(truth).mean(),
                None,
            )
        )
    assert network.idle.weight.grad is None or not network.idle.weight.grad.any()
    return {**network.state_dict(), **discriminator.state_dict(), **metrics}


def _member(rank: int, folder: str, port: int) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined(torch.device("cpu")):
        trained = _train(rank, 2)
        written = Path(folder) / "written"
        if rank == 0:
            time.sleep(0.5)
            written.touch()
        wait()
        assert written.exists()
        torch.manual_seed(rank)
        normed = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        learner = Learner(normed, torch.optim.SGD(normed.parameters(), 0.1), 1.0)
        learner.descend(lambda: (normed(torch.rand(2, 3, 8, 8)).square().mean(), None))
    torch.save({"trained": trained, "normed": normed.state_dict()}, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, torch.Tensor]]]:
    """What each of two processes had learned in the end."""
    folder = tmp_path_factory.mktemp("members")
    port = 20000 + os.getpid() % 20000
    torch.multiprocessing.spawn(_member, (str(folder), port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_are_one_with_twice_the_batch(members: list[dict[str, dict[str, torch.Tensor]]]) -> None:
    first, second = (member["trained"] for member in members)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    alone = _train(0, 1)
    assert set(alone) == set(first)
    for name, value in alone.items():
        assert torch.allclose(value, first[name], rtol=1e-12, atol=1e-14), name


def test_weights_are_shared_and_statistics_are_each_processs_own(
    members: list[dict[str, dict[str, torch.Tensor]]],
) -> None:
    first, second = (member["normed"] for member in members)
    for name in ("0.weight", "1.weight", "1.bias"):
        assert torch.equal(first[name], second[name])
    assert not torch.equal(first["1.running_mean"], second["1.running_mean"])


@pytest.mark.parametrize(
    ("method", "words", "logs"),
    [
        ("casfne", ("--stages", "2", "--losses", "rec", "likelihood", "tv", "adv"), (".",)),
        ("hffne", ("--coarse-steps", "2"), ("coarse", ".")),  # two runs, one after the other
    ],
)
def test_two_processes_train_one_model(
    method: str, words: tuple[str, ...], logs: tuple[str, ...], tmp_path: Path, faces: Path
) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    port = str(20000 + (os.getpid() + 7) % 20000)
    command += ["--master-port", port, "-m", "lineament", "train", method, "--output", str(run), "--data", str(faces)]
    command += ["--size", "64", "--batch-size", "2", "--steps", "2", "--validation-batches", "1", *words]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    for folder in logs:
        steps = [json.loads(line)["step"] for line in (run / folder / "log.jsonl").read_text().splitlines()]
        assert steps == [1, 2, 2]  # one log, and one validation in it
    assert (run / f"{method}-s.safetensors").exists()
