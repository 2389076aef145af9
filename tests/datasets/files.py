# SPDX-License-Identifier: Apache-2.0
"""Tiny datasets in the published layouts, made of a sphere whose depth and normals are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 48
RADIUS = 20.0


def sphere_map(side: int = SIDE, radius: float = RADIUS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (pixels), normals and mask of a sphere in the middle of a picture."""
    line = np.arange(side) + 0.5 - side / 2
    x, y = np.meshgrid(line, -line)
    inside = x**2 + y**2 < (0.95 * radius) ** 2
    z = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0.0))
    normals = np.stack([x, y, z], axis=-1) / radius * inside[..., None]
    return z * inside, normals, inside


def picture(path: Path, values: np.ndarray) -> Path:
    """Write [H, W] or [H, W, 3] in [0, 1] as 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)).save(path)
    return path


def grey(level: float = 0.5, side: int = SIDE) -> np.ndarray:
    return np.full((side, side, 3), level)


def sphere_mesh(radius: float = 60.0, rings: int = 24, front: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of a sphere, or of its half towards +z."""
    theta = np.linspace(1e-3, np.pi / (2 if front else 1) - 1e-3, rings)  # from +z
    phi = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    t, p = np.meshgrid(theta, phi, indexing="ij")
    vertices = radius * np.stack([np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)], axis=-1).reshape(-1, 3)
    row, column = np.meshgrid(np.arange(rings - 1), np.arange(2 * rings), indexing="ij")
    a, b = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    return vertices, np.concatenate([np.stack(f, -1).reshape(-1, 3) for f in ((a, c, b), (b, c, d))])


def write_obj(path: Path, vertices: np.ndarray, triangles: np.ndarray, uv: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices]
    lines += [] if uv is None else [f"vt {u:.6f} {v:.6f}" for u, v in uv]
    corner = "{0}" if uv is None else "{0}/{0}"
    lines += ["f " + " ".join(corner.format(i + 1) for i in face) for face in triangles]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_wrl(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    points = ", ".join(f"{x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices)
    uv = ", ".join(f"{x / 140 + 0.5:.5f} {y / 140 + 0.5:.5f}" for x, y, _ in vertices)
    faces = ", ".join(f"{a}, {b}, {c}, -1" for a, b, c in triangles)
    path.write_text(
        "#VRML V2.0 utf8\nShape { geometry IndexedFaceSet {\n coord Coordinate { point [ " + points + " ] }\n"
        " texCoord TextureCoordinate { point [ " + uv + " ] }\n coordIndex [ " + faces + " ]\n} }\n"
    )
    return path


def photoface_prepared(
    root: Path, people: int = 5, axes: tuple[int, int] = (1, 0), signs: tuple[int, int] = (-1, 1)
) -> Path:
    """Red holds minus y and green x, as the prepared maps are said to; `axes` and `signs` say it otherwise."""
    _, normals, mask = sphere_map()
    stored = normals[..., [*axes, 2]] * np.array([*signs, 1])
    shown = np.where(mask[..., None], 0.5 * stored + 0.5, 1.0)
    for person in range(people):
        folder = root / f"{1000 + person}" / "2008-02-23_10-31-42"
        picture(folder / "im0.png", grey())
        picture(folder / "im1.png", grey(0.4))
        picture(folder / "sn_c.png", shown)
        picture(folder / "mask_c.png", mask.astype(float))
    return root


def photoface_raw(root: Path) -> Path:
    _, normals, mask = sphere_map()
    lights = np.array([[-0.5, 0.2, 0.84], [0.5, 0.2, 0.84], [0.0, 0.6, 0.8], [0.0, -0.5, 0.87]])
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    folder = root / "1001" / "session"
    for number, light in enumerate(lights):
        lit = 0.8 * np.maximum(normals @ light, 0.0) * mask
        picture(folder / f"im{number}.bmp", np.repeat((lit ** (1 / 2.2))[..., None], 3, axis=2))
    # Zenith and azimuth of the four lights, as the database's description has them; azimuths from y (down) towards x.
    angles = np.degrees([[np.arccos(z), np.arctan2(x, -y)] for x, y, z in lights])
    rows = ";".join(f"{zenith:.6f} {azimuth:.6f}" for zenith, azimuth in angles)
    (folder / "LightSource.m").write_text(f"% lights\nillum = [{rows}];\n")
    return root


def florence(root: Path) -> Path:
    vertices, triangles = sphere_mesh(front=False)
    for person in (1, 2):
        folder = root / f"subject_{person:02d}" / "Model" / "frontal1" / "obj"
        write_obj(folder / "110920150452.obj", vertices, triangles)
    return root


def bu3dfe(root: Path) -> Path:
    for person in ("F0001", "M0002"):
        scan = write_wrl(root / person / f"{person}_AN01WH_F3D.wrl", *sphere_mesh())
        # Public readers pair a scan with the bitmap of its own name, _F3D.bmp; _F2D.bmp is a frontal picture.
        picture(scan.with_suffix(".bmp"), grey(0.7))
        picture(scan.with_name(f"{person}_AN01WH_F2D.bmp"), grey(0.2))
    return root


def synface(root: Path) -> Path:
    """Depths of a sphere, seen by Unsup3D's camera, whose 10° are those of the middle 170 of a rendering's 256 pixels.

    After experiments/test_synface.yml and unsup3d/model.py of github.com/elliottwu/unsup3d; renderings here have 72
    pixels, of which the middle 48 are looked at, 16 bits, and the directories of its download.
    """
    depth, _, mask = sphere_map()
    unit = 2 * np.tan(np.radians(5)) / SIDE
    distance = 1.0 - (depth - depth[mask].mean()) * unit
    value = np.pad(np.where(mask, 1.0 - (distance - 0.9) / 0.2, 0.0), 12)
    for part, names in {"train": "ab", "test": "cde"}.items():
        for name in names:
            picture(root / part / "image" / f"{name}.png", np.pad(grey(), [(12, 12), (12, 12), (0, 0)]))
            path = root / part / "depth" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(65535 * value).astype(np.uint16)).save(path)
    return root


def threedfaw(root: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("x",):
        picture(root / "test_img" / f"{name}.jpg", grey())
        (root / "test_lm").mkdir()
        (root / "test_lm" / f"{name}_lm3d.csv").write_text("\n".join("9,9,1" for _ in range(66)))
    for name in ("a", "b", "c"):
        picture(root / "valid_img" / f"{name}.jpg", grey())
        points = np.column_stack([random.uniform(5, 43, (66, 2)), random.normal(size=66)])
        path = root / "valid_lm" / f"{name}_lm3d.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(",".join(f"{v:.5f}" for v in row) for row in points))
    return root


def facescape_benchmark(root: Path) -> Path:
    """Heads in a unit cube, pupils 62.85 mm apart at 100 mm a unit (wild) or in units of them (lab).

    After benchmark/code/evaluator.py of github.com/zhuhao-nju/facescape: lab heads and the camera's motion are
    multiplied by 62.85 mm, and the moved head lies before an OpenCV camera (z away, y down), in which rotations and
    centres of heads are given. Lab heads stand here upright 10 pupil distances before the camera.
    """
    vertices, triangles = sphere_mesh(0.6)
    opencv = np.diag([1.0, -1.0, -1.0])
    for part, names in {"wild": ("000", "001"), "lab": ("0_0_0", "0_1_0")}.items():
        for name in names:
            picture(root / f"{part}_images" / f"{name}.jpg", grey())
            write_obj(root / f"{part}_gt_mesh" / f"{name.split('_')[0]}.obj", vertices, triangles)
        (root / "predef").mkdir(exist_ok=True)
        turned = np.eye(3) if part == "wild" else opencv
        centre = np.zeros(3) if part == "wild" else np.array([0.0, 0.0, 10 * 62.85])
        np.save(root / "predef" / f"{part}_rotations.npy", np.tile(turned, (2, 1, 1)))
        np.save(root / "predef" / f"{part}_head_centers.npy", np.tile(centre, (2, 1)))
    np.save(root / "predef" / "wild_pupil_scales.npy", np.full(2, 100.0))
    for name in ("0_0_0", "0_1_0"):
        path = root / "lab_cam" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        motion = np.column_stack([opencv, [0.0, 0.0, 10.0]])
        path.write_text(json.dumps([np.eye(3).tolist(), motion.tolist()]))
    return root


def facescape_views(root: Path) -> Path:
    """After doc/doc_mview_model.md and toolkit/demo_align.ipynb of github.com/zhuhao-nju/facescape.

    Scans have a unit and frame of their own: here 250 mm, turned by 90° about x; view 2 is invalid.
    """
    folder = root / "fsmview_trainset" / "1"
    for view in (0, 1, 2):
        picture(folder / "1_neutral" / f"{view}.jpg", grey())
    (folder / "1_neutral" / "params.json").write_text(json.dumps({f"{view}_valid": view < 2 for view in (0, 1, 2)}))
    vertices, triangles = sphere_mesh()
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    write_obj(folder / "1_neutral.obj", (vertices - [0.0, 0.0, 7.0]) @ turn / 250.0, triangles)
    motion = np.column_stack([turn, [0.0, 0.0, 7.0]])
    (root / "Rt_scale_dict.json").write_text(json.dumps({"1": {"1": [250.0, motion.tolist()]}}))
    np.savetxt(folder / "1_neutral.txt", LANDMARKS[:, None], fmt="%d")
    return root


def now(root: Path) -> Path:
    """The list, scans and MeshLab's picked points (from the ninth line on) after compute_error.py of
    github.com/soubhiksanyal/now_evaluation; the photos' folder after decalib/datasets/now.py of yfeng95/DECA.
    """
    names = [
        f"FaMoS_1/{challenge}/IMG_{number}.jpg" for number, challenge in enumerate(("multiview_neutral", "selfie"))
    ]
    for name in names:
        picture(root / "final_release_version" / "iphone_pictures" / name, grey())
    (root / "imagepathsvalidation.txt").write_text("\n".join(names) + "\n")
    vertices, triangles = sphere_mesh()
    write_obj(root / "scans" / "FaMoS_1" / "natural_head_rotation.000001.obj", vertices, triangles)
    head = [
        "<!DOCTYPE PickedPoints>",
        "<PickedPoints>",
        " <DocumentData>",
        '  <DateTime time="12:00:00" date="2018-05-01"/>',
        '  <User name="x"/>',
        '  <DataFileName name="natural_head_rotation.000001.obj"/>',
        '  <templateName name=""/>',
        " </DocumentData>",
    ]
    points = [
        f' <point x="{x:.6f}" y="{y:.6f}" z="{z:.6f}" active="1" name="{number}"/>'
        for number, (x, y, z) in enumerate(face_landmarks())
    ]
    path = root / "scans_lmks_onlypp" / "FaMoS_1" / "natural_head_rotation.000001_picked_points.pp"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*head, *points, "</PickedPoints>"]) + "\n")
    return root


def face_landmarks() -> np.ndarray:
    """NoW's seven landmarks on the front of `sphere_mesh`: corners of eyes, below the nose, corners of the mouth."""
    places = [(-30, 18), (-12, 18), (12, 18), (30, 18), (0, -12), (-16, -28), (16, -28)]
    radius = float(np.linalg.norm(sphere_mesh()[0], axis=1).max())
    return np.array([(x, y, np.sqrt(radius**2 - x**2 - y**2)) for x, y in places])


LANDMARKS = np.array([0, 60, 130, 200, 310, 420, 555])
"""Vertices of `sphere_mesh` that serve as landmarks."""


def realy(root: Path) -> Path:
    vertices, triangles = sphere_mesh()
    for name in ("1", "1_2"):
        picture(root / "REALY_image" / "frontal" / f"{name}.png", grey())
    centres = vertices[triangles].mean(axis=1)
    parts = {
        "nose": np.linalg.norm(centres[:, :2], axis=1) < 15,
        "mouth": (centres[:, 1] < -15) & (np.abs(centres[:, 0]) < 25),
        "forehead": centres[:, 1] > 25,
        "cheek": (np.abs(centres[:, 0]) > 25) & (np.abs(centres[:, 1]) < 25),
    }
    for region, kept in parts.items():
        used, renumbered = np.unique(triangles[kept], return_inverse=True)
        write_obj(root / "REALY_scan_region" / "1" / f"{region}.obj", vertices[used], renumbered.reshape(-1, 3))
    keypoints = vertices[np.linspace(0, len(vertices) - 1, 85).astype(int)]
    write_obj(root / "REALY_HIFI3D_keypoints" / "1.obj", keypoints, np.zeros((0, 3), int))
    np.savetxt(root / "metrical_scale.txt", [1.0])  # main.py of github.com/czh-98/REALY: a line per scan from 1 on
    return root


def esrc(root: Path) -> Path:
    vertices, triangles = sphere_mesh()
    for view in ("left", "right"):
        picture(root / "p01" / f"{view}.jpg", grey())
    write_obj(root / "p01" / "scan.obj", vertices, triangles)
    np.savetxt(root / "p01" / "scan.txt", vertices[LANDMARKS])
    return root


def celebamask(root: Path) -> Path:
    _, _, mask = sphere_map()
    for number in range(10):
        picture(root / "CelebA-HQ-img" / f"{number}.jpg", grey(0.1 * number))
        picture(root / "CelebAMask-HQ-mask-anno" / "0" / f"{number:05d}_skin.png", mask.astype(float))
    return root
