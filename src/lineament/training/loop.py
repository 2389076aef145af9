# SPDX-License-Identifier: Apache-2.0
"""The training loop: straight from top to bottom, the same on one CPU and one GPU."""

from __future__ import annotations

import json
import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lineament.errors import OutputError, UsageError
from lineament.training.checkpoint import load_checkpoint, save_checkpoint
from lineament.training.config import LoopConfig
from lineament.training.log import RunLog
from lineament.training.parallel import agree, joined, local_rank, processes, rank, wait
from lineament.training.recipe import Recipe
from lineament.training.schedule import AveragedModel, learning_rate

log = logging.getLogger(__name__)

# Options that may differ when a run goes on: they change no figure of the training.
_FREE = frozenset({"output", "device", "threads", "workers", "cache", "checkpoint_minutes"})

AVERAGED = "averaged.safetensors"
"""The averaged weights at the last checkpoint, in a run's folder: what a run that was stopped has learned."""

_SECONDS_BETWEEN_FIGURES = 1.0

Progress = Callable[[int, Mapping[str, float]], None]


def train(recipe: Recipe[Any], config: LoopConfig, progress: Progress | None = None) -> Path:
    """Train until ``config.steps``, from the run's last checkpoint if there is one.

    Under ``torchrun`` every process calls this, and they train together (`lineament.training.parallel`).

    Args:
        recipe: Networks and losses.
        config: Everything else.
        progress: Called after every step with the step's number and its figures.

    Returns:
        The weights' path. An interrupt (Ctrl-C, SIGTERM) writes a checkpoint before it ends the run.

    Raises:
        UsageError: The folder holds a run with another configuration, or there is no such device.
        OutputError: The folder cannot be written.
    """
    folder, device = config.output, _device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error

    with joined(device):
        return _train(recipe, config, device, progress)


def _train(recipe: Recipe[Any], config: LoopConfig, device: torch.device, progress: Progress | None) -> Path:
    folder, bf16, chief = config.output, uses_bf16(config), rank() == 0
    torch.manual_seed(config.seed)
    recipe.start()
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    model: nn.Module = recipe.model.to(device)
    model.to(memory_format=layout)  # type: ignore[call-overload]  # missing in torch's own stubs
    averaged = AveragedModel(model, config.ema)
    modules = {"model": model, "averaged": averaged.model}
    modules.update({name: network.to(device) for name, network in recipe.beside().items()})
    optimizers = recipe.optimizers()
    step, seconds = _resume(folder, config, modules, optimizers)
    agree(modules.values())
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)

    checkpoint = folder / "checkpoint.safetensors"
    source = recipe.batches("train", step, device)
    # Making the first batch may take a while, which is no time of the training.
    first = next(source) if step < config.steps else None
    started = saved = time.monotonic()

    def passed() -> float:
        """The share of the training's time that is over; of a training without a limit nothing ever is."""
        return (seconds + time.monotonic() - started) / (60 * config.minutes) if config.minutes else 0.0

    def write_weights(path: Path) -> None:
        about = {"training": json.dumps(config.without_places()), "processes": str(processes()), "step": str(step)}
        recipe.save(averaged.model, path, about)

    def save() -> None:
        if chief:
            so_far = seconds + time.monotonic() - started
            save_checkpoint(checkpoint, modules, optimizers, step, config.to_json(), so_far)
            write_weights(folder / AVERAGED)

    figures = _Figures()
    with RunLog(folder, step) if chief else nullcontext() as run, _stoppable():
        try:
            while step < config.steps and (share := passed()) < 1.0:
                rate = learning_rate(step, config.steps, config.learning_rate, config.warmup, config.decay, share)
                for optimizer in optimizers.values():
                    for group in optimizer.param_groups:
                        group["lr"] = rate
                batch = next(source) if first is None else first
                parts, first = recipe.step(batch, step, optimizers, autocast), None
                averaged.update(model, step)
                step += 1
                figures.add(step, {"learning_rate": rate, **parts})
                validating = step % config.validate_every == 0
                if validating or figures.due():
                    figures.write(run)
                if run is not None and validating:
                    run.write(step, recipe.validate(averaged.model, device, folder / f"sheet-{step:07d}.png"))
                if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    save()
                    saved = time.monotonic()
                if progress:
                    progress(step, figures.last)
        except KeyboardInterrupt:
            figures.write(run)
            save()
            log.warning("stopped at step %d; the same command goes on from there", step)
            raise
        figures.write(run)
        save()
        weights = folder / f"{recipe.name}.safetensors"
        if chief:
            write_weights(weights)
        if run is not None and step % config.validate_every:
            run.write(step, recipe.validate(averaged.model, device, folder / f"sheet-{step:07d}.png"))
    wait()
    return weights


class _Figures:
    """Figures of steps, kept on the device until they are written: asking for each at once would make every step wait
    for the one before."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        """The newest that were written."""
        self._waiting: list[tuple[int, Mapping[str, float | Tensor]]] = []
        self._written = -math.inf

    def add(self, step: int, values: Mapping[str, float | Tensor]) -> None:
        """Keep a step's figures."""
        self._waiting.append((step, values))

    def due(self) -> bool:
        """Whether the last ones were written long enough ago."""
        return time.monotonic() - self._written > _SECONDS_BETWEEN_FIGURES

    def write(self, run: RunLog | None) -> None:
        """Write all that wait, with a single look at the device."""
        tensors = [v for _, values in self._waiting for v in values.values() if isinstance(v, Tensor)]
        known = iter(torch.stack([tensor.float() for tensor in tensors]).tolist() if tensors else [])
        for step, values in self._waiting:
            self.last = {name: next(known) if isinstance(v, Tensor) else float(v) for name, v in values.items()}
            if run is not None:
                run.write(step, self.last)
        self._waiting.clear()
        self._written = time.monotonic()


def _resume(
    folder: Path,
    config: LoopConfig,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> tuple[int, float]:
    """The step to go on from and the seconds until then; fills modules and optimisers when there is a checkpoint."""
    path = folder / "checkpoint.safetensors"
    if not path.exists():
        if rank() == 0:
            (folder / "config.json").write_text(json.dumps(config.to_json(), indent=2) + "\n")
        return 0, 0.0
    step, seconds, before = load_checkpoint(path, modules, optimizers)
    now = config.to_json()
    changed = [name for name in now if name not in _FREE and now[name] != before.get(name)]
    if changed:
        raise UsageError(
            f"{folder} holds a run with another {changed[0]} ({before.get(changed[0])}, not {now[changed[0]]}); "
            "choose another output folder"
        )
    return step, seconds


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device(f"cuda:{local_rank()}" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here; use --device cpu")
    return torch.device(name)


def uses_bf16(config: LoopConfig) -> bool:
    """Whether to compute in bf16: where asked for, or where the processor has instructions for it."""
    if config.precision != "auto":
        return config.precision == "bf16"
    if _device(config.device).type == "cuda":
        return True
    # Without these instructions bf16 is emulated, thirty times slower than fp32.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, probe, bool)()) for probe in probes)
