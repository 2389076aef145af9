# SPDX-License-Identifier: Apache-2.0
"""Kill `lineament estimate`, `synth` and `train` at random times, let them go on, and compare with an undisturbed run.

``python -m tests.kills.kill [--kills 100] [--seed 0]`` in the repository prints a line per command, and ends with 1 if
any file differed by one bit. A kill is SIGKILL, at a time drawn evenly from the whole run (what comes before the
command's first own line, the imports, is done once and left out). After each, the same command is given again in the
same folder, and everything that it leaves must be what the undisturbed run left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import safe_open

TRAINING = (
    *("train", "casfne", "--output", "out", "--data", "faces", "--size", "32", "--batch-size", "2", "--stages", "0"),
    *("--steps", "8", "--validate-every", "4", "--validation-batches", "1", "--checkpoint-minutes", "0.002"),
    *("--precision", "fp32", "--threads", "1", "--warmup", "2", "--losses", "rec"),
)
SYNTH = ("synth", "-o", "out", "-n", "6", "--size", "32", "--identities", "50", "--batch-size", "1")
ESTIMATE = ("estimate", "photos", "-o", "out", "--outputs", "depth")


@dataclass
class Command:
    """A command line and how its kills went."""

    name: str
    words: Sequence[str]
    kills: int = 0
    after_the_end: int = 0
    """Kills that came too late."""
    wrong: list[str] = field(default_factory=list)


def started(words: Sequence[str], folder: Path) -> int:
    """Start a command in a folder, in a process forked from this one; return its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.chdir(folder)
        for stream in (1, 2):
            os.dup2(os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        from lineament.cli import main

        code = main(list(words))
    finally:
        os._exit(code)


def run(words: Sequence[str], folder: Path) -> float:
    """Run a command to its end; return the seconds it took."""
    before = time.monotonic()
    _, status = os.waitpid(started(words, folder), 0)
    if status:
        raise RuntimeError(f"{' '.join(words)} failed: {(folder / 'output.log').read_text()[-2000:]}")
    return time.monotonic() - before


def killed(words: Sequence[str], folder: Path, after: float) -> bool:
    """Run a command and kill it after some seconds; return whether it was still running."""
    child = started(words, folder)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def contents(folder: Path) -> dict[str, object]:
    """What a run left, by name: bytes, and of safetensors tensors and header, whose order in the file is not fixed.

    Hidden files, TensorBoard's events (which hold times) and the checkpoint before the last one (which depends on when
    checkpoints were written) are left out.
    """
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        parts = set(path.relative_to(folder).parts)
        if path.is_dir() or any(part.startswith(".") for part in parts) or "tensorboard" in parts:
            continue
        if path.name == "checkpoint-previous.safetensors":
            continue
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as file:
                tensors = {key: file.get_tensor(key).tobytes() for key in file.keys()}  # noqa: SIM118, not a mapping
                found[name] = (tensors, json.dumps(file.metadata(), sort_keys=True))
        else:
            found[name] = path.read_bytes()
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """Names of files that are missing in one, or differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def prepare(work: Path) -> Callable[[Path], Path]:
    """Make what the commands read; return what gives a run's folder its share of it."""
    from PIL import Image
    from skimage import data

    (work / "photos").mkdir()
    face = Image.fromarray(data.astronaut()[:260, 90:350])
    face.save(work / "photos" / "one.png")
    face.rotate(12).save(work / "photos" / "two.png")
    run(("synth", "-o", "faces", "-n", "4", "--size", "32", "--identities", "50"), work)

    def ready(folder: Path) -> Path:
        folder.mkdir()
        for name in ("photos", "faces"):
            (folder / name).symlink_to(work / name)
        return folder

    return ready


def kill_all(work: Path, kills: int, seed: int, say: Callable[[str], None]) -> list[Command]:
    """Kill the commands in turn.

    Args:
        work: An empty folder.
        kills: How many of all commands together.
        seed: Of the times.
        say: Told how far it is.
    """
    chance = random.Random(seed)
    ready = prepare(work)
    commands = [Command("estimate", ESTIMATE), Command("synth", SYNTH), Command("train", TRAINING)]
    whole: dict[str, tuple[dict[str, object], float]] = {}
    for command in commands:
        folder = ready(work / f"{command.name}-whole")
        taken = run(command.words, folder)
        whole[command.name] = (contents(folder / "out"), taken)
        say(f"{command.name}: {taken:.1f} s undisturbed, {len(whole[command.name][0])} files")
    for number in range(kills):
        command = commands[number % len(commands)]
        truth, taken = whole[command.name]
        folder = ready(work / f"{command.name}-{number}")
        command.kills += 1
        command.after_the_end += not killed(command.words, folder, chance.uniform(0.0, taken))
        run(command.words, folder)
        wrong = differences(truth, contents(folder / "out"))
        command.wrong += [f"kill {number}: {name}" for name in wrong]
    return commands


def load_all() -> None:
    """Import what the commands import, so that forked processes begin with their own work."""
    import torch
    from torch.utils.tensorboard import SummaryWriter  # noqa: F401

    import lineament.cli.estimate
    import lineament.cli.synth
    import lineament.cli.train
    import lineament.methods.casfne.recipe
    import lineament.training.loop  # noqa: F401

    torch.set_num_threads(1)  # a pool of threads does not live on in a forked process


def main() -> int:
    """Kill, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    load_all()
    with tempfile.TemporaryDirectory() as folder:
        commands = kill_all(Path(folder), arguments.kills, arguments.seed, print)
    for command in commands:
        print(
            f"{command.name}: {command.kills} kills, {command.after_the_end} of them after the end, "
            f"{len(command.wrong)} files differ"
        )
        print("".join(f"  {line}\n" for line in command.wrong), end="")
    return int(any(command.wrong for command in commands))


if __name__ == "__main__":
    sys.exit(main())
