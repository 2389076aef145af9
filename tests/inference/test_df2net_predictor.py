# SPDX-License-Identifier: Apache-2.0
"""DF²Net and the albedo network on ONNX Runtime: the engines agree, depth is a face's, albedo holds no shading."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from scipy import ndimage
from skimage import data

import lineament
from lineament.cli import main
from lineament.errors import UsageError
from lineament.geometry import angular_error, depth_to_normals
from lineament.methods.df2net.method import METHOD
from lineament.methods.df2net.model import DF2Net, DF2NetConfig
from lineament.methods.df2net.predictor import DF2NetPredictor
from lineament.models.albedo.model import AlbedoNetwork
from lineament.models.albedo.predictor import shipped_albedo
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import load_weights, save_weights
from lineament.pipeline.augmentation import crop_estimate
from lineament.weights import weights_path

BOX = [(174.0, 72.0, 96.0, 96.0)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and graphs of a small, untrained DF²Net."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("df2net") / "tiny.safetensors"
    save_weights(
        DF2Net(DF2NetConfig(levels=4, width=4, channels=(4, 4, 8), finer_channels=(4, 4, 8), crop_size=64)).eval(), path
    )
    export_graphs(METHOD, path)
    return path


def random_crops(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)


def as_tensor(crops: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(params=["tiny", "df2net-s"])
def weights(request: pytest.FixtureRequest, tiny: Path) -> Path:
    """The untrained weights, and those that ship."""
    return tiny if request.param == "tiny" else weights_path(request.param)


def test_engines_agree(weights: Path) -> None:
    session = DF2NetPredictor(weights)
    crops = random_crops(session.size)
    with torch.no_grad():
        output = load_weights(weights, DF2Net)(as_tensor(crops))
    expected = [d[:, 0].numpy() for d in (output.dense, output.fine, output.finer)]
    prediction = session.run(crops)
    own = crop_estimate(prediction, 1).normals
    for found, depth, normals in zip(prediction.depths, expected, own, strict=True):
        assert np.abs(found - depth).max() < 1e-3
        assert np.allclose(normals, depth_to_normals(session.size * found[1]), atol=1e-5)


def test_the_weights_that_ship_know_a_face() -> None:
    path = weights_path("df2net-s")
    assert path.stat().st_size < 12e6
    assert path.with_suffix(".md").exists()
    photo = data.astronaut()
    (face,), (other,) = lineament.load("df2net").estimate(photo, BOX), lineament.load("casfne").estimate(photo, BOX)
    assert len(face.stages) == 3
    both = ndimage.binary_erosion(face.mask & other.mask, iterations=2)
    assert angular_error(face.normals, other.normals)[both].mean() < 20.0  # two opinions of one face
    tip = np.rint(face.landmarks[30] - 0.5).astype(int)
    assert face.depth[tip[1], tip[0]] > np.nanpercentile(face.depth[face.mask], 95)  # the nose is nearest


def test_requests_out_of_range_are_refused(tiny: Path) -> None:
    session = DF2NetPredictor(tiny)
    with pytest.raises(UsageError, match="0 to 2"):
        session.run(random_crops(64), 3)
    with pytest.raises(UsageError, match="multiple of 16"):
        session.run(random_crops(40))
    with pytest.raises(UsageError, match="takes no exemplar"):
        session.run(random_crops(64), exemplars=np.zeros((2, 64, 64, 3), np.float32))
    assert [m.shape for m in session.run(random_crops(96), 1).depths] == [(2, 96, 96)] * 2


def test_the_networks_own_depth_is_the_surface_bit_for_bit(weights: Path, tmp_path: Path) -> None:
    plain = lineament.Options(second_view=False, fine_crop=False)
    (face,) = lineament.load(str(weights), options=plain).estimate(data.astronaut(), BOX)
    assert len(face.stages) == 3
    assert face.uncertainty is None
    own = DF2NetPredictor(weights).run(face.crop_image[None]).depths[-1][0]
    assert np.array_equal(face.crop_estimate.depths[-1], own)
    pixels, inside = own * np.float32(face.crop.side), face.surface.crop_mask
    assert np.array_equal(face.surface.crop_depth[inside], (pixels - pixels[inside].mean())[inside])
    assert face.surface.origin == "method"
    assert face.surface.disagreement < 1.0  # the normals are those of this depth, but for the face's outline
    folder = face.save(tmp_path / "out", outputs=("depth", "mesh"))
    said = json.loads((folder / "face.json").read_text())
    assert said["depth"]["origin"] == said["mesh"]["origin"] == "method"
    stored = OpenEXR.File(str(folder / "depth.exr")).channels()["Z"].pixels
    assert np.array_equal(stored, face.depth)


def test_depth_of_several_views_is_a_depth_of_the_face() -> None:
    photo = cv2.resize(data.astronaut()[:400, 60:460], (1600, 1600), interpolation=cv2.INTER_CUBIC)
    model = lineament.load("df2net")
    box = [(440.0, 270.0, 420.0, 420.0)]
    one, two, fine = (
        model.estimate(photo, box, options=options)[0]
        for options in (
            lineament.Options(second_view=False, fine_crop=False),
            lineament.Options(fine_crop=False),
            lineament.Options(),
        )
    )
    assert fine.crop.size > two.crop.size == one.crop.size
    scale, inside = one.surface.scale, ndimage.binary_erosion(one.mask, iterations=40)
    for face, least in ((two, 0.99), (fine, 0.98)):
        assert np.corrcoef(face.depth[inside], one.depth[inside])[0, 1] > least
        assert np.abs(face.depth - one.depth)[inside].mean() / scale < 2.0  # mm
        assert face.surface.disagreement < 4.0  # the mean of normals is nearly the normals of the mean
    assert (fine.depth != two.depth)[inside].mean() > 0.99


def test_engines_agree_on_the_albedo() -> None:
    session, path = shipped_albedo(), weights_path("face-albedo")
    assert path.stat().st_size < 5e6
    assert path.with_suffix(".md").exists()
    crops = random_crops(session.size)
    with torch.no_grad():
        expected = load_weights(path, AlbedoNetwork)(as_tensor(crops))
    assert np.abs(session.run(crops) - expected.permute(0, 2, 3, 1).numpy()).max() < 1e-3


def test_albedo_evens_out_light_from_the_side() -> None:
    photo = data.astronaut()
    (face,) = lineament.load().estimate(photo, BOX)
    plain = face.albedo
    assert plain.shape == photo.shape
    assert (plain[~face.mask] == 0).all()
    # The same photo darkened towards one side: but for a factor, the albedo changes far less than the photo does.
    ramp = np.linspace(0.35, 1.0, 110)[None, :, None]
    darker = photo.copy()
    darker[:, 167:277] = (photo[:, 167:277] * ramp**0.45).astype(np.uint8)
    (changed,) = lineament.load().estimate(darker, BOX)
    both = face.mask & changed.mask
    photos = np.log((darker[both] + 10.0) / (photo[both] + 10.0)).std()
    albedos = np.log((changed.albedo[both] + 10.0) / (plain[both] + 10.0)).std()
    assert albedos < 0.7 * photos


def test_the_albedo_of_a_grey_photo_is_grey() -> None:
    grey = data.astronaut().mean(axis=-1).astype(np.uint8)
    (face,) = lineament.load().estimate(np.repeat(grey[..., None], 3, axis=-1), BOX)
    assert np.ptp(face.albedo, axis=-1).max() == 0
    inside = face.albedo[face.mask].astype(float)
    assert inside.mean() == pytest.approx(grey[face.mask].mean(), rel=0.15)  # as bright as it was
    assert inside.std() < grey[face.mask].std()


def test_albedo_and_depth_by_command(tiny: Path, tmp_path: Path) -> None:
    photo = tmp_path / "astronaut.png"
    cv2.imwrite(str(photo), data.astronaut()[..., ::-1])
    words = ["estimate", str(photo), "-o", str(tmp_path / "out"), "--method", str(tiny), "--face-box", "174,72,96,96"]
    assert main([*words, "--outputs", "depth,albedo"]) == 0
    folder = tmp_path / "out" / "astronaut"
    albedo = cv2.imread(str(folder / "albedo.png"))
    assert albedo.shape == (512, 512, 3)
    assert albedo.any()
    assert {"depth.png", "depth.exr", "normals.png", "face.json"} <= {p.name for p in folder.iterdir()}
