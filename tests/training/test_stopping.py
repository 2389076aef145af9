# SPDX-License-Identifier: Apache-2.0
"""What a training leaves when it stops: whole checkpoints of finite numbers, two of them, and a line that says why."""

from __future__ import annotations

import errno
import json
import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lineament.cli import main
from lineament.errors import OutputError, TrainingError, WeightsError
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.networks.weight_files import load_weights, save_weights
from lineament.training.checkpoint import CURRENT, PREVIOUS, read_checkpoint
from lineament.training.log import RunLog
from lineament.training.loop import train
from lineament.training.recipe import Learner
from tests.training.test_training import TINY, configured, losses_of


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)


class Failing(CasFNERecipe):
    """A recipe that fails in one step, before or after its optimisers have moved."""

    def __init__(self, config: Any, step: int, error: BaseException | None = None, late: bool = False) -> None:
        torch.manual_seed(1)
        super().__init__(config)
        self.fails, self.error, self.late = step, error, late

    def step(
        self, batch: Any, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        if step == self.fails and self.error is not None and not self.late:
            self.generator_loss(batch, autocast)  # moves the statistics of batch norm
            raise self.error
        parts = super().step(batch, step, learners, autocast)
        if step == self.fails and self.error is not None:
            raise self.error
        return {name: value * torch.nan if step == self.fails else value for name, value in parts.items()}


NEVER = 1 << 30


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_weights(path, CasFNE).state_dict() for path in (one, other))
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_checkpoint(tmp_path: Path, faces: Path) -> None:
    config = configured(tmp_path, faces, checkpoint_minutes=0.0, losses=("rec",))
    with pytest.raises(TrainingError, match=r"loss is not finite \(nan\) at step 4; .*stay.*--learning-rate"):
        train(Failing(config, 3), config)
    assert read_checkpoint(tmp_path / CURRENT).step == 3
    assert read_checkpoint(tmp_path / PREVIOUS).step == 2
    assert len(losses_of(tmp_path)) == 3
    assert not list(tmp_path.glob("casfne*"))


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, faces: Path) -> None:
    class Poisoned(Failing):
        def step(self, *arguments: Any) -> dict[str, Tensor]:
            parts = super().step(*arguments)
            if arguments[1] == 2:
                with torch.no_grad():
                    self.model.encoder.conv1.weight[0] = torch.inf  # what the step's losses do not show yet
            return parts

    config = configured(tmp_path, faces, checkpoint_minutes=0.0, losses=("rec",))
    with pytest.raises(TrainingError, match=r"module\.model\.encoder\.conv1\.weight is not finite after step 3"):
        train(Poisoned(config, NEVER), config)
    assert read_checkpoint(tmp_path / CURRENT).step == 2


@pytest.mark.parametrize("rate", ["1e9", "1e30"])
def test_a_learning_rate_that_diverges_ends_in_a_line_without_weights(
    tmp_path: Path, faces: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    run = tmp_path / "run"
    words = ["train", "casfne", "--output", str(run), "--data", str(faces), "--size", "64", "--batch-size", "2"]
    words += ["--steps", "4", "--warmup", "0", "--learning-rate", rate, "--validation-batches", "1"]
    assert main(words) == TrainingError.exit_code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "not finite" in last
    assert "--learning-rate" in last
    assert not list(run.glob("casfne*"))
    for path in run.glob("checkpoint*"):
        read_checkpoint(path)


def test_weights_beyond_half_precision_are_not_exported(tmp_path: Path) -> None:
    model = CasFNE(TINY)
    with torch.no_grad():
        model.encoder.conv1.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(TrainingError, match=r"encoder\.conv1\.weight is not finite as fp16"):
        save_weights(model, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("late", [False, True])
def test_a_run_goes_on_exactly_after_an_error_in_the_middle_of_a_step(tmp_path: Path, faces: Path, late: bool) -> None:
    straight = configured(tmp_path / "a", faces)
    whole = train(Failing(straight, NEVER), straight)
    broken = configured(tmp_path / "b", faces)
    with pytest.raises(ValueError, match="by chance"):
        train(Failing(broken, 4, ValueError("by chance"), late), broken)
    if late:  # an optimiser has moved: there is no whole state, and no checkpoint is better than a wrong one
        assert not (broken.output / CURRENT).exists()
    else:
        assert read_checkpoint(broken.output / CURRENT).step == 4
    assert same_weights(whole, train(Failing(broken, NEVER), broken))
    assert losses_of(broken.output) == losses_of(straight.output)


def test_an_interrupt_waits_for_the_end_of_the_step(tmp_path: Path, faces: Path) -> None:
    class Interrupted(Failing):
        def step(self, *arguments: Any) -> dict[str, Tensor]:
            if arguments[1] == 2:
                signal.raise_signal(signal.SIGTERM)
            return super().step(*arguments)

    straight, stopped = configured(tmp_path / "a", faces), configured(tmp_path / "b", faces)
    whole = train(Failing(straight, NEVER), straight)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(stopped, NEVER), stopped)
    assert read_checkpoint(stopped.output / CURRENT).step == 3
    assert same_weights(whole, train(Failing(stopped, NEVER), stopped))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_validation_that_was_cut_off_is_made_when_the_run_goes_on(tmp_path: Path, faces: Path) -> None:
    class CutOff(Failing):
        def validate(self, *arguments: Any) -> dict[str, float]:
            raise OSError(errno.EIO, "gone")

    straight, broken = (configured(tmp_path / name, faces, validate_every=2, steps=3) for name in "ab")
    train(Failing(straight, NEVER), straight)
    with pytest.raises(OSError, match="gone"):
        train(CutOff(broken, NEVER), broken)
    assert read_checkpoint(broken.output / CURRENT).step == 2
    train(Failing(broken, NEVER), broken)
    assert (broken.output / "log.jsonl").read_text() == (straight.output / "log.jsonl").read_text()
    assert (broken.output / "sheet-0000002.png").exists()


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "nan":
        checkpoint = read_checkpoint(path)
        from safetensors.torch import save_file

        first = next(name for name, value in checkpoint.tensors.items() if value.is_floating_point() and value.numel())
        tensors = {name: value.clone() for name, value in checkpoint.tensors.items()}
        tensors[first].view(-1)[0] = torch.nan
        about = {"format": "1", "step": str(checkpoint.step), "config": json.dumps(checkpoint.config)}
        save_file(tensors, path, about)
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "zeros": bytes(len(content))}[how])


@pytest.mark.parametrize("how", ["empty", "cut", "zeros", "nan"])
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_taken(
    tmp_path: Path, faces: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    config = configured(tmp_path / "a", faces, checkpoint_minutes=0.0, losses=("rec",))
    with pytest.raises(TrainingError):
        train(Failing(config, 3), config)
    damage(config.output / CURRENT, how)
    with caplog.at_level(logging.WARNING):
        weights = train(Failing(config, NEVER), config)
    assert "goes on from the one before it, of step 2" in caplog.text
    straight = configured(tmp_path / "b", faces, losses=("rec",))
    assert same_weights(weights, train(Failing(straight, NEVER), straight))
    assert read_checkpoint(config.output / PREVIOUS).step == 5  # the damaged one has not taken its place

    for name in (CURRENT, PREVIOUS):
        damage(config.output / name, "cut")
    with pytest.raises(WeightsError, match="no whole one before it; delete the folder to begin anew"):
        train(Failing(config, NEVER), config)


def test_a_full_disk_ends_in_a_line(tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            pass

    plain = RunLog.__init__

    def opened(log: RunLog, folder: Path, first_step: int) -> None:
        plain(log, folder, first_step)
        log._file.close()
        log._file = Full()  # type: ignore[assignment]

    monkeypatch.setattr(RunLog, "__init__", opened)
    config = configured(tmp_path, faces, losses=("rec",))
    with pytest.raises(OutputError, match="No space left"):
        train(Failing(config, NEVER), config)


def test_too_little_memory_is_said(tmp_path: Path, faces: Path) -> None:
    config = configured(tmp_path, faces, losses=("rec",))
    short = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried")
    with pytest.raises(TrainingError, match="--batch-size"):
        train(Failing(config, 1, short), config)
    assert read_checkpoint(tmp_path / CURRENT).step == 1


def test_figures_of_a_validation_may_be_none(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        log.write(1, {"loss": 0.5})
        log.write(1, {"validation_error": float("nan")})
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[1] == {"step": 1, "validation_error": None}
