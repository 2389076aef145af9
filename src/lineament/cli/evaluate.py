# SPDX-License-Identifier: Apache-2.0
"""`lineament evaluate TABLE`: measure systems on a dataset on disk and print them in the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from lineament.errors import NoFaceError, UsageError
from lineament.evaluation.systems.settings import PADDING, Counted, Crop, Settings
from lineament.files.overwriting import check_outputs
from lineament.images.maps import AXES, Axes
from lineament.methods.discovery import DEFAULT_WEIGHTS
from lineament.options import check_options
from lineament.pipeline.options import Options
from lineament.version import __version__

if TYPE_CHECKING:
    from lineament.datasets.dataset import Dataset
    from lineament.datasets.sample import Sample
    from lineament.evaluation.report.table import Table
    from lineament.evaluation.systems.system import System

_SHEET_ROWS = 8


@dataclass(frozen=True)
class Systems:
    """What is measured, and where the report goes."""

    root: Path
    """The dataset's folder, as its publishers lay it out (docs/datasets.md)."""
    method: tuple[str, ...] = field(default=())
    """Methods whose shipped weights to measure, or files of weights; casfne-s if nothing else is named."""
    peer: tuple[str, ...] = field(default=())
    """Other systems: Python files with load() and normals(state, image), or other answers, or mediapipe."""
    predictions: tuple[Path, ...] = field(default=())
    """Folders of predictions, one file per sample, named like it."""
    axes: str = AXES
    """What the channels of stored normal maps hold; +x-y-z for OpenCV's, +x-y+z for DirectX's."""
    crop: Crop | None = None
    """What our methods are given: "given", the photo as the crop of an upright face; "found", the photo, in which they
    find the largest face themselves. By default as the table's photos are; the report says which."""
    padding: float = PADDING
    """Margin around a given crop, as a share of the photo's longer side."""
    counted: Counted = "labels"
    """Where our methods' normals count: at all "labels" of the dataset, or in their own "mask" of the face, and 90° at
    labels outside it."""
    estimation: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)
    output: tuple[Path, ...] = field(default=())
    """Write the table here, too: .md, .csv, .json or .tex."""
    pictures: Path | None = None
    """A folder for a sheet of normals, shadings and error maps; of a published table with cumulative error curves."""

    def __post_init__(self) -> None:
        check_options(self, {"padding": "[0, 2]"})
        Axes(self.axes)
        for folder in self.predictions:
            if not folder.is_dir():
                raise UsageError(f"predictions: there is no folder {folder}")
        if self.pictures is not None and self.pictures.exists() and not self.pictures.is_dir():
            raise UsageError(f"pictures must be a folder, but {self.pictures} is a file")

    def check_outputs(self, *others: Path) -> None:
        """Refuse tables of unknown formats and outputs that would overwrite what is read, before any work."""
        from lineament.evaluation.report.table import check_table_path

        for path in self.output:
            check_table_path(path)
        inputs = [self.root, *self.predictions, *others, *map(Path, (*self.method, *self.peer))]
        check_outputs([*self.output, *((self.pictures,) if self.pictures else ())], inputs)

    @property
    def methods(self) -> tuple[str, ...]:
        """Our methods that are measured."""
        return self.method or (() if self.peer or self.predictions else (DEFAULT_WEIGHTS,))

    def settings(self, crop: Crop) -> Settings:
        """How our methods are run on a table whose photos are such crops."""
        return Settings(self.crop or crop, self.padding, self.counted, self.estimation)

    def described(self, table: Table, settings: Settings, systems: Sequence[System]) -> Table:
        """A table that says before its metrics how our methods were run, and in JSON what each system is."""
        header = (f"{', '.join(self.methods)}: {settings.describe()}.",) if self.methods else ()
        about = {"lineament": __version__, "systems": {system.name: system.about() for system in systems}}
        return replace(table, header=header, details={**table.details, **about})

    def systems(self, settings: Settings) -> list[System]:
        """The systems, ready."""
        from lineament.evaluation.systems.method import method_system
        from lineament.evaluation.systems.peer import peer_system
        from lineament.evaluation.systems.stored import StoredPredictions

        axes = Axes(self.axes)
        found: list[System] = [method_system(name, settings) for name in self.methods]
        found += [peer_system(name) for name in self.peer]
        found += [StoredPredictions(folder, axes) for folder in self.predictions]
        names = [system.name for system in found]
        if len(set(names)) < len(names):
            raise UsageError(f"two systems are called {max(names, key=names.count)}; rename a file or a folder")
        return found


@dataclass(frozen=True)
class EvaluateYaleB(Systems):
    """Angular error on the Extended Yale Face Database B (cropped)."""

    subset: Literal[
        "front", "frontal20", "frontal35", "lateral", "subset1", "subset2", "subset3", "subset4", "subset5"
    ] = "frontal35"  # fmt: skip
    """Lights to test: at the camera, within 35°, further aside, or one of the database's five subsets."""
    subjects: tuple[str, ...] = field(default=())
    """Folders to test; all when left out."""
    per_light: bool = False
    """Add a row per light."""


@dataclass(frozen=True)
class EvaluateTable(Systems):
    """A published table, with our metrics beside the published ones."""

    recogniser: Path | None = None
    """A face-recognition network (ONNX) for identity similarity, in L2R's texture tables."""


def tables() -> dict[str, str]:
    """The tables that can be measured, and what each is."""
    from lineament.evaluation.protocols.tables import ALIASES, PROTOCOLS
    from lineament.evaluation.report.published import published_tables

    published = published_tables()
    named = {name: f"{published[name].paper}, table {published[name].number}" for name in PROTOCOLS}
    return {"yaleb": "Extended Yale Face Database B", **named, **{name: named[of] for name, of in ALIASES.items()}}


def run_evaluate(name: str, words: Sequence[str]) -> int:
    """Measure a table, as the words after its name ask for."""
    prog = f"lineament evaluate {name}"
    if name == "yaleb":
        return evaluate_yaleb(tyro.cli(EvaluateYaleB, prog=prog, args=words))
    return evaluate_table(name, tyro.cli(EvaluateTable, prog=prog, args=words))


def evaluate_yaleb(options: EvaluateYaleB) -> int:
    """Evaluate, print the table to the console and write it if asked to.

    Returns:
        Zero.

    Raises:
        LineamentError: If data, method or output cannot be used.
    """
    from lineament.cli.console import plain_console, progress_bar
    from lineament.datasets.yaleb import YaleB
    from lineament.evaluation.protocols import yaleb as protocol
    from lineament.evaluation.report.table import write_table, yaleb_table

    options.check_outputs()
    dataset = YaleB(options.root, options.subjects or None)
    settings = options.settings(protocol.CROP)
    systems = options.systems(settings)
    results = []
    place = {subject: index for index, subject in enumerate(dataset.subjects)}
    for system in systems:
        with progress_bar(plain_console(stderr=True), len(dataset.subjects), "evaluating") as update:

            def progress(subject: str, done: int, of: int, update: Callable[..., None] = update) -> None:
                update(place[subject] + done / of, subject)

            results.append(protocol.evaluate_yaleb(dataset, system, options.subset, progress))
    table = options.described(yaleb_table(results, options.per_light), settings, systems)
    plain_console().print(table.to_markdown())
    for path in options.output:
        write_table(table, path)
    if options.pictures is not None:
        lit = protocol.SUBSETS[options.subset]
        samples = [next(dataset.samples(name, lit)) for name in dataset.subjects[:_SHEET_ROWS]]
        _write_sheet(options.pictures / f"yaleb-{options.subset}.png", systems, samples)
    return 0


def evaluate_table(name: str, options: EvaluateTable) -> int:
    """Measure the systems as a published table does, print it with ours and write it if asked to.

    Returns:
        Zero.

    Raises:
        LineamentError: If data, a system or an output cannot be used.
    """
    from functools import partial

    from lineament.cli.console import plain_console, progress_bar
    from lineament.evaluation.metrics.texture import FaceRecogniser
    from lineament.evaluation.protocols.scoring import Measured, measure_texture
    from lineament.evaluation.protocols.tables import protocol_of
    from lineament.evaluation.report.published import published_tables
    from lineament.evaluation.report.table import published_table, write_table

    options.check_outputs(*((options.recogniser,) if options.recogniser else ()))
    protocol = protocol_of(name)
    measure = protocol.measure
    if options.recogniser is not None:
        if measure is not measure_texture:
            raise UsageError("--recogniser is for the texture tables of L2R")
        measure = partial(measure_texture, recogniser=FaceRecogniser(options.recogniser))
    dataset = protocol.dataset(options.root)
    settings = options.settings(protocol.crop)
    systems = options.systems(settings)
    measured: dict[str, Measured] = {}
    for system in systems:
        with progress_bar(plain_console(stderr=True), len(dataset), "evaluating") as update:

            def progress(done: int, of: int, update: Callable[..., None] = update, name: str = system.name) -> None:
                update(done, name)

            measured[system.name] = measure(dataset, system, progress)
    table = published_table(published_tables()[protocol.table], measured, protocol.notes, protocol.table)
    table = options.described(table, settings, systems)
    plain_console().print(table.to_markdown())
    for path in options.output:
        write_table(table, path)
    curves = {
        f"{system} {label}".strip(): histogram
        for system, result in measured.items()
        for label, histogram in result.curves.items()
    }
    if options.pictures is not None and curves:
        from lineament.evaluation.report.pictures import cumulative_curves

        cumulative_curves(curves, options.pictures / f"{protocol.table}-curves.png")
        _write_sheet(options.pictures / f"{protocol.table}.png", systems, _spread(dataset))
    return 0


def _spread(dataset: Dataset) -> list[Sample]:
    """A few samples from all over a dataset."""
    step = max(1, len(dataset.items) // _SHEET_ROWS)
    return list(dataset.only(dataset.items[::step][:_SHEET_ROWS]))


def _write_sheet(path: Path, systems: Sequence[System], samples: Sequence[Sample]) -> None:
    from lineament.evaluation.report.pictures import SheetRow, comparison_sheet
    from lineament.images.write import write_png

    def last(system: System, sample: Sample) -> NDArray[np.float32]:
        try:
            return system.normals(sample)[-1]
        except NoFaceError:
            return np.zeros(sample.image.shape, np.float32)

    rows = []
    for sample in samples:
        truth, mask = sample.normals_and_mask()
        rows.append(SheetRow(sample.image, truth, mask, {system.name: last(system, sample) for system in systems}))
    write_png(path, comparison_sheet(rows))
