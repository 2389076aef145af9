# SPDX-License-Identifier: Apache-2.0
"""Every dataset on a small set of its published layout: frames, splits, broken items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lineament.datasets.bu3dfe import BU3DFE
from lineament.datasets.cacd import CACD
from lineament.datasets.celeba import CelebA, CelebAMaskHQ
from lineament.datasets.dataset import Dataset, Item, by_identity
from lineament.datasets.esrc import ESRC
from lineament.datasets.facehd100 import FaceHD100
from lineament.datasets.facescape import PUPIL_DISTANCE, FaceScapeBenchmark, FaceScapeViews
from lineament.datasets.ffhq import FFHQ
from lineament.datasets.florence import Florence
from lineament.datasets.ict3drfe import ICT3DRFE
from lineament.datasets.meshes import picture_of, read_mesh, view_mesh
from lineament.datasets.micc import MICC
from lineament.datasets.now import NoW
from lineament.datasets.photoface import Photoface, read_lights, upright
from lineament.datasets.realy import REALY, REGIONS
from lineament.datasets.synface import SynFace
from lineament.datasets.three_hundred_w import ThreeHundredW
from lineament.datasets.threedfaw import ThreeDFAW
from lineament.errors import DataError
from lineament.geometry.angular import angular_error
from lineament.geometry.mesh import Mesh

from . import files


def off(sample, truth, mask):
    return angular_error(sample.normals, truth)[mask]


def test_photoface_prepared_is_a_sphere_in_our_frame(tmp_path: Path) -> None:
    dataset = Photoface(files.photoface_prepared(tmp_path))
    samples = list(dataset)
    assert len(samples) == len(dataset) == 10
    assert not dataset.skipped
    _, truth, mask = files.sphere_map()
    assert samples[0].subject == "1000"
    assert np.array_equal(samples[0].mask, mask)
    assert off(samples[0], truth, mask).max() < 1.0  # eight bits
    # top of the picture: up; right of the picture: right
    assert samples[0].normals[8, 24, 1] > 0.5
    assert samples[0].normals[24, 40, 0] > 0.5


def test_photoface_raw_solves_photometric_stereo(tmp_path: Path) -> None:
    dataset = Photoface(files.photoface_raw(tmp_path))
    assert len(dataset) == 4
    sample = next(iter(dataset))
    _, truth, mask = files.sphere_map()
    lit = sample.mask & mask
    assert lit.sum() > 0.5 * mask.sum()
    assert np.median(off(sample, truth, lit)) < 2.0


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_photofaces_axes_are_told_by_the_face(axes: tuple[int, int], signs: tuple[int, int], tmp_path: Path) -> None:
    sample = next(iter(Photoface(files.photoface_prepared(tmp_path, 1, axes, signs))))
    _, truth, mask = files.sphere_map()
    assert off(sample, truth, mask).max() < 1.0


def test_what_does_not_bulge_has_no_axes() -> None:
    flat = np.zeros((9, 9, 3))
    flat[..., 2] = 1.0
    with pytest.raises(DataError, match="bulges"):
        upright(flat, np.ones((9, 9), bool))
    with pytest.raises(DataError, match="no pixel"):
        upright(flat, np.zeros((9, 9), bool))


def test_lights_are_zenith_and_azimuth_in_rows_of_either_kind(tmp_path: Path) -> None:
    path = tmp_path / "LightSource.m"
    path.write_text("% four lights\nillum = [0 0; 90 0; 90 90; 45 -90];\n")
    half = np.sqrt(0.5)
    expected = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, -half, half]])
    assert np.allclose(read_lights(path), expected, atol=1e-12)
    path.write_text("illum = [0 1.5707963 1.5707963 0.78539816; 0 0 1.5707963 -1.5707963]")
    assert np.allclose(read_lights(path), expected, atol=1e-6)
    path.write_text("illum = [1 0 0; 0 1 0; 0 0 1; 1 1 1];")
    with pytest.raises(DataError, match="zenith and azimuth of four lights"):
        read_lights(path)


def test_identities_are_split_eighty_to_twenty_and_never_shared(tmp_path: Path) -> None:
    root = files.photoface_prepared(tmp_path, people=10)
    training, test = Photoface(root, "train"), Photoface(root, "test")
    people = [{item.subject for item in dataset.items} for dataset in (training, test)]
    assert [len(p) for p in people] == [8, 2]
    assert not people[0] & people[1]
    assert [i.name for i in Photoface(root, "test").items] == [i.name for i in test.items]
    items = [Item(str(n), str(n % 5), {}) for n in range(20)]
    assert len(by_identity(items, "train")) + len(by_identity(items, "test")) == 20


def test_a_corrupt_item_is_named_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = files.photoface_prepared(tmp_path)
    (root / "1001" / "2008-02-23_10-31-42" / "im0.png").write_bytes(b"no picture")
    (root / "1002" / "2008-02-23_10-31-42" / "im1.png").write_bytes(b"")
    dataset = Photoface(root)
    assert len(list(dataset)) == 8
    assert [line.split(":")[0] for line in dataset.skipped] == [
        "1001/2008-02-23_10-31-42/im0",
        "1002/2008-02-23_10-31-42/im1",
    ]
    assert "2 of 10 items could not be used" in caplog.text


@pytest.mark.parametrize(
    "kind", [Photoface, Florence, BU3DFE, REALY, SynFace, ThreeDFAW, FFHQ, ESRC, FaceScapeViews, NoW]
)
def test_an_empty_folder_says_which_layout_is_wanted(tmp_path: Path, kind: type[Dataset]) -> None:
    with pytest.raises(DataError, match="Layout: "):
        kind(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        kind(tmp_path / "missing")


def test_florence_renders_the_sphere(tmp_path: Path) -> None:
    samples = list(Florence(files.florence(tmp_path)))
    assert [s.subject for s in samples] == ["subject_01", "subject_02"]
    normals, mask = samples[0].normals_and_mask()
    row, column = np.nonzero(mask)
    middle = 128
    pixels = samples[0].depth[mask].max() - samples[0].depth[mask].min()
    assert pixels > 20
    # a sphere's normal points from its middle: the signs follow the place in the picture
    assert np.corrcoef(normals[mask][:, 0], column - middle)[0, 1] > 0.99
    assert np.corrcoef(normals[mask][:, 1], middle - row)[0, 1] > 0.99
    assert samples[0].image[mask].mean() > samples[0].image[~mask].mean()


def test_bu3dfe_reads_vrml_with_its_texture_in_millimetres(tmp_path: Path) -> None:
    dataset = BU3DFE(files.bu3dfe(tmp_path))
    sample = next(iter(dataset))
    assert (sample.subject, sample.meta["expression"], sample.meta["level"]) == ("F0001", "AN", 1.0)
    depth = sample.depth[sample.mask]
    assert depth.max() == pytest.approx(60.0, abs=0.5)
    assert np.abs(sample.image[256, 256].astype(int) - 178).max() <= 2  # the texture's grey


def test_synface_decodes_distances(tmp_path: Path) -> None:
    root = files.synface(tmp_path)
    assert len(SynFace(root, "test")) == 3
    sample = next(iter(SynFace(root)))
    depth, _, mask = files.sphere_map()
    expected = -(1.0 - (depth - depth[mask].mean()) * 2 * np.tan(np.radians(5)) / files.SIDE)
    assert not (sample.mask & ~mask).any()
    assert np.abs(sample.depth - expected)[sample.mask].max() < 1e-4
    assert np.isnan(sample.depth[~sample.mask]).all()


def test_3dfaw_turns_depth_round(tmp_path: Path) -> None:
    root = files.threedfaw(tmp_path)
    assert [s.name for s in ThreeDFAW(root, "test")] == ["valid/a", "valid/b", "valid/c"]  # not those of test_img
    sample = next(iter(ThreeDFAW(root, "test")))
    rows = (tmp_path / "valid_lm" / "a_lm3d.csv").read_text().splitlines()
    x, _, z = map(float, rows[3].split(","))
    assert sample.landmarks.shape == (66, 3)
    assert sample.landmarks[3, [0, 2]] == pytest.approx([x, -z])
    (tmp_path / "valid_lm" / "a_lm3d.csv").write_text("1,2,3\n")
    dataset = ThreeDFAW(tmp_path, "test")
    assert len(list(dataset)) == 2
    assert "1 landmarks" in dataset.skipped[0]


def test_facescape_scales_and_places_heads(tmp_path: Path) -> None:
    root = files.facescape_benchmark(tmp_path)
    wild, lab = (next(iter(FaceScapeBenchmark(root, part))) for part in ("wild", "lab"))
    assert np.linalg.norm(wild.scan.vertices, axis=1).max() == pytest.approx(60.0, abs=1e-3)
    away = lab.scan.vertices + np.array([0.0, 0.0, 10 * PUPIL_DISTANCE])
    assert np.linalg.norm(away, axis=1).max() == pytest.approx(0.6 * PUPIL_DISTANCE, abs=1e-3)
    assert np.array_equal(wild.head, np.eye(4))
    assert lab.scan.vertices[:, 2].max() < 0.0  # before a camera that looks along -z
    standing = lab.scan.vertices @ lab.head[:3, :3].T + lab.head[:3, 3]
    original = files.sphere_mesh(0.6)[0] * PUPIL_DISTANCE
    assert np.allclose(standing, original, atol=1e-3)  # upright and facing +z, as it was made
    (root / "predef" / "wild_rotations.npy").unlink()
    dataset = FaceScapeBenchmark(root)
    assert not list(dataset)
    assert "copy the folder predef" in dataset.skipped[0]


def test_facescape_views_share_a_scan(tmp_path: Path) -> None:
    root = files.facescape_views(tmp_path)
    dataset = FaceScapeViews(root)
    assert [i.meta["view"] for i in dataset.items] == ["0", "1"]  # view 2 is not valid
    assert len({i.files["scan"] for i in dataset.items}) == 1
    assert np.allclose(next(iter(dataset)).scan.vertices, files.sphere_mesh()[0], atol=1e-3)  # millimetres, as it was
    (root / "Rt_scale_dict.json").write_text('{"1": {"2": [1.0, []]}}')
    dataset = FaceScapeViews(root)
    assert not list(dataset)
    assert "does not hold subject 1, expression 1" in dataset.skipped[0]
    (root / "Rt_scale_dict.json").unlink()
    dataset = FaceScapeViews(root)
    assert not list(dataset)
    assert "copy it from toolkit/predef" in dataset.skipped[0]


def test_now_reads_its_list_and_picked_points(tmp_path: Path) -> None:
    root = files.now(tmp_path)
    samples = list(NoW(root))
    assert [s.name for s in samples] == ["FaMoS_1/multiview_neutral/IMG_0", "FaMoS_1/selfie/IMG_1"]
    assert [s.meta["challenge"] for s in samples] == ["multiview_neutral", "selfie"]
    assert np.allclose(samples[0].landmarks, files.face_landmarks(), atol=1e-5)
    assert len(samples[0].scan.vertices) == len(files.sphere_mesh()[0])
    (path,) = (root / "scans_lmks_onlypp" / "FaMoS_1").iterdir()
    path.write_text("<PickedPoints></PickedPoints>")
    dataset = NoW(root)
    assert not list(dataset)
    assert "no picked points" in dataset.skipped[0]


def test_realy_has_regions_and_views(tmp_path: Path) -> None:
    samples = list(REALY(files.realy(tmp_path)))
    assert [s.meta["view"] for s in samples] == ["frontal", "2"]
    assert set(samples[0].regions) == set(REGIONS)
    assert samples[0].landmarks.shape == (85, 3)
    assert samples[0].meta["scale"] == 1.0
    (tmp_path / "metrical_scale.txt").unlink()
    dataset = REALY(tmp_path)
    assert not list(dataset)
    assert "metrical_scale.txt" in dataset.skipped[0]


def test_esrc_micc_and_facehd_pair_photos_with_scans(tmp_path: Path) -> None:
    assert [s.name for s in ESRC(files.esrc(tmp_path / "esrc"))] == ["p01/left", "p01/right"]
    root = files.florence(tmp_path / "micc")
    files.picture(root / "subject_01" / "Video" / "frame_0001.png", files.grey())
    assert [s.name for s in MICC(root)] == ["subject_01/Video/frame_0001"]
    faces = tmp_path / "hd"
    files.picture(faces / "001" / "smile" / "cam0.jpg", files.grey())
    files.write_obj(faces / "001" / "smile" / "mesh.obj", *files.sphere_mesh())
    assert [s.subject for s in FaceHD100(faces)] == ["001"]


def test_photo_sets_read_their_lists(tmp_path: Path) -> None:
    files.picture(tmp_path / "w" / "01_Indoor" / "indoor_001.png", files.grey())
    points = "\n".join(f"{i + 1}.0 {2 * i + 1}.0" for i in range(68))
    (tmp_path / "w" / "01_Indoor" / "indoor_001.pts").write_text(f"version: 1\nn_points: 68\n{{\n{points}\n}}\n")
    landmarks = next(iter(ThreeHundredW(tmp_path / "w"))).landmarks
    assert landmarks[0].tolist() == [0.5, 0.5]  # the first pixel's centre

    for number in (1, 2):
        files.picture(tmp_path / "c" / "img_align_celeba" / f"{number:06d}.jpg", files.grey())
    (tmp_path / "c" / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 2\n")
    (tmp_path / "c" / "identity_CelebA.txt").write_text("000001.jpg 7\n000002.jpg 8\n")
    assert [(i.name, i.subject) for i in CelebA(tmp_path / "c", "test").items] == [("000002", "8")]

    numbered = np.repeat(np.arange(48 * 48, dtype=np.uint16).reshape(48, 48, 1) % 251, 3, axis=2).astype(np.uint8)
    Image.fromarray(numbered).save(tmp_path / "c" / "img_align_celeba" / "000001.png")
    (tmp_path / "c" / "celeba_crop_bbox.txt").write_text("000001.png 2 -4 10 20 20\n")
    (cut,) = CelebA(tmp_path / "c", "test")
    expected = np.concatenate([numbered[10:30, :1].repeat(4, 1), numbered[10:30, :16]], axis=1)
    assert np.array_equal(cut.image, expected)  # four columns left of the photo repeat its border

    mask = next(iter(CelebAMaskHQ(files.celebamask(tmp_path / "m")))).mask
    assert np.array_equal(mask, files.sphere_map()[2])

    for folder, number in (("59000", 59999), ("60000", 60000)):
        files.picture(tmp_path / "f" / "images1024x1024" / folder / f"{number}.png", files.grey())
    assert [i.name for i in FFHQ(tmp_path / "f", "test").items] == ["60000"]

    files.picture(tmp_path / "a" / "CACD2000" / "14_Aaron_Johnson_0001.jpg", files.grey())
    item = CACD(tmp_path / "a").items[0]
    assert (item.subject, item.meta["age"]) == ("Aaron Johnson", 14.0)


def test_ict3drfe_lights_its_albedo_where_there_is_no_photo(tmp_path: Path) -> None:
    _, normals, mask = files.sphere_map()
    folder = tmp_path / "p01" / "smile"
    files.picture(folder / "diffuse_albedo.png", files.grey(0.8))
    files.picture(folder / "photometric_normals.png", np.where(mask[..., None], 0.5 * normals + 0.5, 0.0))
    sample = next(iter(ICT3DRFE(tmp_path)))
    assert off(sample, normals, mask).max() < 1.0
    assert sample.albedo[24, 24] == pytest.approx(0.8**2.2, abs=0.01)
    assert sample.image[24, 24].mean() > sample.image[24, 40].mean()


def test_meshes_keep_their_texture_coordinates(tmp_path: Path) -> None:
    vertices, triangles = files.sphere_mesh()
    uv = vertices[:, :2] / 130 + 0.5
    mesh = read_mesh(files.write_obj(tmp_path / "m.obj", vertices, triangles, uv))
    assert mesh.corner_uv is not None
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32] = (255, 0, 0)  # v runs up: the upper half
    seen = picture_of(view := view_mesh(mesh, 64), mesh, texture)
    assert view.mask.any()
    assert seen[20, 32].tolist() == [255, 0, 0]
    assert seen[44, 32].tolist() == [0, 0, 0]


@pytest.mark.parametrize("text", ["", "#VRML V2.0 utf8\nShape {}", "#VRML V2.0\ncoord Coordinate { point [1 2] }"])
def test_broken_meshes_are_one_line(tmp_path: Path, text: str) -> None:
    for name in ("m.wrl", "m.obj", "m.ply"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError):
            read_mesh(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read_mesh(tmp_path / "none.obj")
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(DataError, match="OBJ"):
        read_mesh(tmp_path / "m.txt")
    with pytest.raises(DataError):
        Mesh(np.zeros((2, 3)), np.array([[0, 1, 2]]))
