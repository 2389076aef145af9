# SPDX-License-Identifier: Apache-2.0
"""One person's head in several photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.files.names import output_names, printable
from lineament.files.result_folder import folder_path, result_folder
from lineament.files.writing import write_json
from lineament.geometry.head import Head
from lineament.images.write import MeshFormat, write_exr, write_png
from lineament.render.preview import LIGHTS, shade_normals
from lineament.result.geometry import FaceGeometry
from lineament.result.head import albedo_of, head_of, head_texture_of, write_meshes
from lineament.result.head_detail import normal_map_of
from lineament.result.head_picture import head_picture
from lineament.result.head_texture import HeadTexture
from lineament.result.merged_texture import merged_map, merged_texture, sharpness_of
from lineament.result.saving import SaveOptions, write_face
from lineament.rig import shipped_rig
from lineament.rig.face_chart import ChartGrid

_TILE = 256  # pixels of the report's pictures
_SIDES = (-70.0, -35.0, 0.0, 35.0, 70.0)  # degrees from which the report shows the head
_FACING, _SURE = 0.15, 0.5  # z of a normal from which on, and beyond which, a photo's relief counts


@dataclass(frozen=True)
class PersonView:
    """One photo of a person."""

    name: str
    """The photo's."""
    face: FaceGeometry
    """The person's head in it."""
    residual: float
    """Median distance of the visible landmarks from the head's, per cent of the crop's side."""


@dataclass(frozen=True)
class PersonGeometry:
    """One head in several photos."""

    views: tuple[PersonView, ...]
    """The photos, in the order in which they were given."""
    steps: int
    """Steps of the fit that were made."""
    warnings: tuple[str, ...]
    """What to look at: photos that do not fit, or that may show somebody else."""

    @cached_property
    def head(self) -> Head:
        """The head at rest, without an expression."""
        return replace(head_of(self.views[0].face.crop_estimate), weights={})

    @cached_property
    def texture(self) -> HeadTexture:
        """What the photos together show of the head, on its atlas."""
        textures = [head_texture_of(view.face) for view in self.views]
        return merged_texture(textures, [sharpness_of(view.face.crop_image) for view in self.views])

    @cached_property
    def displacement_map(self) -> NDArray[np.float32]:
        """[U, U] mm along the head's normals, on the face's chart: the mean of the photos that face it."""
        maps, weights = [], []
        for view in self.views:
            own = view.face.crop_estimate
            assert own.displacement_map is not None
            assert own.mesh is not None
            grid = ChartGrid.of(shipped_rig(), len(own.displacement_map))
            facing = grid.of_vertices(head_of(own).normals(own.mesh.vertices))[..., 2]
            maps.append(own.displacement_map)
            weights.append(((facing - _FACING) / (_SURE - _FACING)).clip(0.0, 1.0).astype(np.float32))
        return merged_map(maps, weights)

    def report(self) -> NDArray[np.uint8]:
        """A picture, RGB: the head from five sides, as clay and textured; each photo, and the head in it as clay."""
        head, colours = self.head, self.texture.colours
        rows = [[head_picture(head, yaw, _TILE, each) for yaw in _SIDES] for each in (colours, None)]
        pairs = [(_tile(view.face.crop_image), _tile(_clay(view.face))) for view in self.views]
        for first in range(0, len(pairs), len(_SIDES)):
            group = pairs[first : first + len(_SIDES)]
            blank = [np.full((_TILE, _TILE, 3), 255, np.uint8)] * (len(_SIDES) - len(group))
            rows += [[pair[number] for pair in group] + blank for number in (0, 1)]
        return np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)

    def save(self, directory: str | PathLike[str], mesh_formats: Sequence[MeshFormat] = ("glb",)) -> Path:
        """Write the head, its maps, a report, and each photo's own result; the folder appears whole or not at all.

        Args:
            directory: Folder, made if missing; an earlier result in it is replaced as a whole.
            mesh_formats: Files of the meshes: "glb", "obj", "ply", "stl".

        Returns:
            The folder.

        Raises:
            OutputError: It cannot be written or holds files that are no result of ours.
            UsageError: No folder's path, or names that are not among these.
        """
        folder = folder_path(directory)
        options = SaveOptions(outputs=("normals", "mesh"), mesh_formats=tuple(mesh_formats))
        names = output_names([Path(view.name) for view in self.views])
        with result_folder(folder) as temporary:
            described = self._write_head(temporary, options.mesh_formats)
            for view, name in zip(self.views, names, strict=True):
                inside = temporary / "views" / name
                inside.mkdir(parents=True)
                write_face(view.face, inside, options, view.name)
            write_png(temporary / "report.png", self.report())
            views = [
                {"photo": printable(view.name), "folder": f"views/{name}", "residual": round(view.residual, 3)}
                for view, name in zip(self.views, names, strict=True)
            ]
            about = {"unit_of_residual": "per cent of the crop's side: median distance of the visible landmarks"}
            content = {"views": views, **about, "steps": self.steps, "warnings": list(self.warnings), "mesh": described}
            write_json(temporary / "person.json", content | dict(self.views[0].face.about))
        return folder

    def _write_head(self, folder: Path, formats: Sequence[MeshFormat]) -> dict[str, Any]:
        """Write the head; return what ``person.json`` says of it."""
        head, texture, height = self.head, self.texture, self.displacement_map
        normal_map = normal_map_of(head, height, len(texture.colours))
        files = write_meshes(folder, formats, head, head.mesh, texture.colours, height, normal_map)
        maps = {
            "texture": texture.colours,
            "visibility": np.rint(255.0 * texture.visibility).astype(np.uint8),
            "albedo": albedo_of(self.views[0].face.crop_estimate),
            "normals": normal_map,
        }
        (folder / "uv").mkdir()
        for name, picture in maps.items():
            write_png(folder / "uv" / f"{name}.png", picture)
        write_exr(folder / "uv" / "displacement.exr", {"Y": height}, {"unit": "mm along the normal", "chart": "face"})
        return {
            "files": [file.name for file in files],
            "unit": "millimetres of the statistical head; metres in GLB",
            "frame": "the head's own: upright, y up, facing +z, at rest",
            "vertices": len(head.vertices),
            "maps": [*(f"uv/{name}.png" for name in maps), "uv/displacement.exr"],
        }


def _clay(face: FaceGeometry) -> NDArray[np.uint8]:
    """The crop's last normals under a lamp, where the face is."""
    return np.repeat(shade_normals(face.stages[-1], LIGHTS[1], face.region.in_crop)[..., None], 3, axis=-1)


def _tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_AREA))
