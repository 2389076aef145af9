# SPDX-License-Identifier: Apache-2.0
"""Systems under test: our methods as users run them, peers and stored predictions behind one interface."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

import lineament
from lineament.datasets.sample import Sample
from lineament.errors import InputError, NoFaceError, UsageError
from lineament.evaluation import MethodSystem, NormalsSystem, PeerSystem, Settings, StoredPredictions, System
from lineament.evaluation.protocols.scoring import measure_normals
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.systems.settings import Counted, Crop
from lineament.geometry import angular_error
from lineament.inference.predictor import Prediction
from lineament.pipeline.estimator import Estimator

from ..datasets import files

BOX = (174, 72, 96, 96)
"""Brows to chin of the astronaut's photo, ear to ear."""


class Bowl:
    """A predictor of 64 pixels that gives one fixed surface and notes what it was shown."""

    size, multiple, sha256, licence = 64, 32, "0" * 64, "none"
    weights, FORMAT, TAKES_EXEMPLARS = Path("bowl.safetensors"), SimpleNamespace(name="bowl"), False

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def check_stages(self, stages: int | None) -> None:
        assert stages is None or 0 <= stages <= 1

    def run(
        self, crops: NDArray[np.uint8], stages: int | None = None, exemplars: NDArray[np.float32] | None = None
    ) -> Prediction:
        self.shown.append(crops.shape)
        normals = np.broadcast_to(bowl(crops.shape[1]), (*crops.shape[:3], 3)).copy()
        flat = np.broadcast_to(np.float32([0, 0, 1]), normals.shape).copy()
        return Prediction(normals=(flat, normals)[: 2 if stages is None else stages + 1])


def bowl(side: int) -> NDArray[np.float32]:
    """Unit normals over a square, slopes proportional to the distance from its middle."""
    line = (np.arange(side, dtype=np.float32) + 0.5) / side - 0.5
    x, y = np.meshgrid(line, -line)
    normals = np.stack([x, y, np.full_like(x, 0.5)], axis=-1)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def bowl_system(crop: Crop = "given", counted: Counted = "labels", padding: float = 0.4, **more: Any) -> MethodSystem:
    options = lineament.Options(**{"second_view": False, "fine_crop": False, **more})
    estimator: Any = Estimator(Bowl(), options)  # type: ignore[arg-type]
    return MethodSystem("bowl", estimator, Settings(crop, padding, counted, options))


def photo_of(image: NDArray[np.uint8], name: str = "photo") -> Sample:
    return Sample(image, name, "somebody")


@pytest.fixture(scope="module")
def tight() -> Sample:
    """A face cut from brows to chin."""
    x, y, w, h = BOX
    return photo_of(np.ascontiguousarray(data.astronaut()[y - 4 : y + h + 4, x - 4 : x + w - 8]))


@pytest.fixture(scope="module")
def whole() -> Sample:
    return photo_of(data.astronaut())


def test_a_given_crop_is_seen_at_the_networks_own_size_and_comes_back_to_its_pixels(tight: Sample) -> None:
    height, width = tight.image.shape[:2]
    system = bowl_system()
    flat, normals = system.normals(tight)
    assert system.estimator.predictor.shown == [(1, 64, 64, 3)]
    assert flat.shape == normals.shape == tight.image.shape
    side = 1.8 * max(height, width)
    column, row = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    truth = np.stack([column / side, -row / side, np.full_like(row, 0.5)], axis=-1)
    assert angular_error(normals, truth).max() < 0.3
    assert np.allclose(flat, [0, 0, 1], atol=1e-5)


def test_options_reach_the_estimator(tight: Sample) -> None:
    both = bowl_system(second_view=True)
    both.normals(tight)
    assert both.estimator.predictor.shown == [(2, 64, 64, 3)]
    fine = bowl_system(fine_crop=True, padding=0.8)  # 270 photo pixels in 64
    fine.normals(tight)
    assert fine.estimator.predictor.shown[0][1] == 64
    assert max(shape[1] for shape in fine.estimator.predictor.shown) > 64
    assert len(bowl_system(stages=0).normals(tight)) == 1


def test_pixels_outside_the_mask_count_as_the_settings_say(whole: Sample) -> None:
    everywhere = bowl_system("found").normals(whole)[-1]
    masked = bowl_system("found", "mask").normals(whole)[-1]
    shown = (masked != 0).any(-1)
    reached = (everywhere != 0).any(-1)
    assert (reached | ~shown).all()
    assert 0.1 < shown.sum() / reached.sum() < 0.8
    assert np.array_equal(everywhere[shown], masked[shown])


def test_a_face_is_found_turned_and_the_largest_one_counts(whole: Sample) -> None:
    system = bowl_system("found")
    face = system._face(whole)
    assert face.box[0] == pytest.approx(BOX[0], abs=30)
    assert 150 < face.crop.side < 260
    small = cv2.resize(data.astronaut()[20:230, 130:320], (95, 105), interpolation=cv2.INTER_AREA)
    two = data.astronaut()[20:230, 130:320].copy()
    canvas = np.full((210, 290, 3), 90, np.uint8)
    canvas[:, 100:], canvas[50:155, :95] = two, small
    assert system._face(photo_of(canvas)).box[0] > 100
    turned = np.ascontiguousarray(
        cv2.warpAffine(data.astronaut(), cv2.getRotationMatrix2D((222, 120), 25, 1.0), (512, 512))
    )
    found, given = (bowl_system(crop)._face(photo_of(turned)).crop.roll for crop in ("found", "given"))
    assert given == 0.0
    assert found < -15  # counter-clockwise as seen


def test_where_no_face_is_found_it_says_so() -> None:
    system = bowl_system("found")
    grey = photo_of(np.full((120, 100, 3), 128, np.uint8))
    for question in (system.normals, system.depth, system.mesh, system.landmarks):
        with pytest.raises(NoFaceError):
            question(grey)
    assert len(bowl_system("given").normals(grey)) == 2


def test_depth_is_the_estimators_and_unknown_outside_the_mask(whole: Sample) -> None:
    system = bowl_system("found")
    (face,) = system.estimator.estimate(whole.image, faces=lineament_largest())
    depth = system.depth(whole)
    assert np.array_equal(np.isfinite(depth), face.mask)
    assert np.array_equal(depth[face.mask], face.depth[face.mask])
    assert np.ptp(depth[face.mask]) > 5  # the bowl is some pixels deep


def lineament_largest() -> Any:
    from lineament.face import detect_faces
    from lineament.face.detect import largest

    return largest(detect_faces)


def test_a_mesh_is_in_millimetres_and_carries_the_landmarks(whole: Sample) -> None:
    system = bowl_system("found")
    mesh, landmarks = system.mesh(whole), system.landmarks(whole)
    assert landmarks.shape == (68, 3)
    width = np.ptp(mesh.vertices[:, 0])
    assert 90 < width < 200  # an adult's face
    difference = np.linalg.norm(landmarks[36:42].mean(0) - landmarks[42:48].mean(0))
    assert 50 < difference < 75  # distance of pupils
    inner = landmarks[27:48]  # nose and eyes lie well inside the mesh
    distance = np.linalg.norm(mesh.vertices[None] - inner[:, None], axis=-1).min(1)
    assert distance.max() < 4.0  # vertices stand 4 mm apart
    assert landmarks[30, 1] < landmarks[27, 1]  # y is up: the nose's tip is below its root
    # FaceScape's picture: the same shape where the photo shows it.
    seen = system.mesh(whole, "picture").vertices
    face = system._face(whole)
    nose = face.landmarks[30] / 256.0 - 1.0
    mark = landmarks[30] * face.surface.scale / 256.0
    offset = np.array([nose[0] - mark[0], -nose[1] - mark[1]])
    assert np.allclose(seen[:, :2], mesh.vertices[:, :2] * face.surface.scale / 256.0 + offset, atol=1e-6)
    with pytest.raises(UsageError, match="perspective"):
        system.mesh(whole, "camera")


def test_what_a_system_never_gives_is_one_line(tight: Sample, tmp_path: Path) -> None:
    silent = System("silent")
    wanted = {
        "normals": "normals",
        "depth": "depth",
        "mesh": "meshes",
        "landmarks": "landmarks of meshes",
        "picture": "rendered pictures",
        "views": "rendered views",
    }
    for question, name in wanted.items():
        with pytest.raises(UsageError, match=rf"^silent estimates no {name}; give a folder"):
            getattr(silent, question)(tight)
    for system in (bowl_system(), NormalsSystem("function", lambda sample: [sample.normals])):
        with pytest.raises(UsageError, match="estimates no rendered pictures"):
            system.picture(tight)
    with pytest.raises(InputError, match="has no photo"):
        StoredPredictions(tmp_path).mesh(tight)


def test_a_function_of_normals_has_depth_where_it_answers() -> None:
    depth, normals, mask = files.sphere_map()
    sample = Sample(np.zeros((*mask.shape, 3), np.uint8), "a", "a", normals=normals.astype(np.float32))
    found = NormalsSystem("function", lambda sample: [sample.normals]).depth(sample)
    assert np.array_equal(np.isfinite(found), mask)
    error = found - depth
    assert np.std(error[mask]) < 0.2


def test_peers_may_answer_for_everything(tight: Sample) -> None:
    vertices, triangles = files.sphere_mesh()
    shape = tight.image.shape
    module = SimpleNamespace(
        load=lambda: "state",
        normals=lambda state, image: np.stack([np.zeros(shape), np.ones(shape)]),
        depth=lambda state, image: np.ones(shape[:2]),
        mesh=lambda state, image: (vertices, triangles),
        landmarks=lambda state, image: vertices[:7],
        picture=lambda state, image: image,
    )
    peer = PeerSystem("peer", module)
    assert len(peer.normals(tight)) == 2
    assert (peer.depth(tight) == 1).all()
    assert np.array_equal(peer.mesh(tight).vertices, vertices)
    assert np.array_equal(peer.landmarks(tight), np.float32(vertices[:7]))
    assert np.array_equal(peer.picture(tight), tight.image)
    del module.depth
    assert not np.isfinite(peer.depth(tight)).all() or np.ptp(peer.depth(tight)) > 0  # integrated


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("normals", np.zeros((3, 3, 3))),
        ("normals", "a word"),
        ("depth", np.zeros((3, 3))),
        ("mesh", np.zeros((3, 3))),
        ("mesh", None),
        ("mesh", (np.zeros((3, 3)), np.array([[0, 1, 9]]))),
        ("landmarks", np.zeros((3, 2))),
        ("landmarks", np.full((3, 3), np.nan)),
        ("picture", np.zeros((3, 3, 3), np.uint8)),
    ],
)
def test_answers_of_peers_that_cannot_be_used_are_refused(tight: Sample, question: str, answer: Any) -> None:
    module = SimpleNamespace(load=lambda: None, **{question: lambda state, image: answer})
    with pytest.raises(InputError, match=r"^peer gave "):
        getattr(PeerSystem("peer", module), question)(tight)


def test_peers_without_functions_are_refused(tight: Sample) -> None:
    with pytest.raises(UsageError, match="no function load"):
        PeerSystem("peer", SimpleNamespace(normals=lambda state, image: image))
    with pytest.raises(UsageError, match="no function normals"):
        PeerSystem("peer", SimpleNamespace(load=lambda: None))
    only_meshes = PeerSystem("peer", SimpleNamespace(load=lambda: None, mesh=lambda state, image: None))
    with pytest.raises(UsageError, match="estimates no depth"):
        only_meshes.depth(tight)


def test_stored_meshes_and_landmarks(tight: Sample, tmp_path: Path) -> None:
    vertices, triangles = files.sphere_mesh()
    files.write_obj(tmp_path / "photo.obj", vertices, triangles)
    np.savetxt(tmp_path / "photo.txt", files.LANDMARKS, fmt="%d")
    stored = StoredPredictions(tmp_path)
    assert np.allclose(stored.mesh(tight).vertices, vertices, atol=1e-5)
    assert np.allclose(stored.landmarks(tight), vertices[files.LANDMARKS], atol=1e-5)
    assert stored.mesh(tight, "picture") is stored.mesh(tight)  # read once, and taken as it is stored


def test_a_face_that_is_not_found_counts_ninety_degrees(tmp_path: Path) -> None:
    """Of three photos one is missed: a third of the pixels is wrong by 90°, at every stage."""
    from lineament.datasets.photoface import Photoface

    root = files.photoface_prepared(tmp_path, people=15)
    dataset = Photoface(root, split="test")
    names = [sample.name for sample in dataset]
    assert len(names) > 1

    def blind_once(sample: Sample) -> list[NDArray[np.float32]]:
        if sample.name == names[0]:
            raise NoFaceError("nobody")
        assert sample.normals is not None
        return [sample.normals, sample.normals]

    measured = measure_normals(dataset, NormalsSystem("half blind", blind_once))
    assert measured.not_found == (names[0],)
    assert measured.samples == len(names)
    assert len(measured.rows) == 2
    for _, metrics in measured.rows:
        assert metrics[0] == pytest.approx(90.0 / len(names), abs=0.1)
        assert metrics[4] == pytest.approx(100.0 * (1 - 1 / len(names)), abs=0.1)

    def blind(sample: Sample) -> list[NDArray[np.float32]]:
        raise NoFaceError("nobody")

    ((_, metrics),) = measure_normals(dataset, NormalsSystem("blind", blind)).rows
    assert metrics == (90.0, 0.0, 0.0, 0.0, 0.0)


def test_settings_are_described_and_checked() -> None:
    assert "--crop given" in Settings().describe()
    assert "margin of 0.4" in Settings().describe()
    options = lineament.Options(stages=1, second_view=False, fine_crop=False)
    found = Settings("found", counted="mask", options=options).describe()
    for words in ("--crop found", "no second view", "no finer crop", "stages after the first: 1", "--counted mask"):
        assert words in found
    assert "padding" not in found
    for wrong in ({"padding": 2.5}, {"crop": "guessed"}, {"counted": "some"}):
        with pytest.raises(UsageError):
            replace(Settings(), **wrong)


def test_framing_names_its_square() -> None:
    crop = Framing(0.25).crop(100, 80, 192)
    assert (crop.left, crop.top, crop.side, crop.size, crop.roll) == (-35.0, -25.0, 150.0, 192, 0.0)
