# SPDX-License-Identifier: Apache-2.0
"""The camera: range, purity, alignment, each step against a known answer, JPEG against Pillow's."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from lineament.errors import UsageError  # noqa: E402
from lineament.synth.degrade import _SHARES, Degrade, DegradeConfig, gaussian_blur  # noqa: E402
from lineament.synth.jpeg import jpeg  # noqa: E402
from lineament.synth.random import SampleRandom  # noqa: E402

SIZE = 64
STEPS = [name for name in _SHARES if name != "coarse_noise"]


def picture(batch: int = 1, size: int = SIZE):
    """A smooth coloured scene with a disc on it."""
    axis = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    disc = (((x - 0.5) ** 2 + (y - 0.5) ** 2) < 0.09).float()
    planes = [0.2 + 0.5 * x + 0.2 * disc, 0.3 + 0.3 * y, 0.6 - 0.3 * x * y - 0.2 * disc]
    return torch.stack(planes)[None].expand(batch, -1, -1, -1).contiguous()


def test_range_steps_and_determinism():
    image = picture(48)
    first = Degrade()(image, SampleRandom(0, range(48)))
    assert first.shape == image.shape
    assert torch.isfinite(first).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.allclose(first * 255, (first * 255).round(), atol=1e-4)
    assert torch.equal(first, Degrade()(image, SampleRandom(0, range(48))))
    assert (first[1:] - first[:-1]).abs().flatten(1).mean(1).min() > 0


def test_a_photo_does_not_depend_on_its_neighbours():
    together = Degrade()(picture(40), SampleRandom(0, range(40)))
    for index in range(0, 40, 3):
        alone = Degrade()(picture(1), SampleRandom(0, [index]))
        assert torch.equal(alone[0], together[index]), index


def test_a_camera_without_strength_changes_nothing():
    image = (picture(4) * 255).round() / 255
    assert torch.equal(Degrade(DegradeConfig.none())(image, SampleRandom(0, range(4))), image)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_acts_by_itself(step):
    image = picture(8, 128)
    config = replace(DegradeConfig.none(), **{step: 1.0})
    result = Degrade(config)(image, SampleRandom(0, range(8)))
    change = (result - image).abs().flatten(1).mean(1)
    assert change.max() > 1e-3
    assert change.max() < 0.35


def test_edges_stay_in_place():
    """A vertical step keeps its middle, whatever blur, resolution, sharpening and compression do to it."""
    low, high, middle = 64 / 255, 192 / 255, SIZE // 2
    image = torch.full((64, 3, SIZE, SIZE), low)
    image[..., middle:] = high
    config = replace(DegradeConfig.none(), blur=0.5, defocus=0.5, motion=0.5, low_resolution=0.7, sharpen=0.5, jpeg=0.5)
    for turned in (False, True):
        clean = image.transpose(2, 3).contiguous() if turned else image
        result = Degrade(config)(clean, SampleRandom(0, range(64)))
        profile = result.mean((1, 3) if turned else (1, 2))  # [B, S]
        before, after = profile[:, middle - 1], profile[:, middle]
        crossing = ((low + high) / 2 - before) / (after - before)  # 0 to 1 between the two pixels
        assert (crossing - 0.5).abs().max() < 0.2


def test_gaussian_blur_has_its_variance_and_spares_sigma_zero():
    impulse = torch.zeros(3, 1, 41, 41)
    impulse[:, :, 20, 20] = 1.0
    sigma = torch.tensor([0.0, 1.0, 2.5])
    blurred = gaussian_blur(impulse, sigma)
    offset = torch.arange(41.0) - 20
    assert torch.equal(blurred[0], impulse[0])
    for row in (1, 2):
        profile = blurred[row, 0].sum(0)
        assert abs(profile.sum() - 1) < 1e-5
        assert abs((profile * offset).sum()) < 1e-4
        # Cutting a Gaussian at three sigma leaves 97.3 % of its variance.
        assert abs((profile * offset**2).sum() / sigma[row] ** 2 - 0.98) < 0.03


def test_exposure_acts_on_light():
    """One stop more doubles the light, which a power curve of 2.2 encodes."""
    config = replace(DegradeConfig.none(), exposure=1.0, exposure_stops=0.3)
    image = torch.full((32, 3, 16, 16), 0.5)
    result = Degrade(config)(image, SampleRandom(0, range(32)))
    stops = torch.log2((result.mean((1, 2, 3)) / 0.5) ** 2.2)
    assert 0.15 < stops.std() < 0.6
    assert (result.flatten(1).std(1) < 1e-6).all()


def test_noise_is_unbiased_and_grows_with_light():
    config = replace(DegradeConfig.none(), noise=1.0, noise_level=0.1, coarse_noise=0.0)
    image = torch.full((24, 3, SIZE, SIZE), 0.3)
    image[..., SIZE // 2 :] = 0.7
    noise = Degrade(config)(image, SampleRandom(0, range(24))) - image
    assert abs(noise.mean()) < 1e-3
    assert noise[..., SIZE // 2 :].std() > 1.15 * noise[..., : SIZE // 2].std()


def test_grey_photos_have_equal_channels():
    grey = Degrade(replace(DegradeConfig.none(), grey=1.0))(picture(4), SampleRandom(0, range(4)))
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])


@pytest.mark.parametrize("quality", [25, 60, 92])
@pytest.mark.parametrize("subsampled", [False, True])
def test_jpeg_loses_what_pillow_loses(quality, subsampled):
    from PIL import Image

    rough = SampleRandom(0, [0]).pixels("texture", (3, SIZE, SIZE)) * 0.06
    image = ((picture() + gaussian_blur(rough, torch.tensor([0.8]))).clamp(0, 1) * 255).round() / 255
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=2 if subsampled else 0)
    theirs = np.asarray(Image.open(file)).astype(np.float32) / 255
    ours = jpeg(image, torch.tensor([float(quality)]), subsampled)[0].permute(1, 2, 0).numpy()
    clean = pixels.astype(np.float32) / 255
    loss_ours, loss_theirs = np.abs(ours - clean).mean(), np.abs(theirs - clean).mean()
    assert loss_theirs > 0.002
    assert 0.9 < loss_ours / loss_theirs < 1.1
    # Nearer to each other than either to the clean picture: it is the same loss, not only as much. Theirs
    # rounds colours to whole numbers before and after, which ours does not.
    assert np.abs(ours - theirs).mean() < 0.3 * loss_theirs + 0.5 / 255


def test_jpeg_takes_any_size():
    image = picture(size=40)[..., :37]
    for subsampled in (False, True):
        result = jpeg(image, torch.tensor([95.0]), subsampled)
        assert result.shape == image.shape
        assert (result - image).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("field", "value"),
    [("blur", 1.5), ("grey", -0.1), ("jpeg_lowest", 0.0), ("blur_sigma", 9.0), ("cast", -1.0)],
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(UsageError, match=field):
        DegradeConfig(**{field: value})
