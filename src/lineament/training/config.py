# SPDX-License-Identifier: Apache-2.0
"""One dataclass says everything about a training; the command line is made from it.

What all methods share is `LoopConfig`; each method's own is in its `config.py`.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from lineament.devices import check_device
from lineament.errors import UsageError, WeightsError
from lineament.files.overwriting import check_outputs
from lineament.options import COUNT, SEED, check_multiple, check_options
from lineament.synth.config import SynthConfig
from lineament.weights.file import read_method, shown
from lineament.weights.schema import WeightsFormat

MOST_PIXELS = 1 << 28
"""Pixels of the largest batch: 4096 pictures of 256. Its pictures alone take 3 GB."""

Decay = Literal["cosine", "steps"]


@dataclass(frozen=True)
class LoopConfig:
    """What every training has; each method's configuration adds its own and sets other defaults."""

    output: Path
    """Folder of the run: configuration, logs, checkpoints, sheets, weights. An interrupted run goes on from it."""
    data: tuple[Path, ...] = ()
    """Datasets written by `lineament synth`."""
    size: int = 256
    """Side of the crops, pixels."""
    batch_size: int = 8
    """Samples of a step; with several processes (torchrun), of each of them."""
    steps: int = 500_000
    minutes: float = 0.0
    """Time after which the training ends even if steps are left; the learning rate decays with whichever is ahead. 0
    sets no limit."""
    learning_rate: float = 1e-4
    warmup: int = 500
    """Steps of linear warm-up, before the decay."""
    decay: Decay = "cosine"
    """A cosine down to a fiftieth, or steps: divided by ten after seven and again after eight tenths (DF²Net)."""
    weight_decay: float = 0.0
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that ship."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 where the processor has it."""
    channels_last: bool = True
    augment: bool = True
    """Vary each picture: frame, colours, blur and more."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 0
    """Threads of one operation on the CPU; 0 leaves torch's choice."""
    workers: int = 0
    """Processes that make or read data beside the training."""
    seed: int = 0
    checkpoint_minutes: float = 3.0
    validate_every: int = 1000
    """Steps between validations, each with a sample sheet."""
    validation_batches: int = 8

    INTERVALS: ClassVar[Mapping[str, str]] = {
        "size": "[32, 4096]",
        "batch_size": "[1, 65536]",
        "steps": COUNT,
        "minutes": "[0, 1000000]",
        "learning_rate": "(0, 1e30]",
        "warmup": "[0, 1000000000]",
        "weight_decay": "[0, 1000]",
        "ema": "[0, 1)",
        "clip": "(0, 1e30]",
        "threads": "[0, 1024]",
        "workers": "[0, 256]",
        "seed": SEED,
        "checkpoint_minutes": "[0, 1000000]",
        "validate_every": COUNT,
        "validation_batches": "[1, 1000000]",
    }
    """What each number may be (`lineament.options.check_options`)."""
    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Labels that every sample of the data must have, beside its person."""
    PICTURES: ClassVar[tuple[str, ...]] = ()
    """Pictures that every sample of the data must have."""

    def __post_init__(self) -> None:
        check_options(self, self.INTERVALS)
        check_multiple("size", self.size, 32)
        check_device(self.device)
        if self.batch_size * self.size // 32 == 1:
            raise UsageError("one picture of 32 pixels is too little for batch norm; take a larger batch_size or size")
        if self.batch_size * self.size**2 > MOST_PIXELS:
            raise UsageError(
                f"a batch of {self.batch_size} pictures of {self.size} pixels fits into no memory; take a smaller "
                "batch_size or size"
            )

    def check_places(self) -> None:
        """Check what the configuration names outside itself, before any work: the device, data, other files.

        What is read must not lie in the run's folder, whose files are replaced, nor the folder in the data.

        Raises:
            LineamentError: The first that is missing or cannot be used.
        """
        from lineament.datasets.labelled_folder import labelled_samples
        from lineament.training.parallel import device_of_process

        device_of_process(self.device)
        if self.output.exists() and not self.output.is_dir():
            raise UsageError(f"output must be a folder, but {self.output} is a file")
        check_outputs([self.output], self._inputs(), replaced=True)
        check_outputs([self.output], self.data)
        if self.data:
            for split in ("train", "validation"):
                labelled_samples(self.data, split, self.NEEDS, self.PICTURES)

    def _inputs(self) -> list[Path]:
        """All that the configuration may name to be read: its paths and words, but for the run's folder."""
        values = [getattr(self, option.name) for option in fields(self) if option.name != "output"]
        named = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
        words = [str(item) for item in named if isinstance(item, str | Path)]
        return [Path(path) for word in words for path in (word, *(glob.glob(word) if glob.has_magic(word) else ()))]

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values

    def without_places(self) -> dict[str, Any]:
        """`to_json` with the names of files and folders only, for weights that leave this machine."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda path: path.name))
        return values


NORMALS_LABELS = ("normals",)
"""What a training on normals learns from, beside picture and face (`lineament.training.labels.LABELS`)."""
DEPTH_LABELS = ("depth", "albedo")
"""What a training on depth or albedo learns from."""


@dataclass(frozen=True)
class FaceConfig(LoopConfig):
    """A training on synthetic faces: read from folders (data), or made while training when there are none."""

    synth: SynthConfig = field(default_factory=SynthConfig)
    """What faces are like that are made while training; size and seed are the training's."""
    pool: int = 0
    """Faces kept on the device while the workers make others: each step draws its batch from them and waits for none,
    so that a face is seen several times. Such a training does not repeat exactly. 0 takes every face once, in order."""
    pool_views: float = 1.0
    """How often a face of the pool is seen, on average, before others are made: workers that are faster wait."""

    cache: float = 4.0
    """Gigabytes of memory for samples that were read once; those beyond are read again each time."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **LoopConfig.INTERVALS,
        "cache": "[0, 1000000]",
        "pool": "[0, 100000000]",
        "pool_views": "(0, 1000000]",
    }
    PICTURES: ClassVar[tuple[str, ...]] = ("image", *NORMALS_LABELS, "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        made = SynthConfig()
        if self.synth.size not in (made.size, self.size) or self.synth.seed not in (made.seed, self.seed):
            raise UsageError("faces that are made while training have its size and seed: take --size and --seed")
        if self.pool and (self.data or self.workers < 1 or self.pool < self.batch_size):
            raise UsageError(
                "a pool holds at least a batch of faces that workers make while training: take --workers 1 or more and "
                "no --data"
            )


def check_paths(option: str, *paths: Path | None, needed: bool = False) -> None:
    """Check that files and folders that an option names are there.

    Raises:
        UsageError: The first that is not, or none where some are needed.
    """
    if needed and not paths:
        raise UsageError(f"this training learns from {option}: name some with --{option}")
    for path in paths:
        if path is not None and not path.exists():
            raise UsageError(f"{option}: there is no {path}")


def check_weights(option: str, *paths: Path | None, of: Sequence[WeightsFormat]) -> None:
    """Check that files that an option names are weights of some kind; only their headers are read.

    Raises:
        UsageError: A file that is not there.
        WeightsError: A file that holds no weights, or others.
    """
    check_paths(option, *paths)
    wanted = [each.name for each in of]
    for path in paths:
        if path is not None and (found := read_method(path)) not in wanted:
            raise WeightsError(f"{option}: {path} holds no weights of {' or '.join(wanted)}: it is for {shown(found)}")


def check_photos(option: str, photos: tuple[Path, ...], labels: Sequence[str] = (), needed: bool = False) -> None:
    """Check that the folders that an option names hold photos with the labels that a training reads.

    Raises:
        UsageError: A folder that is not there, or none where some are needed.
        DataError: A folder that `lineament label` has not written, or without one of the labels.
    """
    from lineament.datasets.labelled_folder import labelled_samples

    check_paths(option, *photos, needed=needed)
    if photos:
        labelled_samples(photos, "train", pictures=("image", *labels, "mask"))
