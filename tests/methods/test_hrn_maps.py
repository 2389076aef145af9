# SPDX-License-Identifier: Apache-2.0
"""HRN's detail maps: charts go there and back, exact maps rebuild heads, losses know the truth, and trainings learn."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lineament.errors import DataError, UsageError
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.normals import normalize
from lineament.geometry.relief import in_tangent_frame, surface_gradient, vertex_tangents
from lineament.methods.hrn import map_losses as losses
from lineament.methods.hrn.analyser import Analyser, AnalyserConfig
from lineament.methods.hrn.blemishes import Blemishes
from lineament.methods.hrn.chart import FaceChart, detailed_normals, slopes
from lineament.methods.hrn.chart_samples import ChartSamples, before_assumed_camera
from lineament.methods.hrn.config import HRNTrainConfig
from lineament.methods.hrn.exact_maps import DeformationFit
from lineament.methods.hrn.flow import reversal_flow, shifted
from lineament.methods.hrn.head import assumed_camera, mesh_of
from lineament.methods.hrn.model import CHART, DEFORMATION, HRN, HRNConfig, hrn_s, placed_pixels
from lineament.methods.hrn.recipe import MapsRecipe, RetouchingRecipe, steps_of
from lineament.methods.hrn.retouching import Retouching, RetouchingConfig, refined_albedo
from lineament.methods.hrn.texture import charted
from lineament.networks.weight_files import load_weights, save_weights
from lineament.rig import Part, load_rig
from lineament.rig.face_chart import at_vertices, border_fade, chart_vertices, deformed_by
from lineament.rig.posing import DISTANCE
from lineament.synth.chart_skin import ChartSkin
from lineament.synth.config import SynthConfig
from lineament.synth.person import RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.training.loop import train
from lineament.training.plan import carry_out


@pytest.fixture(scope="module")
def chart() -> FaceChart:
    return FaceChart(load_rig(), CHART)


@pytest.fixture(scope="module")
def analyser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("analyser") / "hrn-analyser.safetensors"
    save_weights(Analyser(AnalyserConfig("efficientnet-lite0", 256, 64)).eval(), path, {})
    return path


def configured(output: Path, faces: Path, analyser: Path, **changes: object) -> HRNTrainConfig:
    config = HRNTrainConfig(
        output,
        data=(faces,),
        analyser=analyser,
        size=64,
        batch_size=2,
        steps=8,
        warmup=1,
        learning_rate=1e-3,
        validate_every=8,
        validation_batches=1,
        precision="fp32",
        threads=1,
        retouching_steps=0,
        augment=False,
    )
    return dataclasses.replace(config, **changes)


def sphere(side: int, radius: float) -> torch.Tensor:
    """[1, 3, S, S] the front of a sphere before the camera, a texel a millimetre."""
    away = torch.arange(side) - 0.5 * (side - 1)
    x, y = away[None, :].expand(side, -1), -away[:, None].expand(-1, side)
    return torch.stack([x, y, (radius**2 - x**2 - y**2).sqrt()])[None]


def test_charts_go_there_and_back(chart: FaceChart) -> None:
    rig = load_rig()
    smooth = torch.from_numpy(rig.mean)[None] / 100.0
    maps = chart.of_vertices(smooth)
    assert maps.shape == (1, 3, CHART, CHART)
    back = chart.at_vertices(maps)
    assert not back[:, ~chart.used].any()
    away = (back - smooth).norm(dim=-1)[:, chart.used]
    assert away.median() < 1e-3
    # The same in NumPy, as estimation does it; older OpenCV reads at whole 32nds of a texel.
    apart = np.abs(at_vertices(rig, maps[0].permute(1, 2, 0).numpy()) - back[0].numpy())
    assert np.median(apart[chart.used.numpy()]) < 1e-3
    assert apart.max() < 0.05
    assert border_fade(64).min() < 0.05
    assert border_fade(64)[8:-8, 8:-8].min() == 1.0


def test_what_lies_under_the_face_follows_it() -> None:
    rig = load_rig()
    pushed = np.zeros((DEFORMATION, DEFORMATION, 3), np.float32)
    pushed[..., 2] = -3.0  # the whole face, backwards
    pushed[: DEFORMATION // 2, DEFORMATION // 2 :, 0] = 1.0  # and the upper right of the chart sideways
    offsets = deformed_by(rig, pushed)
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT, Part.MOUTH, Part.TEETH):
        assert np.allclose(offsets[rig.part == part][:, 2], -3.0, atol=1e-3)
    eyes = [offsets[rig.part == part] for part in (Part.EYE_LEFT, Part.EYE_RIGHT)]
    assert all(np.ptp(eye, axis=0).max() < 1e-5 for eye in eyes)  # each as a whole
    sides = [np.sign(rig.mean[rig.part == part, 0].mean()) for part in (Part.EYE_LEFT, Part.EYE_RIGHT)]
    assert [bool(eye[0, 0] > 0.9) for eye in eyes] == [side > 0 for side in sides]
    assert not offsets[np.setdiff1d(np.flatnonzero(rig.part <= Part.NECK), chart_vertices(rig))].any()


def test_a_bump_tilts_normals_as_the_raised_surface_has_them() -> None:
    position = sphere(64, 90.0)
    normals = position / 90.0
    x, y = position[:, :1], position[:, 1:2]
    height = 1.5 * torch.exp(-(x**2 + y**2) / 120.0)
    raised = position + height * normals
    across, down = ((raised.roll(-1, d) - raised.roll(1, d))[:, :, 2:-2, 2:-2] for d in (3, 2))
    truth = torch.nn.functional.normalize(torch.linalg.cross(down, across, dim=1), dim=1)
    truth = truth * truth[:, 2:].sign()
    slope = slopes(position, height)
    found = detailed_normals(normals, slope)[:, :, 2:-2, 2:-2]
    cosine = (found * truth).sum(1).clamp(-1.0, 1.0)
    assert torch.rad2deg(torch.acos(cosine)).amax() < 1.0
    plain = (normals[:, :, 2:-2, 2:-2] * truth).sum(1).clamp(-1.0, 1.0)
    assert torch.rad2deg(torch.acos(plain)).amax() > 5.0
    numpy = surface_gradient(position[0].permute(1, 2, 0).numpy(), height[0, 0].numpy())
    assert np.allclose(numpy, slope[0].permute(1, 2, 0).numpy(), atol=1e-4)


def test_slopes_have_right_gradients() -> None:
    torch.manual_seed(0)
    position = (sphere(6, 40.0) + 0.1 * torch.randn(1, 3, 6, 6)).double().requires_grad_()
    height = torch.randn(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(slopes, (position, height))


def test_the_reversal_flow_undoes_a_known_warp() -> None:
    side = 64
    row, column = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    before = torch.stack([0.8 * column + 3 + 2 * torch.sin(row / 9), 0.9 * row - 1 + 1.5 * torch.cos(column / 11)])[
        None
    ]
    known = torch.stack([1.5 * torch.sin(column / 13), -1.2 * torch.cos(row / 15)])[None]
    found = reversal_flow(before, shifted(before, known))
    assert (found - known)[..., 6:-6, 6:-6].abs().max() < 0.01
    assert reversal_flow(before, before).abs().max() < 1e-4
    # What is seen edge-on tells no direction, and nothing runs away.
    assert torch.isfinite(reversal_flow(torch.zeros_like(before), before)).all()


def test_a_texture_follows_its_deformed_mesh(chart: FaceChart) -> None:
    # A smooth picture laid on M_0, then re-aligned, is what M_1 sees of it.
    rig = load_rig()
    coarse = torch.from_numpy(rig.mean)[None]
    position = chart.of_vertices(coarse)
    offset = 3.0 * torch.stack(
        [torch.sin(position[:, 1] / 30), torch.cos(position[:, 0] / 30), 0.0 * position[:, 2]], 1
    )

    def colour(place: torch.Tensor) -> torch.Tensor:
        x, y = place.split(1, dim=1)
        return torch.cat([torch.sin(x / 7.0), torch.cos(y / 6.0)], dim=1)

    before, after = placed_pixels(position), placed_pixels(position + offset)
    aligned = shifted(colour(before), reversal_flow(before, after))
    cheek = slice(90, 160), slice(40, 70)  # smooth and facing the camera
    wrong = (colour(before) - colour(after))[..., cheek[0], cheek[1]].abs().median()
    assert (aligned - colour(after))[..., cheek[0], cheek[1]].abs().median() < 0.05 * wrong


def test_exact_maps_rebuild_the_head() -> None:
    rig = load_rig()
    tensors = RigTensors.of(rig, torch.device("cpu"))
    face = pose_faces(tensors, SynthConfig(yaw=30), SampleRandom(0, range(3)), SampleRandom(5, range(3)))
    fit = DeformationFit(rig, DEFORMATION)
    assert np.array_equal(fit.vertices, chart_vertices(rig))
    # Skin that is seen: not the sockets behind the lids nor the nostrils' inside, which are folded up on the chart.
    seen = (rig.regions["eye_line"] > 3.0) & (rig.regions["nostril"] > 4.0)
    open_skin = np.intersect1d(fit.vertices, np.flatnonzero(seen & (rig.part == Part.FACE)))
    for sample in range(3):
        coarse = rig.vertices(0.7 * face.identity[sample].numpy(), face.expression[sample].numpy())
        rotation, origin = face.camera.rotation[sample].numpy(), face.camera.origin[sample].numpy()
        posed = (coarse - origin) @ rotation.T
        offsets = face.vertices[sample].numpy() - posed
        away = np.linalg.norm(at_vertices(rig, fit(offsets)) - offsets, axis=1)[open_skin]
        assert np.linalg.norm(offsets, axis=1)[open_skin].mean() > 1.0
        assert np.median(away) < 0.1


def test_a_scan_stands_before_the_assumed_camera_where_its_photo_has_it() -> None:
    random = np.random.default_rng(0)
    vertices = random.normal(0.0, 40.0, (500, 3))
    places = np.stack([0.5 + vertices[:, 0] / 260.0, 0.45 - vertices[:, 1] / 260.0], axis=1)  # a far camera's
    stood = before_assumed_camera(vertices, places, -20.0, np.arange(500))
    mesh = Mesh(stood.astype(np.float64) - [0.0, 0.0, DISTANCE], np.array([[0, 1, 2]]))
    assert np.allclose(assumed_camera(1).project(mesh.vertices), places, atol=1e-5)
    depth = np.polyfit(vertices[:, 2], stood[:, 2], 1)[0]
    width = np.polyfit(vertices[:, 0], stood[:, 0], 1)[0]
    assert depth == pytest.approx(width, rel=0.02)  # it keeps its proportions
    assert stood[:, 2].mean() == pytest.approx(-20.0, abs=1e-3)


def test_skin_on_the_chart_has_relief_that_folds_and_blemishes() -> None:
    rig = load_rig()
    skin = ChartSkin(rig, 128)
    own, rest = SampleRandom(5, range(12)), torch.zeros(12, rig.expression_count)
    plain = skin.height(own, rest, SynthConfig())
    assert plain.abs().amax() > 0.3
    assert not skin.height(own, rest, SynthConfig(detail=0.0)).any()
    smiling = rest.clone()
    smiling[:, [i for i, name in enumerate(rig.expression_names) if name.startswith("mouthSmile")]] = 1.0
    assert (skin.height(own, smiling, SynthConfig()) - plain).abs().amax() > 0.05  # smiles fold
    marks = skin.blemishes(own)
    assert (marks.abs().amax((1, 2, 3)) > 0).all()  # everybody has some mottling
    assert marks.amin() < -0.5  # moles are dark
    drawn = [Blemishes(rig, 64).draw(np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("inside", [True, False])
def test_the_contour_loss_pulls_what_is_outside_to_a_discs_edge(inside: bool) -> None:
    side = 128
    row, column = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    disc = ((row - 64) ** 2 + (column - 64) ** 2 < 40**2)[None, None]
    edges = losses.edges_of(disc)
    assert edges[0, 64].tolist() == pytest.approx([24 / side, 104 / side], abs=1 / side)
    at = [0.5, 0.6] if inside else [0.9, 0.6]
    places = torch.tensor([[at]], requires_grad=True)
    cost = losses.contour_loss(places, edges, torch.tensor([True]))
    cost.backward()
    assert places.grad is not None
    if inside:  # left as it is
        assert cost.item() == pytest.approx(losses.MARGIN)
        assert not places.grad.any()
    else:  # its distance from the edge, whose gradient pulls it there and not up or down
        edge = (64 + np.sqrt(40**2 - (0.6 * side - 64) ** 2)) / side
        assert cost.item() == pytest.approx(0.9 - edge, abs=0.01)
        assert places.grad[0, 0].tolist() == [pytest.approx(1.0), 0.0]
    assert losses.contour_loss(torch.tensor([[[0.9, 0.2]]]), edges, torch.tensor([True])) == 0  # above the lower face
    assert losses.contour_loss(torch.tensor([[[0.9, 0.6]]]), edges, torch.tensor([False])) == 0
    empty = losses.edges_of(torch.zeros_like(disc))
    assert losses.contour_loss(torch.tensor([[[0.9, 0.6]]]), empty, torch.tensor([True])) == 0


def test_losses_of_maps_are_zero_where_they_should_be() -> None:
    flat = torch.ones(1, 3, 8, 8)
    assert losses.total_variation(flat) == 0
    ramp = torch.arange(8.0).expand(1, 1, 8, 8)
    assert losses.total_variation(ramp) == pytest.approx(1e-4)  # a mm a texel, squared, in units of 100 mm
    assert losses.size_loss(torch.full((1, 1, 8, 8), -2.0)) == pytest.approx(0.02)
    marks = torch.rand(1, 68, 2)
    seen = torch.ones(1, 68, dtype=torch.bool)
    assert losses.landmark_loss(marks, marks, seen) == 0
    moved = marks.clone()
    moved[:, 30] += 1.0 / 224
    light = losses.landmark_loss(torch.where(torch.arange(68)[:, None] == 0, marks + 1.0 / 224, marks), marks, seen)
    assert losses.landmark_loss(moved, marks, seen) == pytest.approx(20.0 * light.item(), rel=1e-3)
    assert losses.landmark_loss(moved, marks, ~seen) == 0


def test_albedo_takes_back_what_retouching_took() -> None:
    texture = torch.full((1, 3, 4, 4), 0.5)
    texture[..., 1, 1] = 0.35  # a mole
    retouched = torch.full_like(texture, 0.5)
    found = refined_albedo(torch.full_like(texture, 0.3), texture, retouched)
    assert found[0, 0, 0, 0] == pytest.approx(0.3, abs=1e-4)
    assert found[0, 0, 1, 1] < 0.2
    dark = refined_albedo(torch.full_like(texture, 0.3), torch.full_like(texture, 0.01), torch.zeros_like(texture))
    assert torch.isfinite(dark).all()
    assert (dark - 0.3).abs().max() < 1e-3  # in the dark nothing is told
    network = Retouching(RetouchingConfig(3, 4)).eval()
    with torch.no_grad():
        network.network.last[1].weight.zero_()
        network.network.last[1].bias.zero_()
        assert torch.allclose(network(texture.repeat(1, 1, 8, 8)), texture.repeat(1, 1, 8, 8))  # b = 1/2 leaves it


def test_tangents_run_along_the_atlas_and_frames_undo_themselves() -> None:
    rig = load_rig()
    mesh = Mesh(rig.mean.astype(np.float64), rig.faces.astype(np.int64))
    normals = welded_normals(mesh, rig.weld())
    tangents = vertex_tangents(mesh.vertices, mesh.triangles, rig.uv.astype(np.float64), normals)
    assert np.allclose(np.linalg.norm(tangents[:, :3], axis=1), 1.0)
    assert np.abs((tangents[:, :3] * normals).sum(1)).max() < 1e-6
    assert set(np.unique(tangents[:, 3])) <= {-1.0, 1.0}
    nose = rig.landmarks[30]
    assert tangents[nose, 0] > 0.9  # the atlas' u runs with x at the nose's tip
    assert np.allclose(in_tangent_frame(normals, normals, tangents), [0.0, 0.0, 1.0], atol=1e-6)
    tilted = normalize(normals + 0.3 * tangents[:, :3])
    assert in_tangent_frame(tilted, normals, tangents)[nose, 0] > 0.2


def test_a_photo_laid_on_the_chart_is_read_where_the_mesh_is() -> None:
    rig = load_rig()
    zero = {"identity": np.zeros(80), "expression": np.zeros(47), "angles": np.array([0.0, 0.5, 0.0])}
    mesh = mesh_of(rig, zero | {"translation": np.array([0.0, 0.0, -60.0])})
    camera = assumed_camera(96)
    row, column = np.mgrid[:96, :96]
    picture = np.stack([2 * column, 2 * row, 0 * row + 90], axis=-1).astype(np.uint8)
    photo = charted(picture, mesh, camera)
    places = camera.project(photo.position.reshape(-1, 3).astype(np.float64)).reshape(CHART, CHART, 2)
    sure = photo.seen > 0.99
    assert 0.2 < sure.mean() < 0.8  # the far side is hidden
    assert np.abs(photo.texture[sure][:, :2] - 2 * (places[sure] - 0.5)).max() < 3.0
    assert abs(photo.seen[:, : CHART // 2].mean() - photo.seen[:, CHART // 2 :].mean()) > 0.2


def test_maps_start_small_and_reach_the_meshes(chart: FaceChart) -> None:
    torch.manual_seed(0)
    network = HRN(hrn_s(64)).eval()
    position = chart.of_vertices(torch.from_numpy(load_rig().mean)[None])
    texture, seen = torch.rand(1, 3, CHART, CHART), torch.ones(1, 1, CHART, CHART)
    features = network.features(torch.rand(1, 3, 64, 64))
    maps = network.details(position, texture, seen, features)
    assert maps.deformation.shape == (1, 3, DEFORMATION, DEFORMATION)
    assert maps.displacement.shape == (1, 1, CHART, CHART)
    assert 0 < maps.deformation.abs().mean() < 1.0
    assert 0 < maps.displacement.abs().mean() < 0.3
    hidden = network.details(position, texture, torch.zeros_like(seen), features)
    assert not hidden.displacement.any()
    other = network.details(position, texture.flip(-1), seen, features)
    assert not torch.allclose(other.deformation, maps.deformation)  # the photo is looked at
    other = network.details(position, texture, seen, features.flip(-1))
    assert not torch.allclose(other.deformation, maps.deformation)  # and so are the analyser's features
    assert not HRN(hrn_s(64)).analyser.training
    assert not network.train().analyser.training
    with pytest.raises(UsageError, match="cannot be halved"):
        HRNConfig(deformation_levels=7)
    with pytest.raises(UsageError, match="nothing to train"):
        HRNTrainConfig(Path("x"), deformation=False, detail=False)


def test_a_tiny_training_of_the_maps_learns(faces: Path, analyser: Path, tmp_path: Path) -> None:
    config = configured(
        tmp_path / "run", faces, analyser, steps=30, validate_every=30, map_normal=5.0, mid=50.0, learning_rate=1e-2
    )
    config.check_places()
    torch.manual_seed(config.seed)
    before = MapsRecipe(config, analyser, None)
    before.start()
    weights = carry_out(steps_of(config))
    assert weights is not None
    after = MapsRecipe(dataclasses.replace(config, init=weights), analyser, None)
    after.start()
    batch = next(before.batches("train", 3, torch.device("cpu")))
    with torch.no_grad():
        plain = torch.autocast("cpu", enabled=False)
        untrained, trained = (recipe.losses(recipe.model.eval(), batch, plain)[0] for recipe in (before, after))
    assert trained["mid"] < 0.95 * untrained["mid"]
    saved = load_weights(weights, HRN).analyser.state_dict()
    assert all(torch.equal(saved[name].half(), own.half()) for name, own in before.model.analyser.state_dict().items())
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert any("validation_m2_degrees" in line for line in lines)
    names = {name for line in lines for name in line}
    assert {"contour", "smoothness", "size", "adversarial_mid", "adversarial_high", "perceptual_high"} <= names
    assert {"photometric_mid", "discriminator_high", "normal_high", "landmark"} <= names
    kept = sorted((tmp_path / "run" / "charts" / "train").glob("*.npz"))
    assert kept
    kept[0].write_bytes(kept[0].read_bytes()[:1000])
    samples = ChartSamples(kept[0].parent, load_weights(analyser, Analyser), 64, 0, False)
    with pytest.raises(DataError, match="damaged"):
        samples.photo(kept[0].stem, {})


def test_kept_charts_belong_to_their_analyser(analyser: Path, tmp_path: Path) -> None:
    own = load_weights(analyser, Analyser)
    ChartSamples(tmp_path, own, 64, 0, False)
    ChartSamples(tmp_path, own, 64, 0, False)
    with pytest.raises(UsageError, match="another seed"):
        ChartSamples(tmp_path, own, 64, 1, False)
    with pytest.raises(UsageError, match="another analyser"):
        ChartSamples(tmp_path, Analyser(own.config), 64, 0, False)
    (tmp_path / "about.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        ChartSamples(tmp_path, own, 64, 0, False)


def test_every_loss_reaches_the_maps(faces: Path, analyser: Path, tmp_path: Path) -> None:
    config = configured(tmp_path / "run", faces, analyser, map_normal=1.0)
    torch.manual_seed(0)
    recipe = MapsRecipe(config, analyser, None)
    recipe.start()
    batch = next(recipe.batches("train", 0, torch.device("cpu")))
    parts, _ = recipe.losses(recipe.model, batch, torch.autocast("cpu", enabled=False))
    assert set(parts) == set(recipe.weights)
    of_mid = {"mid", "landmark", "contour", "smoothness", "normal_mid", "photometric_mid", "adversarial_mid"}
    of_high = {"high", "size", "normal_high", "photometric_high", "adversarial_high"}
    for names, parameter in ((of_mid, recipe.model.alpha), (of_high, recipe.model.beta)):
        for name in names:
            (gradient,) = torch.autograd.grad(parts[name], parameter, retain_graph=True)
            assert torch.isfinite(gradient), name
            assert gradient != 0, name
    assert all(not p.requires_grad for p in recipe.model.analyser.parameters())


def test_retouching_learns_to_take_blemishes_off(faces: Path, analyser: Path, tmp_path: Path) -> None:
    config = configured(tmp_path / "run", faces, analyser, retouching_steps=60, steps=60)
    second = config.retouching_step()
    weights = train(RetouchingRecipe(second, analyser), second)
    assert weights.name == "hrn-retouching.safetensors"
    lines = [json.loads(line) for line in (second.output / "log.jsonl").read_text().splitlines()]
    loss = [line["retouched"] for line in lines if "retouched" in line]
    assert np.mean(loss[-10:]) < 0.9 * np.mean(loss[:10])
    names = [step.name for step in steps_of(dataclasses.replace(config, analyser=None))]
    assert names == ["hrn-analyser", "hrn-retouching", "hrn-s"]
    given = MapsRecipe(config, analyser, weights)
    given.start()
    assert given.retoucher is not None


@pytest.mark.parametrize(("switch", "gone"), [("deformation", "alpha"), ("detail", "beta")])
def test_levels_can_be_left_out(switch: str, gone: str, faces: Path, analyser: Path, tmp_path: Path) -> None:
    config = configured(tmp_path / "run", faces, analyser, **{switch: False})
    recipe = MapsRecipe(config, analyser, None)
    assert float(getattr(recipe.model, gone)) == 0.0
    assert not getattr(recipe.model, gone).requires_grad
