# SPDX-License-Identifier: Apache-2.0
"""The training loop: straight from top to bottom, the same on one CPU and one GPU."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lineament.errors import InputError, LineamentError, TrainingError, UsageError
from lineament.files.locking import folder_lock
from lineament.files.overwriting import check_foreign
from lineament.files.reading import parse_json, read_bounded
from lineament.files.writing import write_json
from lineament.networks.weight_files import LOWER_RATE, header_of
from lineament.training.checkpoint import (
    AVERAGED,
    CURRENT,
    PREVIOUS,
    fill,
    latest_checkpoint,
    save_checkpoint,
)
from lineament.training.config import LoopConfig
from lineament.training.log import RunLog
from lineament.training.parallel import device_of_process, joined, processes, rank, wait
from lineament.training.recipe import Recipe, learners_of
from lineament.training.schedule import AveragedModel, learning_rate
from lineament.training.whole_steps import WholeSteps

log = logging.getLogger(__name__)

# Options that may differ when a run goes on: they change no figure of the training.
_FREE = frozenset({"output", "device", "threads", "workers", "cache", "checkpoint_minutes"})

_SECONDS_BETWEEN_LOGS = 1.0

Progress = Callable[[int, Mapping[str, float]], None]


def train(recipe: Recipe, config: LoopConfig, progress: Progress | None = None) -> Path:
    """Train until ``config.steps``, from the run's last checkpoint if there is one.

    Under ``torchrun`` every process calls this, and they train together (`lineament.training.parallel`).

    Args:
        recipe: Networks and losses.
        config: Everything else.
        progress: Called after every step with the step's number and its metrics.

    Returns:
        The weights' path. An interrupt (Ctrl-C, SIGTERM) or an error writes a checkpoint before it ends the run.

    Raises:
        UsageError: The folder holds a run with another configuration, or there is no such device.
        TrainingError: A loss, a gradient or a weight is not finite; the last checkpoint stays, and no weights are
            written. Or a step does not fit into memory.
        WeightsError: The folder's checkpoints are damaged.
        OutputError: The folder cannot be written, holds others' files that would be replaced, or another process is
            writing into it.
    """
    device = device_of_process(config.device)
    torch.manual_seed(config.seed)
    recipe.start()  # weights that do not fit are said before anything is written
    if rank() == 0:
        check_folder(config.output, recipe.name)
    if config.threads:
        torch.set_num_threads(config.threads)
    with folder_lock(config.output) if rank() == 0 else nullcontext(), joined(device):
        try:
            return _train(recipe, config, device, progress)
        except (MemoryError, RuntimeError) as error:
            if not _is_of_memory(error):
                raise
            hint = "take a smaller batch size (--batch-size) or size (--size)"
            raise TrainingError(f"a step does not fit into memory; {hint}") from error


def _train(recipe: Recipe, config: LoopConfig, device: torch.device, progress: Progress | None) -> Path:
    folder, bf16, chief = config.output, uses_bf16(config), rank() == 0
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model = recipe.model.to(device)
    model.to(memory_format=layout)
    averaged = AveragedModel(model, config.ema)
    modules = {"model": model, "averaged": averaged.model}
    modules.update({name: network.to(device) for name, network in recipe.auxiliary().items()})
    optimizers = recipe.optimizers()
    step, seconds = _resume(folder, config, modules, optimizers)
    learners = learners_of(recipe, optimizers, config.clip)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)

    source = recipe.batches("train", step, device)
    # Making the first batch may take a while, which is no time of the training.
    first = next(source) if step < config.steps else None
    started = saved = time.monotonic()
    saved_step = step
    steps = WholeSteps(modules.values(), optimizers.values())

    def trained() -> float:
        """Seconds that the run has trained so far, before it was stopped and since."""
        return seconds + time.monotonic() - started

    def share() -> float:
        """How much of the training's time is over; of one without a limit nothing ever is."""
        return trained() / (60 * config.minutes) if config.minutes else 0.0

    origin = {"training": json.dumps(config.without_places()), "processes": str(processes())}

    def save() -> None:
        nonlocal saved, saved_step
        if chief and step != saved_step:
            limited = trained() if config.minutes else 0.0
            weights = {**header_of(model), **origin}
            save_checkpoint(folder, modules, optimizers, step, config.to_json(), limited, weights)
        saved, saved_step = time.monotonic(), step

    with RunLog(folder, step) if chief else nullcontext() as run, steps.interruptible():
        logged = _LoggedSteps(run, folder)

        def validate() -> None:
            due = step > 0 and (step % config.validate_every == 0 or step == config.steps or share() >= 1.0)
            if run is not None and due and not run.is_validated(step):
                run.write(step, recipe.validate(averaged.model, device, folder / f"sheet-{step:07d}.png"))

        try:
            validate()  # where a run was stopped in the middle of it
            while step < config.steps and (over := share()) < 1.0:
                rate = learning_rate(step, config.steps, config.learning_rate, config.warmup, config.decay, over)
                for optimizer in optimizers.values():
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                batch = next(source) if first is None else first
                first = None
                with steps.step():
                    parts = recipe.step(batch, step, learners, autocast)
                    averaged.update(model, step)
                    step += 1
                    logged.add(step, {"learning_rate": rate, **parts})
                    saving = time.monotonic() - saved > 60 * config.checkpoint_minutes
                    if saving or step == config.steps or step % config.validate_every == 0 or logged.due():
                        logged.write()
                validate()
                if saving:
                    save()
                if progress:
                    progress(step, logged.last)
            logged.write()
            save()
            validate()
        except BaseException as error:
            if steps.restored():
                try:
                    logged.write()
                    save()
                except LineamentError as second:  # the first one is the one to tell
                    log.warning("no checkpoint of step %d: %s", step, second)
            if isinstance(error, KeyboardInterrupt):
                log.warning("stopped at step %d; the same command goes on from there", saved_step)
            raise
    weights = folder / f"{recipe.name}.safetensors"
    if chief:
        recipe.save(averaged.model, weights, {**origin, "step": str(step)})
    wait()
    return weights


class _LoggedSteps:
    """Losses of steps, kept on the device until they are written: asking for each at once would make every step wait
    for the one before.
    """

    def __init__(self, run: RunLog | None, folder: Path) -> None:
        self.last: dict[str, float] = {}
        """The newest that were written."""
        self._run, self._folder = run, folder
        self._waiting: list[tuple[int, Mapping[str, float | Tensor]]] = []
        self._written = -math.inf

    def add(self, step: int, values: Mapping[str, float | Tensor]) -> None:
        """Keep a step's values."""
        self._waiting.append((step, values))

    def due(self) -> bool:
        """Whether the last ones were written long enough ago."""
        return time.monotonic() - self._written > _SECONDS_BETWEEN_LOGS

    def write(self) -> None:
        """Write all that wait, with a single look at the device.

        Raises:
            TrainingError: One of them is not finite.
        """
        tensors = [v for _, values in self._waiting for v in values.values() if isinstance(v, Tensor)]
        known = iter(torch.stack([tensor.float() for tensor in tensors]).tolist() if tensors else [])
        waiting, self._waiting = self._waiting, []
        for step, values in waiting:
            self.last = {name: next(known) if isinstance(v, Tensor) else float(v) for name, v in values.items()}
            _check_finite(self.last, step, self._folder)
            if self._run is not None:
                self._run.write(step, self.last)
        self._written = time.monotonic()


def _check_finite(metrics: Mapping[str, float], step: int, folder: Path) -> None:
    """Refuse to go on from values that are not finite; they are on the host for the log."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            kept = [path.name for path in (folder / CURRENT, folder / PREVIOUS) if path.exists()]
            stays = f"{' and '.join(kept)} stay as they are" if kept else "there is no checkpoint yet"
            raise TrainingError(f"{name} is not finite ({value}) at step {step}; {stays}; {LOWER_RATE}")


def _is_of_memory(error: BaseException) -> bool:
    """Whether memory was short: torch has an error of its own for GPUs alone."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


def _resume(
    folder: Path,
    config: LoopConfig,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> tuple[int, float]:
    """The step to go on from and the seconds until then; fills modules and optimisers when there is a checkpoint."""
    checkpoint = latest_checkpoint(folder)
    if checkpoint is None:
        if rank() == 0:
            write_json(folder / "config.json", config.to_json())
        return 0, 0.0
    check_same_run(config, checkpoint.config)
    fill(checkpoint, modules, optimizers)
    wait()
    if rank() == 0 and checkpoint.path.name == PREVIOUS:  # or the next one would put the damaged one in its place
        with suppress(OSError):
            os.replace(folder / PREVIOUS, folder / CURRENT)
    return checkpoint.step, checkpoint.seconds


def check_folder(folder: Path, name: str) -> None:
    """Raise OutputError for a folder without a run of ours that holds files which a run would replace.

    Args:
        folder: The run's.
        name: Stem of the weights' file.
    """
    if any((folder / checkpoint).exists() for checkpoint in (CURRENT, PREVIOUS)):
        return  # they are read before anything is written, and say whose they are
    try:
        config = parse_json(read_bounded(folder / "config.json"))
        known = {"output", "batch_size", "learning_rate", "checkpoint_minutes"} <= set(config)
    except (InputError, ValueError, TypeError):
        known = False
    if not known:
        names = ("config.json", "log.jsonl", f"{name}.safetensors", AVERAGED, "sheet-*.png")
        check_foreign(folder, names, "files of a training")


def check_same_run(config: LoopConfig, before: Mapping[str, Any]) -> None:
    """Raise UsageError where a folder holds a run whose configuration would train otherwise than this one."""
    now = config.to_json()
    changed = [name for name in now if name not in _FREE and now[name] != before.get(name)]
    if changed:
        raise UsageError(
            f"{config.output} holds a run with another {changed[0]} ({before.get(changed[0])}, not "
            f"{now[changed[0]]}); choose another output folder"
        )


def uses_bf16(config: LoopConfig) -> bool:
    """Whether to compute in bf16: where asked for, or where the processor has instructions for it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if device_of_process(config.device).type == "cuda":
        return True
    # Without these instructions bf16 is emulated, thirty times slower than fp32.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
