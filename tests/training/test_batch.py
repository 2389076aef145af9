# SPDX-License-Identifier: Apache-2.0
"""One kind of batch: its labels move with their pictures, each by what it is."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from lineament.annotations.landmarks import MIRROR
from lineament.face import Pose
from lineament.training.augment import Placement, draws_of, varied
from lineament.training.batch import Batch, concatenated
from lineament.training.config import LoopConfig
from lineament.training.labels import LABELS, Decoder

SIZE, COUNT = 96, 4


def placed(mirror: float, turn: float, zoom: float, shift: tuple[float, float] = (0.0, 0.0)) -> Placement:
    values = (torch.full((COUNT,), value) for value in (mirror, turn, zoom))
    window = torch.ones(COUNT, 2)
    return Placement.of(SIZE, *values, torch.tensor(shift).expand(COUNT, 2), window)


@pytest.fixture
def dots() -> Batch:
    """Pictures of 68 dots, each of a class of its own, whose places are the landmarks."""
    draw = torch.Generator().manual_seed(3)
    cells = torch.randperm(20 * 20, generator=draw)[:68]
    places = torch.stack([cells % 20, cells // 20], dim=1) * 3 + 18  # px, three apart, away from the border
    classes = torch.zeros(SIZE, SIZE, dtype=torch.int64)
    for number, (x, y) in enumerate(places.tolist(), 1):
        classes[y - 1 : y + 2, x - 1 : x + 2] = number
    landmarks = ((places + 0.5) / SIZE).expand(COUNT, -1, -1)
    visible = (torch.arange(68) % 3 > 0).expand(COUNT, -1)
    labels = {
        "face": torch.ones(COUNT, 1, SIZE, SIZE, dtype=torch.bool),
        "parse": classes.expand(COUNT, 1, -1, -1),
        "landmarks": landmarks,
        "visible": visible,
        "rotation": torch.eye(3).expand(COUNT, -1, -1),
    }
    return Batch((classes / 68.0).expand(COUNT, 3, -1, -1), labels)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize(
    ("turn", "zoom", "shift"), [(0.0, 1.0, (0.1, -0.07)), (0.3, 1.1, (0.0, 0.05)), (-0.6, 0.8, (0.0, 0.0))]
)
def test_landmarks_and_classes_go_where_their_pictures_go(
    dots: Batch, mirror: float, turn: float, zoom: float, shift: tuple[float, float]
) -> None:
    moved = placed(mirror, turn, zoom, shift).batch(dots)
    assert moved["parse"].dtype == torch.int64
    found = 0
    for number in range(68):
        x, y = (SIZE * moved["landmarks"][0, number]).tolist()
        if not (1 <= x < SIZE - 1 and 1 <= y < SIZE - 1):
            continue
        found += 1
        source = number if mirror > 0 else int(MIRROR[number])
        assert moved["parse"][0, 0, int(y), int(x)] == source + 1
        assert moved["visible"][0, number] == (source % 3 > 0)
    assert found > 40
    assert moved["landmarks"].shape == (COUNT, 68, 2)


def test_a_heads_rotation_turns_and_mirrors_with_its_picture() -> None:
    yaw, turn = np.radians(30.0), 0.4
    rotation = torch.tensor(
        [[np.cos(yaw), 0.0, np.sin(yaw)], [0.0, 1.0, 0.0], [-np.sin(yaw), 0.0, np.cos(yaw)]], dtype=torch.float32
    ).expand(COUNT, -1, -1)
    for mirror in (1.0, -1.0):
        moved = placed(mirror, turn, 1.0).rotation(rotation)
        assert torch.allclose(torch.linalg.det(moved), torch.ones(COUNT), atol=1e-5)
        before, after = Pose.of_rotation(rotation[0].double().numpy()), Pose.of_rotation(moved[0].double().numpy())
        assert after.yaw == pytest.approx(mirror * before.yaw, abs=1e-3)
        assert after.pitch == pytest.approx(before.pitch, abs=1e-3)
        assert after.roll == pytest.approx(-mirror * np.degrees(turn), abs=1e-3)  # clockwise, the turn is not
        # The direction in which the face looks moves as normals do.
        forward = rotation[:, :, 2][:, :, None, None].expand(-1, -1, SIZE, SIZE)
        turned = placed(mirror, turn, 1.0).normals(forward)[:, :, SIZE // 2, SIZE // 2]
        assert torch.allclose(moved[:, :, 2], turned, atol=1e-5)


def test_labels_that_do_not_move_are_refused(dots: Batch) -> None:
    with pytest.raises(KeyError, match="heat"):
        placed(1.0, 0.0, 1.0).batch(dots.with_labels(heat=torch.zeros(COUNT, 12, 12)))
    with pytest.raises(KeyError, match="depth"):
        _ = dots["depth"]
    with pytest.raises(KeyError, match="landmarks"):
        dots.at_half_resolution()


def test_batches_are_joined_by_label(dots: Batch) -> None:
    both = concatenated([dots, dots.with_labels(visible=~dots["visible"])])
    assert len(both) == 2 * COUNT
    assert torch.equal(both["visible"][:COUNT], ~both["visible"][COUNT:])
    assert both.labels.keys() == dots.labels.keys()
    for different in (dots.only("face"), dots.with_labels(noisy=dots.image)):
        with pytest.raises(KeyError, match="not all of the batches"):
            concatenated([dots, different])
    assert set(dots.only("face", "parse").labels) == {"face", "parse"}


def test_what_a_network_sees_is_recoloured_and_what_was_lit_is_not(dots: Batch, tmp_path: object) -> None:
    config = LoopConfig(tmp_path, size=SIZE, batch_size=COUNT)  # type: ignore[arg-type]
    depth = torch.rand(COUNT, 1, SIZE, SIZE)
    batch = dots.only("face").with_labels(depth=depth, albedo=dots.image)
    moved, seen = varied(batch, config, 3)
    assert torch.allclose(moved["albedo"], moved.image)  # both were the same, and moved alike
    assert not torch.allclose(seen, moved.image, atol=0.02)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert (moved["depth"] * moved["face"]).sum((1, 2, 3)).abs().max() < 1e-2
    plain, same = varied(batch, dataclasses.replace(config, augment=False), 3)
    assert torch.equal(same, batch.image)
    assert plain is batch


def test_chance_differs_by_process_and_purpose(dots: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    first = draws_of(dots, 0, 5).uniform(0.0, 1.0)
    assert torch.equal(first, draws_of(dots, 0, 5).uniform(0.0, 1.0))
    assert not torch.equal(first, draws_of(dots, 1, 5).uniform(0.0, 1.0))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert not torch.equal(first, draws_of(dots, 0, 5).uniform(0.0, 1.0))
    assert torch.equal(draws_of(dots, 0, 5).uniform(0.0, 1.0), draws_of(dots, 0, 5).uniform(0.0, 1.0))


@pytest.mark.parametrize("names", [(), ("normals",), ("depth", "albedo"), tuple(LABELS)])
def test_decoders_keep_the_labels_that_they_name_and_can_be_sent_to_workers(names: tuple[str, ...]) -> None:
    decoder = pickle.loads(pickle.dumps(Decoder(names)))
    labels = {name: torch.rand(2, LABELS[name].channels, 32, 32) for name in names}
    batch = Batch(torch.rand(2, 3, 32, 32), {"face": torch.rand(2, 1, 32, 32) > 0.5, **labels})
    packed = decoder.packed(batch)
    assert sum(tensor.nbytes for tensor in packed) == 2 * 32 * 32 * decoder.bytes_per_pixel
    again = decoder.unpacked(packed)
    assert set(again.labels) == {"face", *names}
    assert all(torch.allclose(again[name], batch[name], atol=1e-4) for name in names)
    assert decoder.pictures == ("image", *names, "mask")
