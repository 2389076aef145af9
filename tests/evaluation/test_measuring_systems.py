# SPDX-License-Identifier: Apache-2.0
"""What the tables of depth and of meshes take of a system, and what a face that is not found counts in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

import lineament
from lineament.datasets.dataset import Dataset, Item
from lineament.datasets.esrc import ESRC
from lineament.datasets.realy import REALY
from lineament.datasets.sample import Sample
from lineament.errors import InputError, NoFaceError
from lineament.evaluation import Settings, System, method_system
from lineament.evaluation.metrics.now import NOW_LANDMARKS
from lineament.evaluation.protocols.depths import measure_depth, measure_landmark_depth
from lineament.evaluation.protocols.meshes import measure_realy, measure_scan_distance
from lineament.evaluation.protocols.scoring import measure_texture
from lineament.evaluation.systems.system import Floats, Frame
from lineament.geometry.mesh import Mesh

from ..datasets import files


class InMemory(Dataset):
    """Samples that are there already."""

    def __init__(self, root: Path, samples: list[Sample]) -> None:
        self.samples = {sample.name: sample for sample in samples}
        super().__init__(root)

    def find_items(self) -> Iterator[Item]:
        for sample in self.samples.values():
            yield Item(sample.name, sample.subject, {})

    def read(self, item: Item) -> Sample:
        return self.samples[item.name]


GREY = np.full((120, 100, 3), 128, np.uint8)
"""No face."""


def test_tables_of_depth_measure_the_estimators_depth(tmp_path: Path) -> None:
    """The method's own depth, twice as deep and moved, is a perfect truth; in a grey picture it counts as flat."""
    options = lineament.Options(second_view=False, fine_crop=False)
    system = method_system("df2net-s", Settings("found", options=options))
    photo = data.astronaut()[30:210, 130:320].copy()
    (face,) = lineament.load("df2net-s").estimate(photo, options=options)
    truth = np.where(face.mask, 2 * face.depth + 5, np.nan).astype(np.float32)
    seen = Sample(photo, "seen", "her", depth=truth)
    measured = measure_depth(InMemory(tmp_path, [seen]), system)
    ((_, (mean, *_)),) = measured.rows
    assert mean == pytest.approx(0.0, abs=1e-3)
    assert measured.not_found == ()
    assert "100.0 % of the labelled pixels" in measured.notes[-1]

    ramp = np.broadcast_to(np.linspace(0, 40, 100, dtype=np.float32), GREY.shape[:2])
    both = measure_depth(InMemory(tmp_path, [seen, Sample(GREY, "grey", "nobody", depth=ramp)]), system)
    assert both.not_found == ("grey",)
    assert both.samples == 2
    flat = float(np.abs(ramp - 20.0).sum()) / (ramp.size + int(face.mask.sum()))
    assert both.rows[0][1][0] == pytest.approx(flat, rel=1e-3)

    # Labels beyond the mask are said to be left out.
    wide = replace(seen, depth=np.nan_to_num(truth))
    ((_, (wide_mean, *_)),) = (result := measure_depth(InMemory(tmp_path, [wide]), system)).rows
    assert wide_mean == pytest.approx(0.0, abs=1e-3)
    share = 100 * face.mask.mean()
    assert f"{share:.1f} % of the labelled pixels" in result.notes[-1]


class Known(System):
    """Answers from what it is given; no face where the name is in ``missed``."""

    def __init__(self, missed: tuple[str, ...] = (), **answers: Any) -> None:
        super().__init__("known")
        self.missed, self.answers = missed, answers
        self.frames: list[Frame] = []

    def _answer(self, wanted: str, sample: Sample) -> Any:
        if sample.name in self.missed:
            raise NoFaceError("nobody")
        return self.answers[wanted]

    def depth(self, sample: Sample) -> Floats:
        depth: Floats = self._answer("depth", sample)
        return depth

    def mesh(self, sample: Sample, frame: Frame = "millimetres") -> Mesh:
        self.frames.append(frame)
        mesh: Mesh = self._answer("mesh", sample)
        return mesh

    def landmarks(self, sample: Sample) -> NDArray[np.float64]:
        points: NDArray[np.float64] = self._answer("landmarks", sample)
        return points

    def picture(self, sample: Sample) -> NDArray[np.uint8]:
        self._answer("mesh", sample)
        return sample.image


def test_landmarks_where_a_system_has_no_depth_take_the_nearest(tmp_path: Path) -> None:
    depth = np.full((10, 10), np.nan, np.float32)
    depth[:, 2] = 7.0
    samples = [
        Sample(np.zeros((10, 10, 3), np.uint8), f"{z}", "a", landmarks=np.array([[2.5, 5.0, z], [8.5, 5.0, z]]))
        for z in (1.0, 2.0)
    ]
    measured = measure_landmark_depth(InMemory(tmp_path, samples), Known(depth=depth))
    assert measured.rows[0][1][0] == 0.0  # finite: the same depth for both photos has no correlation
    with pytest.raises(InputError, match="has no depth of 1"):
        measure_landmark_depth(InMemory(tmp_path, samples), Known(depth=np.full((10, 10), np.nan, np.float32)))


def test_of_68_landmarks_the_seven_of_a_scan_are_taken(tmp_path: Path) -> None:
    root = files.esrc(tmp_path)
    vertices, triangles = files.sphere_mesh()
    turned = vertices @ np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).T + 12.0
    landmarks = np.zeros((68, 3))
    landmarks[NOW_LANDMARKS] = turned[files.LANDMARKS]
    landmarks, turned = 3.0 * landmarks, 3.0 * turned
    system = Known(mesh=Mesh(turned, triangles), landmarks=landmarks)
    ((_, metrics),) = measure_scan_distance(ESRC(root), system).rows
    assert metrics == pytest.approx((0.0, 0.0, 0.0), abs=1e-4)  # motion and size are taken out
    assert set(system.frames) == {"millimetres"}
    with pytest.raises(InputError, match="seven landmarks are needed of the prediction, not 5"):
        measure_scan_distance(ESRC(root), Known(mesh=Mesh(turned, triangles), landmarks=landmarks[:5]))


def test_views_of_a_person_are_counted(tmp_path: Path) -> None:
    root = files.esrc(tmp_path)
    vertices, triangles = files.sphere_mesh()
    asked: list[tuple[int, bool]] = []

    class Counting(Known):
        def person(self, samples: Sequence[Sample], naive: bool = False) -> tuple[Mesh, NDArray[np.float64]]:
            asked.append((len(samples), naive))
            return super().person(samples, naive)

    system = Counting(mesh=Mesh(vertices, triangles), landmarks=vertices[files.LANDMARKS])
    measured = measure_scan_distance(ESRC(root), system, views=(1, 2, 9), naive=2)
    assert [label for label, _ in measured.rows] == ["1 view", "2 views", "9 views", "naive, 2 views"]
    photos = max(sum(i.files["scan"] == item.files["scan"] for i in ESRC(root).items) for item in ESRC(root).items)
    assert photos >= 2
    assert asked[:4] == [(1, False), (2, False), (photos, False), (2, True)]


def test_faces_that_are_not_found_are_left_out_of_tables_of_meshes_and_pictures(tmp_path: Path) -> None:
    vertices, triangles = files.sphere_mesh()
    landmarks = vertices[np.linspace(0, len(vertices) - 1, 85).astype(int)]
    realy = REALY(files.realy(tmp_path / "realy"))
    names = [sample.name for sample in realy]
    answers = {"mesh": Mesh(vertices, triangles), "landmarks": landmarks}
    measured = measure_realy(realy, Known((names[0],), **answers))
    assert measured.not_found == (names[0],)
    assert measured.samples == 2
    (seen,) = [metric for metric in measured.rows[0][1] if metric is not None]  # one picture is frontal, one not
    assert seen == pytest.approx(0.0, abs=0.1)
    with pytest.raises(NoFaceError, match="in any of the 2 photos"):
        measure_realy(realy, Known(tuple(names), **answers))

    pictures = InMemory(tmp_path, [Sample(GREY, "a", "a"), Sample(GREY // 2, "b", "b")])
    shown = measure_texture(pictures, Known(("a",), mesh=None))
    assert shown.rows[0][1] == (None, pytest.approx(1.0))
    assert (shown.samples, shown.not_found) == (2, ("a",))
