# SPDX-License-Identifier: Apache-2.0
"""Faces made by workers into a pool, trainings that end in time, and what a stopped run leaves."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from lineament.cli import main
from lineament.errors import UsageError
from lineament.images import tone
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE, CasFNEConfig
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.networks.weight_files import load_weights
from lineament.synth.config import SynthConfig
from lineament.training.augment import face_contrast
from lineament.training.batch import Batch
from lineament.training.checkpoint import AVERAGED, CURRENT, read_checkpoint
from lineament.training.data import batches
from lineament.training.labels import Decoder
from lineament.training.loop import train
from lineament.training.pool import Arrivals, SamplePool, pooled
from lineament.training.schedule import FLOOR, learning_rate

CPU = torch.device("cpu")
TINY = CasFNEConfig(width=0.125, decoder_channels=(16, 16, 8, 8, 8), normal_channels=4, stages=0, crop_size=64)


def numbered(first: int, count: int) -> tuple[Tensor, Tensor]:
    numbers = torch.arange(first, first + count)
    return numbers, 10 * numbers[:, None]


def test_new_samples_take_the_places_of_the_oldest() -> None:
    pool, generator = SamplePool(5, CPU), torch.Generator().manual_seed(0)
    pool.put(numbered(0, 3))
    assert len(pool) == 3
    assert set(pool.draw(200, generator)[0].tolist()) == {0, 1, 2}
    pool.put(numbered(3, 4))
    numbers, tens = pool.draw(400, generator)
    assert set(numbers.tolist()) == {2, 3, 4, 5, 6}
    assert torch.equal(tens[:, 0], 10 * numbers)
    pool.put(numbered(7, 12))  # more than there is room for
    assert set(pool.draw(400, generator)[0].tolist()) == {14, 15, 16, 17, 18}


def test_a_pool_waits_for_its_first_samples_only() -> None:
    def slow() -> Iterator[tuple[Tensor, ...]]:
        yield numbered(0, 8)
        time.sleep(30.0)

    began = time.monotonic()
    source = pooled(slow(), 8, 2, 1.0, 0, CPU)
    drawn = torch.cat([batch[0] for batch in islice(source, 50)])
    source.close()  # type: ignore[attr-defined]  # it is a generator
    assert time.monotonic() - began < 10.0
    assert set(drawn.tolist()) == set(range(8))


def test_samples_are_seen_as_often_as_asked_for() -> None:
    taken = []

    def quick() -> Iterator[tuple[Tensor, ...]]:
        for number in range(10_000):
            taken.append(number)
            yield numbered(4 * number, 4)

    source = pooled(quick(), 1000, 4, 5.0, 0, CPU)
    for _ in islice(source, 100):  # 400 samples drawn: 80 made, and those that wait
        time.sleep(0.002)
    source.close()  # type: ignore[attr-defined]
    assert 15 <= len(taken) <= 26


def test_a_source_that_fails_ends_no_training_but_one_that_never_began_does(caplog: pytest.LogCaptureFixture) -> None:
    def failing(before: int) -> Iterator[tuple[Tensor, ...]]:
        yield from (numbered(8 * number, 8) for number in range(before))
        raise RuntimeError("no memory")

    began = time.monotonic()
    for batch in pooled(failing(2), 100, 2, 0.0, 0, CPU):
        assert batch[0].max() < 16
        if "no memory" in caplog.text or time.monotonic() - began > 20.0:
            break
    assert "no memory" in caplog.text
    assert "going on with 16" in caplog.text
    with pytest.raises(RuntimeError, match="no memory"):
        next(pooled(failing(0), 100, 2, 0.0, 0, CPU))


def test_arrivals_come_in_order_and_stop() -> None:
    arrivals = Arrivals(iter(range(5)))
    assert [arrivals.take(wait=True) for _ in range(5)] == list(range(5))
    assert arrivals.take(wait=False) is None
    arrivals.close()


def test_packed_batches_keep_what_files_keep() -> None:
    normals = torch.nn.functional.normalize(torch.randn(2, 3, 32, 32), dim=1)
    face, decoder = torch.rand(2, 1, 32, 32) > 0.5, Decoder(("normals",))
    batch = Batch(torch.rand(2, 3, 32, 32), {"face": face, "normals": normals})
    again = decoder.unpacked(decoder.packed(batch))
    assert torch.allclose(again.image, batch.image, atol=0.5 / 255 + 1e-6)
    assert torch.allclose(again["normals"], batch["normals"], atol=1e-4)
    assert torch.equal(again["face"], batch["face"])
    assert (
        sum(tensor.nbytes for tensor in decoder.packed(batch)) == decoder.bytes_per_pixel * 2 * 32 * 32 == 20 * 32 * 32
    )


def test_the_contrast_of_a_batch_is_that_of_its_pictures() -> None:
    pictures = torch.rand(3, 3, 48, 48) * torch.tensor([1.0, 0.3, 0.01])[:, None, None, None]
    expected = [tone.face_contrast(picture.permute(1, 2, 0).numpy()) for picture in pictures]
    assert face_contrast(pictures).tolist() == pytest.approx(expected, abs=1e-4)


def test_the_schedule_follows_the_time_where_it_is_ahead() -> None:
    assert learning_rate(100, 10_000, 1.0, 10, passed=1.0) == pytest.approx(FLOOR)
    assert learning_rate(100, 10_000, 1.0, 10, passed=0.5) == pytest.approx(FLOOR + (1 - FLOOR) / 2)
    assert learning_rate(5, 10_000, 1.0, 10, passed=0.5) == pytest.approx(0.6)  # it warms up all the same
    assert learning_rate(9_000, 10_000, 1.0, 10, passed=0.1) == learning_rate(9_000, 10_000, 1.0, 10)
    assert [learning_rate(1, 100, 1.0, 0, "steps", passed) for passed in (0.6, 0.75, 0.9)] == pytest.approx(
        [1.0, 0.1, 0.01]
    )


def configured(output: Path, **changes: object) -> CasFNETrainConfig:
    config = CasFNETrainConfig(
        output,
        size=64,
        stages=0,
        batch_size=2,
        warmup=2,
        losses=("rec",),
        validation_batches=1,
        precision="fp32",
        synth=SynthConfig(yaw=20.0, span_low=0.5, span_high=0.6),
    )
    return dataclasses.replace(config, **changes)


def test_a_limited_training_ends_in_time_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    config = configured(tmp_path, workers=1, pool=16, minutes=0.05, validate_every=10**6)
    weights = train(CasFNERecipe(config), config)
    assert load_weights(weights, CasFNE).config == TINY
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert len(steps) > 3
    assert steps[-1]["learning_rate"] < 0.3 * config.learning_rate
    assert "validation_error_stage_0" in lines[-1]
    again = train(CasFNERecipe(config), config)  # its time is over
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == lines[-1]["step"]
    assert again == weights


def test_a_stopped_run_leaves_its_averaged_weights(
    tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineament.methods.casfne.recipe.model_config", lambda config: TINY)
    config = configured(tmp_path, data=(faces,), steps=50)

    def stop(step: int, metrics: object) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CasFNERecipe(config), config, stop)
    assert not list(tmp_path.glob("casfne*"))
    assert not list(tmp_path.glob("averaged*"))
    assert main(["export", str(tmp_path), "--ema"]) == 0
    averaged = load_weights(tmp_path / AVERAGED, CasFNE)
    assert averaged.config == TINY
    checkpoint = read_checkpoint(tmp_path / CURRENT)
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, checkpoint.tensors[f"module.averaged.{name}"].half().float()), name
    first = "encoder.conv1.weight"
    assert not torch.equal(*(checkpoint.tensors[f"module.{part}.{first}"] for part in ("averaged", "model")))
    assert {path.name for path in tmp_path.glob("averaged*.onnx")} >= {"averaged.initial.onnx"}
    with safe_open(tmp_path / AVERAGED, "pt") as file:
        header = file.metadata()
    assert header["step"] == "3"
    assert json.loads(header["training"])["steps"] == 50
    assert not list(tmp_path.glob("casfne*"))  # or the run would look finished
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    for wrong in (["--ema"], []):
        folder = tmp_path if not wrong else tmp_path.parent
        assert main(["export", str(folder), *wrong]) == UsageError.exit_code


def test_faces_made_while_training_are_as_the_configuration_wants_them(tmp_path: Path) -> None:
    plain = configured(tmp_path, synth=SynthConfig())
    near = configured(tmp_path, synth=SynthConfig(span_low=0.9, span_high=0.95, frontal=1.0))
    small, large = (next(batches(config, "train", 0, CPU))["face"].float().mean() for config in (near, plain))
    assert small > 1.2 * large


@pytest.mark.parametrize(
    "change", [{"minutes": -1.0}, {"pool": 8}, {"pool": 1, "workers": 1}, {"pool": 8, "workers": 1, "data": (Path(),)}]
)
def test_impossible_pools_and_times_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"pool|minutes"):
        configured(tmp_path, **change)
