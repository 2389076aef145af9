# SPDX-License-Identifier: Apache-2.0
"""Parts that several methods share, against what they are defined to do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.errors import WeightsError
from lineament.networks.discriminator import adversarial_loss, discriminator_loss
from lineament.networks.modulation import AdaptiveInstanceNorm, ModulatedConv2d, channel_deviation
from lineament.networks.torchvision import load_torchvision_weights
from lineament.networks.unet import Pix2PixUNet
from lineament.networks.vgg import VGG19Features, perceptual_distance, vgg_channels


def one_by_one(layer: ModulatedConv2d, x: Tensor, z: Tensor) -> Tensor:
    """Equations 1 and 3 of StyleGAN2 as they stand: a convolution of its own for each sample."""
    out = []
    for sample, vector in zip(x, z, strict=True):
        weight = layer.gain * layer.weight * layer.style(vector)[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        out.append(F.conv2d(sample[None], weight, layer.bias, padding=weight.shape[-1] // 2))
    return torch.cat(out)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_modulated_convolutions_are_convolutions_of_each_sample(kernel: int) -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(6, 4, kernel, 5).double()
    torch.nn.init.normal_(layer.bias)
    x, z = torch.randn(3, 6, 9, 7).double(), torch.randn(3, 5).double()
    assert torch.allclose(layer(x, z), one_by_one(layer, x, z), atol=1e-10)


def test_demodulation_keeps_unit_variance() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(64, 32, 3, 8)
    x = torch.randn(4, 64, 48, 48)
    for strength in (0.1, 1.0, 20.0):  # however strongly the vector asks
        inner = layer(x, strength * torch.randn(4, 8))[:, :, 1:-1, 1:-1]
        assert float(inner.var(dim=(2, 3)).mean()) == pytest.approx(1.0, abs=0.05)


def test_gradients_of_the_modulated_convolution() -> None:
    torch.manual_seed(0)
    layer = ModulatedConv2d(2, 2, 3, 3).double()
    x, z = torch.randn(2, 2, 4, 4).double().requires_grad_(), torch.randn(2, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x, z))


def test_adaptive_instance_norm_sets_statistics() -> None:
    torch.manual_seed(0)
    layer = AdaptiveInstanceNorm(4, 3)
    x, z = 5.0 + 3.0 * torch.randn(2, 4, 16, 16), torch.randn(2, 3)
    scale, shift = layer.statistics(z).chunk(2, dim=1)
    out = layer(x, z)
    assert torch.allclose(out.mean((2, 3)), shift, atol=1e-4)
    assert torch.allclose(channel_deviation(out)[..., 0, 0], (1 + scale).abs(), atol=1e-3)


def test_the_unet_keeps_the_resolution() -> None:
    network = Pix2PixUNet(1, 3, levels=4, width=4).eval()
    assert network(torch.rand(2, 1, 32, 48)).shape == (2, 3, 32, 48)
    whole = sum(p.numel() for p in Pix2PixUNet(3, 3).parameters())
    assert whole == pytest.approx(54.4e6, rel=0.01)  # pix2pix's generator


def test_vgg_19_is_named_and_sized_as_torchvisions() -> None:
    network = VGG19Features(0.125)
    names = [name for name in network.state_dict() if name.endswith("weight")]
    places = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30)
    assert names == [f"features.{place}.weight" for place in places]
    features = network(torch.rand(1, 3, 64, 32))
    assert [tuple(f.shape[1:]) for f in features] == [
        (channels, 64 // 2**i, 32 // 2**i) for i, channels in enumerate(vgg_channels(0.125))
    ]
    first = network(torch.rand(1, 3, 64, 32), blocks=2)
    assert len(first) == 2
    # An untrained network still tells pictures apart in its deepest block.
    deepest = network(torch.rand(8, 3, 1, 1).expand(8, 3, 64, 64))[-1]
    assert deepest.std(0).mean() > 0.1 * deepest.mean() > 0
    assert vgg_channels(1.0) == (64, 128, 256, 512, 512)


def test_the_perceptual_distance_sees_both_pictures() -> None:
    torch.manual_seed(0)
    features = VGG19Features(0.125).requires_grad_(False)
    one, other = torch.rand(2, 2, 3, 16, 16).requires_grad_().unbind()
    assert perceptual_distance(features, one, one, 5) == 0
    gradients = torch.autograd.grad(perceptual_distance(features, one, other), (one, other))
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


def test_torchvisions_checkpoint_fills_the_network(tmp_path: Path) -> None:
    given, network = VGG19Features(0.125), VGG19Features(0.125)
    state = {**given.state_dict(), "features.34.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "vgg19.pth")
    load_torchvision_weights(network, tmp_path / "vgg19.pth")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), given.parameters(), strict=True))
    with pytest.raises(WeightsError, match="width 1"):
        load_torchvision_weights(VGG19Features(0.25), tmp_path / "vgg19.pth")


def test_adversarial_losses_of_known_logits() -> None:
    unsure = torch.zeros(2, 1, 3, 3)
    assert adversarial_loss([unsure, unsure]) == pytest.approx(2 * math.log(2), abs=1e-6)
    assert discriminator_loss(unsure, [unsure]) == pytest.approx(math.log(2), abs=1e-6)
    assert discriminator_loss(unsure + 20, [unsure - 20]) < 1e-6
