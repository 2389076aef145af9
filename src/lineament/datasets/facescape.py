# SPDX-License-Identifier: Apache-2.0
"""FaceScape: 847 people in 20 expressions; its benchmark of 400 pictures "in the wild" and 660 "in the lab".

Yang et al., "FaceScape: a large-scale high quality 3D face dataset", CVPR 2020; Zhu et al., "FaceScape: 3D facial
dataset
and benchmark for single-view 3D face reconstruction", PAMI 2023. Licence key from nju-3dv.github.io/projects/FaceScape;
non-commercial research only. Tables: HRN 1, 2, 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item, folders, pictures, rgb
from lineament.datasets.meshes import read_mesh
from lineament.datasets.sample import Sample
from lineament.errors import DataError
from lineament.files.reading import parse_json, reading
from lineament.geometry.mesh import Mesh

Part = Literal["wild", "lab"]

_FROM_OPENCV = np.array([1.0, -1.0, -1.0])

PUPIL_DISTANCE = 62.85
"""Millimetres, the mean of women and men that the benchmark scales heads to."""


class FaceScapeBenchmark(Dataset):
    """The benchmark's pictures with their true meshes; items are named `000` (wild) or `ID_FOCAL_VIEW` (lab).

    Layout: wild_gt_mesh/000.obj, pictures 000.jpg in another folder wild*, predef/wild_*.npy; likewise lab_, and
    lab_cam/

    `predef` is the folder of the benchmark's code, copied beside its data: where the heads are and how they are turned.
    Wild: an orthographic camera that sees [-1, 1]³; meshes are multiplied by the picture's `pupil_scale`, which puts
    the pupils 62.85 mm apart, x to the right, y up, z to the viewer. Lab: `lab_gt_mesh/ID.obj` times 62.85 mm, moved by
    the camera of `lab_cam/NAME.json`, which is OpenCV's (x to the right, y down, z away), as are the heads' rotations
    and centres (`render_cvcam` in benchmark/code/renderer.py of github.com/zhuhao-nju/facescape turns y and z round
    before it draws); here it is turned into the frame of the other part.
    """

    NAME = "FaceScape benchmark"

    def __init__(self, root: Path | str, part: Part = "wild", split: str = "all") -> None:
        """Look for the items of a part, "wild" or "lab"."""
        if part not in ("wild", "lab"):
            raise DataError(f"unknown part {part!r}: take wild or lab")
        self.part = part
        super().__init__(root, split)

    def find_items(self) -> Iterator[Item]:
        """Pictures with a mesh of the same name (wild) or person (lab)."""
        meshes = {path.stem: path for path in sorted((self.root / f"{self.part}_gt_mesh").glob("*.obj"))}
        for folder in folders(self.root):
            if folder.name.startswith(self.part) and not folder.name.endswith("gt_mesh"):
                for photo in pictures(folder):
                    person = photo.stem.split("_")[0]
                    if person in meshes:
                        files = {"image": photo, "scan": meshes[person]}
                        if self.part == "lab":
                            files["camera"] = self.root / "lab_cam" / f"{photo.stem}.json"
                        yield Item(photo.stem, person, files)

    def read(self, item: Item) -> Sample:
        """A picture with its mesh in millimetres, and the frame of the head."""
        numbers = [int(word) for word in item.name.split("_")]
        turn, middle = (numbers[0], numbers[0]) if self.part == "wild" else (numbers[2], numbers[1])
        rotation, centre = self._predefined("rotations")[turn], self._predefined("head_centers")[middle]
        scale = float(self._predefined("pupil_scales")[turn]) if self.part == "wild" else PUPIL_DISTANCE
        scan = read_mesh(item.files["scan"])
        vertices = scan.vertices * scale
        if self.part == "lab":
            _, motion = (np.array(part, np.float64) for part in parse_json(item.files["camera"].read_text()))
            vertices = (vertices @ motion[:3, :3].T + motion[:3, 3] * scale) * _FROM_OPENCV
        head = np.eye(4)
        head[:3, :3] = rotation.T if self.part == "wild" else rotation.T * _FROM_OPENCV
        head[:3, 3] = -rotation.T @ centre * (scale if self.part == "wild" else 1.0)
        return Sample(
            rgb(item.files["image"]),
            item.name,
            item.subject,
            scan=Mesh(vertices, scan.triangles),
            head=head,
            meta={"part": self.part, "pupil_scale": scale},
        )

    def _predefined(self, name: str) -> NDArray[np.float64]:
        path = self.root / "predef" / f"{self.part}_{name}.npy"
        if not path.is_file():
            raise DataError(f"there is no {path}; copy the folder predef of the benchmark's code to {self.root}")
        with reading(path, "an array", DataError):
            return np.asarray(np.load(path, allow_pickle=False), np.float64)


class FaceScapeViews(Dataset):
    """Multi-view pictures with the scan of each expression.

    Layout: fsmview_trainset/SUBJECT/EXPRESSION/VIEW.jpg, .../SUBJECT/EXPRESSION.{ply,obj}, Rt_scale_dict.json

    One item per view; items of one (subject, expression) share their scan. Scans have each a frame and a scale of their
    own; `Rt_scale_dict.json` (toolkit/predef of github.com/zhuhao-nju/facescape) holds [scale, [R | t]] by subject and
    number of the expression, which take them to millimetres, faces along z, y up (toolkit/demo_align.ipynb). Views that
    `params.json` calls invalid are left out (doc/doc_mview_model.md).
    """

    NAME = "FaceScape multi-view"

    def find_items(self) -> Iterator[Item]:
        """One item per view."""
        base = self.root / "fsmview_trainset"
        for person in folders(base if base.is_dir() else self.root):
            for expression in folders(person):
                scans = [
                    path for suffix in (".ply", ".obj") if (path := person / f"{expression.name}{suffix}").is_file()
                ]
                cameras = _parameters(expression / "params.json") if scans else {}
                for photo in pictures(expression) if scans else []:
                    if cameras.get(f"{photo.stem}_valid") is False:
                        continue
                    name = f"{person.name}/{expression.name}/{photo.stem}"
                    meta = {"expression": expression.name, "view": photo.stem}
                    yield Item(name, person.name, {"image": photo, "scan": scans[0]}, meta)

    def read(self, item: Item) -> Sample:
        """A view with its scan in millimetres, in the frame of FaceScape's registered models."""
        scan = read_mesh(item.files["scan"])
        number = str(item.meta["expression"]).partition("_")[0]
        try:
            scale, motion = self._alignments[item.subject][number]
            rotation, offset = np.array(motion, np.float64)[:3, :3], np.array(motion, np.float64)[:3, 3]
            aligned = float(scale) * scan.vertices @ rotation.T + offset
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"Rt_scale_dict.json does not hold subject {item.subject}, expression {number}") from error
        scan = Mesh(aligned, scan.triangles)
        return Sample(rgb(item.files["image"]), item.name, item.subject, scan=scan, meta=item.meta)

    @cached_property
    def _alignments(self) -> dict[str, Any]:
        """Scale and motion of each scan, by subject and number of the expression."""
        path = self.root / "Rt_scale_dict.json"
        if not path.is_file():
            raise DataError(f"there is no {path}; copy it from toolkit/predef of FaceScape's code: scans have no unit")
        return _parameters(path)


def _parameters(path: Path) -> dict[str, Any]:
    """What a JSON file of FaceScape says; nothing where there is none.

    Raises:
        DataError: It is damaged.
    """
    if not path.is_file():
        return {}
    with reading(path, "a JSON object", DataError):
        return dict(parse_json(path.read_text()))
