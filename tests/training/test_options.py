# SPDX-License-Identifier: Apache-2.0
"""Every number of every option is either sensible or refused before any work."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineament.cli import main
from lineament.cli.evaluate import EvaluateTable, EvaluateYaleB
from lineament.cli.measure import Bench
from lineament.datasets.labelled_folder import labelled_samples
from lineament.errors import DataError, LineamentError, UsageError
from lineament.evaluation.ablation import AblationConfig
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.df2net.config import DF2NetTrainConfig
from lineament.methods.hffne.config import HFFNETrainConfig
from lineament.models.albedo.config import AlbedoTrainConfig
from lineament.models.detector.config import DetectorTrainConfig
from lineament.models.features.config import FeaturesTrainConfig
from lineament.models.parser.config import ParserTrainConfig
from lineament.options import check_number
from lineament.synth.config import SynthConfig
from lineament.synth.degrade import DegradeConfig
from lineament.synth.stream import FaceStream
from lineament.synth.write import write_dataset

TRAININGS = (
    *(CasFNETrainConfig, HFFNETrainConfig, DF2NetTrainConfig, AlbedoTrainConfig),
    *(DetectorTrainConfig, ParserTrainConfig, FeaturesTrainConfig),
)
MAKERS: dict[type, Callable[..., Any]] = {
    **{kind: lambda kind=kind, **more: kind(Path("run"), **more) for kind in TRAININGS},
    SynthConfig: SynthConfig,
    DegradeConfig: DegradeConfig,
    AblationConfig: lambda **more: AblationConfig(Path("run"), **{"budget": 1.0, **more}),
    Bench: Bench,
    EvaluateYaleB: lambda **more: EvaluateYaleB(Path("root"), **more),
    EvaluateTable: lambda **more: EvaluateTable(Path("root"), **more),
}


def numbers(kind: type) -> list[tuple[str, type]]:
    """Fields that hold a number or a tuple of them, and which kind of number."""
    found = []
    for field in dataclasses.fields(kind):
        hint = get_type_hints(kind)[field.name]
        inner = get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
        if inner in (int, float):
            found.append((field.name, hint))
    return found


FIELDS = [(kind, name, hint) for kind in MAKERS for name, hint in numbers(kind)]
SIGNED = {"mean_profile", "mean_curvature"}
POSITIVE = {
    *("size", "batch_size", "steps", "coarse_steps", "fine_steps", "learning_rate", "coarse_learning_rate", "clip"),
    *("validate_every", "validation_batches", "width", "levels", "nearest", "farthest", "span_low", "span_high"),
    *("mean_depth", "jpeg_lowest", "budget", "faces", "test_faces", "threads_of_bench", "runs"),
}


def made(kind: type, name: str, hint: Any, value: float) -> Any:
    return MAKERS[kind](**{name: (value,) if typing.get_origin(hint) is tuple else value})


@pytest.mark.parametrize(("kind", "name", "hint"), FIELDS, ids=lambda part: getattr(part, "__name__", str(part)))
def test_numbers_that_make_no_sense_are_refused(kind: type, name: str, hint: Any) -> None:
    for value in (math.nan, math.inf, -math.inf, 1e300, -1e300, 10**31, -(10**31)):
        with pytest.raises(UsageError, match=name):
            made(kind, name, hint, value)
    if name not in SIGNED:
        with pytest.raises(UsageError, match=name):
            made(kind, name, hint, -1)
    known = f"{name}_of_bench" if kind is Bench else name
    if known in POSITIVE:
        with pytest.raises(UsageError, match=name):
            made(kind, name, hint, 0)


@given(value=st.floats() | st.integers(), field=st.sampled_from(FIELDS))
def test_any_number_that_is_taken_is_finite(value: float, field: tuple[type, str, Any]) -> None:
    kind, name, hint = field
    try:
        options = made(kind, name, hint, value)
    except UsageError:
        return
    taken = getattr(options, name)
    assert math.isfinite(taken[0] if isinstance(taken, tuple) else taken)
    json.dumps(getattr(options, "to_json", dict)(), allow_nan=False)


def test_intervals_are_open_and_closed() -> None:
    check_number("a", 0, "[0, 1)")
    check_number("a", 5e-324, "(0, inf)")
    for value, interval in ((1.0, "[0, 1)"), (0.0, "(0, inf)"), (math.inf, "(0, inf)"), (math.nan, "[0, 1]")):
        with pytest.raises(UsageError, match="a must be in"):
            check_number("a", value, interval)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *((kind, {"device": "foo"}) for kind in TRAININGS),
        *((kind, {"device": "cuda:"}) for kind in TRAININGS),
        *((kind, {"precision": "fp8"}) for kind in TRAININGS),
        *((kind, {"decay": "linear"}) for kind in TRAININGS),
        *((kind, {"size": 100}) for kind in TRAININGS),
        *((kind, {"batch_size": 60000, "size": 512}) for kind in TRAININGS),
        (CasFNETrainConfig, {"batch_size": 1, "size": 32}),
        (CasFNETrainConfig, {"half": True, "stages": 0, "losses": ("rec",), "batch_size": 1, "size": 64}),
        (CasFNETrainConfig, {"half": True, "stages": 0, "losses": ("rec",), "size": 96}),
        (CasFNETrainConfig, {"fusion": "sum"}),
        (CasFNETrainConfig, {"model": "casfne-xl"}),
        (CasFNETrainConfig, {"start": "a.pth"}),
        (HFFNETrainConfig, {"size": 96, "coarse_network": "pix2pix"}),
        (HFFNETrainConfig, {"injection": "a4"}),
        (AlbedoTrainConfig, {"size": 96}),
        (AlbedoTrainConfig, {"levels": 9}),
        (Bench, {"method": ("nothing",)}),
        (Bench, {"stages": ()}),
        (Bench, {"size": 33}),
        (AblationConfig, {"method": "nothing"}),
        (EvaluateTable, {"axes": "xyz"}),
        (EvaluateTable, {"predictions": (Path("not-there"),)}),
    ],
)
def test_choices_and_combinations_that_make_no_sense_are_refused(kind: type, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        MAKERS[kind](**change)


REFUSED = [
    "train casfne --validate-every 0",
    "train casfne --workers -1",
    "train casfne --device foo",
    "train casfne --device cuda:999",
    "train casfne --batch-size 0",
    "train casfne --learning-rate nan",
    "train casfne --data {empty}",
    "train casfne --data {empty} {missing}",
    "train casfne --init {missing}",
    "train casfne --model casfne --start {missing}",
    "train hffne --photos {missing}",
    "train hffne --photos {empty}",
    "train hffne --features {missing}",
    "train hffne --coarse {missing}",
    "train hffne --init {missing}",
    "train hffne --size 64 --init {other}",
    "train hffne --size 64 --features {other}",
    "train df2net",
    "train df2net --photos {missing}",
    "train df2net --photos {empty}",
    "train df2net --photos {photo}",
    "train df2net --photos {faces} --albedo {missing}",
    "train df2net --photos {faces} --albedo {other}",
    "train df2net --photos {faces} --size 96",
    "label {photo} --method nobody",
    "label {photo} --size 31",
    "label {missing}",
    "label {empty}",
    "train albedo --init {missing}",
    "train detector",
    "train detector --data {faces} --photos {missing}",
    "train reader",
    "train reader --data {faces} --init {missing}",
    "train features --data {file}",
    "synth --batch-size 0",
    "synth --count 0",
    "synth --start -1",
    "synth --device foo",
    "synth --device cuda:999",
    "synth --pictures",
    "synth --config.yaw nan",
]


@pytest.mark.parametrize("words", REFUSED)
def test_commands_refuse_before_they_start(
    words: str, tmp_path: Path, faces: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"missing": tmp_path / "missing", "empty": tmp_path / "empty", "faces": faces, "other": tiny_weights}
    places["photo"] = places["file"] = faces / "image" / "00000000.png"
    places["empty"].mkdir()
    run = tmp_path / "run"
    command = [word.format_map(places) for word in words.split()]
    command[1 if command[0] == "synth" else 2 : 0] = []
    assert main([*command, "--output", str(run)]) in range(2, 13)
    assert not run.exists()
    err = capsys.readouterr().err.strip()
    assert err
    assert "Traceback" not in err


def test_an_output_that_is_a_file_is_refused(tmp_path: Path, faces: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/inside"):
        with pytest.raises(LineamentError, match="file"):
            write_dataset(tmp_path / place, 1, SynthConfig(size=32))
    assert main(["train", "casfne", "--output", str(tmp_path / "file"), "--data", str(faces)]) == UsageError.exit_code
    assert (tmp_path / "file").read_text() == "mine"


def test_a_dataset_without_what_a_training_needs_is_said_before_it(tmp_path: Path) -> None:
    write_dataset(tmp_path / "poor", 2, SynthConfig(size=32, identities=50), pictures=("image",))
    with pytest.raises(DataError, match="no normals"):
        CasFNETrainConfig(tmp_path / "run", data=(tmp_path / "poor",)).check_places()
    write_dataset(tmp_path / "one", 1, SynthConfig(size=32), start=1)  # a person to train on, none to validate on
    with pytest.raises(DataError, match="no validation samples"):
        CasFNETrainConfig(tmp_path / "run", data=(tmp_path / "one",)).check_places()


@pytest.mark.parametrize(
    "line",
    ["[]", "{}", '{"person": "1", "files": {}}', '{"person": 1, "files": []}', '{"person": NaN, "files": {}}', "{"],
)
def test_a_damaged_list_of_samples_is_said_with_its_line(tmp_path: Path, line: str) -> None:
    good = json.dumps({"index": 0, "person": 1, "files": {"image": "a.png"}})
    (tmp_path / "samples.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(DataError, match="damaged at line 2"):
        labelled_samples((tmp_path,), "train")
    (tmp_path / "samples.jsonl").write_text(f"{good}\n{line}")  # still being written
    assert len(labelled_samples((tmp_path,), "train")) == 1


def test_streams_refuse_empty_batches() -> None:
    with pytest.raises(UsageError, match="batch_size"):
        FaceStream(SynthConfig(), 0)


def test_extreme_but_allowed_faces_are_finite(tmp_path: Path) -> None:
    extremes = dict.fromkeys(
        ("expression", "heavy_tails", "asymmetry", "deformation", "stretch", "detail", "features"), 10.0
    )
    config = SynthConfig(size=32, **extremes)  # type: ignore[arg-type]
    write_dataset(tmp_path / "a", 2, config)
    lines = (tmp_path / "a" / "samples.jsonl").read_text().splitlines()
    assert all(np.isfinite(json.loads(line)["landmarks"]).all() for line in lines)
