# SPDX-License-Identifier: Apache-2.0
"""The generator: determinism, labels that agree with each other and with the picture, ranges."""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
import torch

from lineament.datasets.labelled_folder import is_validation
from lineament.errors import UsageError
from lineament.geometry.spherical_harmonics import polynomials
from lineament.render.cameras import project
from lineament.render.colour import decode_srgb, encode_srgb
from lineament.rig import load_rig
from lineament.synth import FaceStream, Generator, MaskClass, SampleBatch, SynthConfig
from lineament.synth.generator import bump
from lineament.synth.light import Light, sample_light
from lineament.synth.person import RigTensors, finished, pose_faces, shape_of
from lineament.synth.random import SampleRandom
from lineament.synth.write import write_dataset

SMALL = SynthConfig(size=96)


@pytest.fixture(scope="module")
def batch() -> SampleBatch:
    return Generator(SMALL, load_rig()).batch(range(6))


def test_same_index_gives_the_same_bytes_whatever_stands_beside_it(batch: SampleBatch) -> None:
    again = Generator(SMALL, load_rig()).batch([4, 1])
    for name, tensor in again.tensors().items():
        assert torch.equal(tensor, batch.tensors()[name][[4, 1]]), name


def test_same_batch_gives_the_same_bytes(batch: SampleBatch) -> None:
    again = Generator(SMALL, load_rig()).batch(range(6))
    for name, tensor in again.tensors().items():
        assert torch.equal(tensor, batch.tensors()[name]), name


def test_one_face_under_another_light_keeps_its_labels(batch: SampleBatch) -> None:
    generator = Generator(SMALL, load_rig())
    draws, own = SampleRandom(SMALL.seed, [2]), SampleRandom(SMALL.seed + 0x5EED, [2])
    face = pose_faces(generator.rig, SMALL, draws, own)
    light = sample_light(draws)
    white = torch.ones_like(light.colour)
    other = dataclasses.replace(
        light, direction=-light.direction.flip(-2), colour=white, environment=0 * light.environment
    )
    for each, same in ((light, True), (other, False)):
        sample = generator.photograph(face, each, [2], [2], draws, own)
        for name in ("normals", "depth", "mask", "albedo", "landmarks", "index", "person"):
            assert torch.equal(sample.tensors()[name], batch.tensors()[name][[2]]), name
        assert torch.equal(sample.image, batch.image[[2]]) is same
        assert torch.equal(sample.light, each.shading_coefficients())


def test_a_rig_may_have_no_expressions() -> None:
    rig = load_rig()
    plain = dataclasses.replace(
        rig, expression=rig.expression[:0], expression_names=(), expression_std=rig.expression_std[:0]
    )
    tensors = RigTensors.of(plain, torch.device("cpu"))
    assert tensors.expression.shape == (0, 3 * rig.vertex_count)
    identity = torch.ones(1, rig.identity_count)
    shape = shape_of(
        tensors, identity, 0 * identity, torch.zeros(1, 0), tensors.deformation.draw(SampleRandom(0, [0]), 0.0)
    )
    np.testing.assert_allclose(shape[0].numpy(), rig.vertices(np.ones(rig.identity_count)), atol=1e-3)


def test_samples_differ(batch: SampleBatch) -> None:
    assert (batch.image[0] - batch.image[1]).abs().mean() > 0.02
    assert (batch.identity[0] - batch.identity[1]).abs().mean() > 0.2


def test_labels_have_their_shapes_and_ranges(batch: SampleBatch) -> None:
    assert batch.image.shape == batch.normals.shape == batch.albedo.shape == (6, 3, 96, 96)
    assert batch.depth.shape == batch.mask.shape == (6, 1, 96, 96)
    assert batch.landmarks.shape == (6, 68, 2)
    assert batch.light.shape == (6, 9, 3)
    assert batch.image.min() >= 0
    assert batch.image.max() <= 1
    assert set(batch.mask.unique().tolist()) <= {int(c) for c in MaskClass}
    assert (batch.mask == int(MaskClass.SKIN)).float().mean() > 0.1
    for name, tensor in batch.tensors().items():
        assert torch.isfinite(tensor.float()).all(), name


def test_normals_are_unit_vectors_on_the_head_and_zero_off_it(batch: SampleBatch) -> None:
    length = batch.normals.norm(dim=1, keepdim=True)
    labelled = batch.mask > 0
    assert torch.allclose(length[labelled], torch.ones(1), atol=1e-4)
    assert (length[batch.depth == 0] < 1.0001).all()
    face = batch.mask == int(MaskClass.SKIN)
    assert batch.normals[:, 2:][face].mean() > 0.5
    # Close to a lens one sees a little around the edge, no more.
    assert (batch.smooth_normals[:, 2:][face] < -0.1).float().mean() < 0.005


def test_depth_and_smooth_normals_agree_where_the_camera_is_far() -> None:
    config = dataclasses.replace(SMALL, size=192, nearest=20000.0, farthest=20001.0, frontal=1.0, hair=0.0)
    sample = Generator(config, load_rig()).batch(range(2))
    z = sample.depth
    dx = 0.5 * (z.roll(-1, 3) - z.roll(1, 3))
    dy = 0.5 * (z.roll(-1, 2) - z.roll(1, 2))
    estimated = torch.nn.functional.normalize(torch.cat([-dx, dy, torch.ones_like(z)], 1), dim=1)
    cosine = (estimated * sample.smooth_normals).sum(1, keepdim=True).clamp(-1, 1)
    inside = (sample.mask == int(MaskClass.SKIN)).float()
    inside = -torch.nn.functional.max_pool2d(-inside, 7, 1, 3) > 0.5
    error = torch.rad2deg(torch.acos(cosine[inside]))
    assert error.median() < 4.0


def test_landmarks_lie_where_the_camera_puts_the_rig(batch: SampleBatch) -> None:
    rig = RigTensors.of(load_rig(), torch.device("cpu"))
    shape = shape_of(rig, batch.identity, batch.asymmetry, batch.expression, batch.deformation)
    shape = finished(shape, batch.stretch, batch.profile, batch.curvature)
    camera = batch.camera
    posed = (shape[:, rig.landmarks] - camera.origin[:, None]) @ camera.rotation.transpose(1, 2)
    points, _ = project(posed, camera)
    assert torch.allclose(points[..., :2], batch.landmarks, atol=0.05)


def test_parts_are_told_apart() -> None:
    config = dataclasses.replace(SMALL, glasses=1.0, hats=0.0, covered=0.0, frontal=1.0)
    sample = Generator(config, load_rig()).batch(range(4))
    for part in (MaskClass.BROWS, MaskClass.MOUTH, MaskClass.EYES, MaskClass.GLASSES, MaskClass.SKIN):
        assert (sample.mask == int(part)).any(), part.name
    # Brows lie above the eyes, and the mouth below them.
    rows = torch.arange(96.0).view(1, 1, 96, 1).expand(4, 1, 96, 96)
    heights = [float(rows[sample.mask == int(c)].mean()) for c in (MaskClass.BROWS, MaskClass.EYES, MaskClass.MOUTH)]
    assert heights == sorted(heights)


def test_accessories_are_worn_by_their_share() -> None:
    bare = dataclasses.replace(SMALL, glasses=0.0, hats=0.0, covered=0.0)
    plain = Generator(bare, load_rig()).batch(range(6))
    assert not (plain.mask == int(MaskClass.GLASSES)).any()
    worn = Generator(dataclasses.replace(bare, glasses=1.0), load_rig()).batch(range(6))
    assert (worn.mask == int(MaskClass.GLASSES)).flatten(1).any(1).all()
    hidden = Generator(dataclasses.replace(bare, covered=1.0), load_rig()).batch(range(6))
    face = [(s.mask == int(MaskClass.SKIN)).sum() for s in (plain, hidden)]
    assert face[1] < face[0]
    assert hidden.visible.sum() < plain.visible.sum()
    hats = Generator(dataclasses.replace(bare, hats=1.0), load_rig()).batch(range(6))
    assert (hats.mask == int(MaskClass.HAIR)).sum() < (plain.mask == int(MaskClass.HAIR)).sum()


def test_landmarks_on_the_far_side_are_hidden() -> None:
    bare = dataclasses.replace(SMALL, glasses=0.0, hats=0.0, covered=0.0, hair=0.0, frontal=0.0, pitch=0.0, roll=0.0)
    sample = Generator(bare, load_rig()).batch(range(12))
    yaw = torch.atan2(-sample.camera.rotation[:, 2, 0], sample.camera.rotation[:, 2, 2])
    right, left = sample.visible[:, :5].float().mean(1), sample.visible[:, 12:17].float().mean(1)
    looks_right, looks_left = yaw > 0.6, yaw < -0.6  # to the image's right: the subject's left is hidden
    assert looks_right.any()
    assert looks_left.any()
    assert (right > left)[looks_right].all()
    assert (left > right)[looks_left].all()


def test_same_person_keeps_identity_between_photos() -> None:
    config = dataclasses.replace(SMALL, identities=50)
    sample = Generator(config, load_rig()).batch([3, 53])
    assert torch.equal(sample.identity[0], sample.identity[1])
    assert torch.equal(sample.asymmetry[0], sample.asymmetry[1])
    assert torch.equal(sample.stretch[0], sample.stretch[1])
    assert torch.equal(sample.profile[0], sample.profile[1])
    assert torch.equal(sample.curvature[0], sample.curvature[1])
    assert not torch.equal(sample.camera.rotation[0], sample.camera.rotation[1])


def test_a_flat_height_field_leaves_normals_alone_and_a_ramp_tilts_a_plane() -> None:
    normals = torch.zeros(1, 3, 16, 16)
    normals[:, 2] = 1.0
    part = torch.zeros(1, 1, 16, 16, dtype=torch.int64)
    flat = torch.zeros(1, 1, 16, 16)
    scale = torch.tensor([2.0])
    assert torch.equal(bump(normals, flat, scale, part, flat), normals)
    ramp = 0.25 * torch.arange(16.0).view(1, 1, 1, 16).expand(1, 1, 16, 16)  # 0.25 mm a pixel, 0.5 mm a mm
    tilted = bump(normals, ramp, scale, part, flat)[0, :, 8, 8]
    expected = torch.nn.functional.normalize(torch.tensor([-0.5, 0.0, 1.0]), dim=0)
    assert torch.allclose(tilted, expected, atol=1e-5)


def test_detail_changes_normals_but_not_the_smooth_ones() -> None:
    plain = Generator(dataclasses.replace(SMALL, detail=0.0), load_rig()).batch([0, 1])
    rough = Generator(SMALL, load_rig()).batch([0, 1])
    assert torch.equal(plain.smooth_normals, rough.smooth_normals)
    assert not torch.equal(plain.normals, rough.normals)
    skin = (plain.mask == int(MaskClass.SKIN)).expand(-1, 3, -1, -1)
    assert torch.allclose(plain.normals[skin], plain.smooth_normals[skin], atol=1e-5)


def test_the_light_label_is_the_shading_of_a_lamp() -> None:
    direction = torch.nn.functional.normalize(torch.tensor([[[0.3, 0.4, 0.8]]]), dim=-1)
    light = Light(direction, torch.ones(1, 1, 3), torch.zeros(1, 1), torch.zeros(1, 9, 3))
    basis = torch.stack(polynomials(*direction[0, 0].unbind()))
    facing = (basis[:, None] * light.shading_coefficients()[0]).sum(0)
    assert facing[0] == pytest.approx(1.0, abs=0.08)  # order 2 keeps a clamped cosine within about 6 %


def test_light_is_never_negative_at_the_lamp() -> None:
    light = sample_light(SampleRandom(1, range(64), torch.device("cpu")))
    assert (light.colour >= 0).all()
    assert torch.allclose(light.direction.norm(dim=-1), torch.ones(64, 3), atol=1e-5)
    assert (light.environment[:, 0] > 0).all()


def test_srgb_round_trip() -> None:
    linear = torch.linspace(0, 1, 101)
    assert torch.allclose(decode_srgb(encode_srgb(linear)), linear, atol=1e-5)


def test_stream_splits_by_identity_and_resumes() -> None:
    train = FaceStream(SMALL, batch_size=3)
    validation = FaceStream(SMALL, batch_size=3, split="validation")
    trained = [i for b in range(60) for i in train.indices(b)]
    assert len(set(trained)) == len(trained)
    assert not any(is_validation(i) for i in trained)
    assert all(is_validation(i) for b in range(5) for i in validation.indices(b))
    first = iter(FaceStream(SMALL, batch_size=2))
    next(first)
    second = next(first)
    resumed = next(iter(FaceStream(SMALL, batch_size=2, start=1)))
    assert torch.equal(second.image, resumed.image)


def test_written_datasets_read_back(tmp_path) -> None:
    folder = tmp_path / "faces"
    write_dataset(folder, 2, SMALL, batch_size=2)
    manifest = write_dataset(folder, 3, SMALL, batch_size=2)  # continued
    assert json.loads(manifest.read_text())["config"]["size"] == 96
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]
    sample = Generator(SMALL, load_rig()).batch([0, 1])
    stored = cv2.imread(str(folder / lines[1]["files"]["normals"]), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert stored.dtype == np.uint16
    head = (sample.normals[1].norm(dim=0) > 0.5).numpy()
    decoded = stored.astype(np.float32) / 65535 * 2 - 1
    assert np.abs(decoded[head] - sample.normals[1].permute(1, 2, 0).numpy()[head]).max() < 1e-4
    assert (stored[~head] == 0).all()
    depth = cv2.imread(str(folder / lines[1]["files"]["depth"]), cv2.IMREAD_UNCHANGED).astype(np.float32)
    assert np.abs((depth[head] - 32768) / 64 - sample.depth[1, 0].numpy()[head]).max() < 0.01
    assert np.allclose(lines[1]["landmarks"], sample.landmarks[1].numpy(), atol=1e-3)
    with pytest.raises(UsageError, match="another configuration"):
        write_dataset(folder, 3, dataclasses.replace(SMALL, seed=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 100}, "multiple of 32"),
        ({"identities": 7}, "multiple of 50"),
        ({"span_low": 0.9, "span_high": 0.5}, "span"),
        ({"nearest": 10.0}, "nearest"),
        ({"nearest": 900.0, "farthest": 800.0}, "farthest"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SynthConfig(**change)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_makes_the_same_faces(batch: SampleBatch) -> None:
    other = Generator(SMALL, load_rig(), "cuda").batch(range(6))
    assert (other.landmarks.cpu() - batch.landmarks).abs().max() < 0.05
    assert (other.image.cpu() - batch.image).abs().mean() < 0.02
