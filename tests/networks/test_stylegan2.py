# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2's parts against their definitions."""

from __future__ import annotations

import copy
import io
import math
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.errors import UsageError
from lineament.networks.stylegan2 import (
    EqualisedConv,
    EqualisedLinear,
    Generator,
    Mapping,
    StyleConv,
    blurred,
    enlarged,
    stage_sides,
)
from lineament.networks.stylegan2_discriminator import (
    Discriminator,
    discriminator_loss,
    generator_loss,
    minibatch_deviation,
    path_lengths,
    r1_penalty,
)

CHANNELS = (8, 6, 4)


def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(16, 12, 2, CHANNELS).double()


def filtered(picture: Tensor) -> Tensor:
    """One plane filtered by [1, 3, 3, 1] / 8 both ways, written as a sum over its taps."""
    taps = [1 / 8, 3 / 8, 3 / 8, 1 / 8]
    rows, columns = picture.shape[0] - 3, picture.shape[1] - 3
    total = torch.zeros(rows, columns, dtype=picture.dtype)
    for down, weight in enumerate(taps):
        for right, other in enumerate(taps):
            total += weight * other * picture[down : down + rows, right : right + columns]
    return total


@pytest.mark.parametrize("enlarges", [False, True])
def test_a_modulated_convolution_is_a_convolution_per_sample(enlarges: bool) -> None:
    torch.manual_seed(1)
    layer = StyleConv(5, 7, 4, enlarges).double()
    with torch.no_grad():
        layer.bias.normal_()
    x, code = torch.randn(3, 5, 6, 6).double(), torch.randn(3, 4).double()
    wanted = []
    for sample, w in zip(x, code, strict=True):
        style = layer.style(w[None])[0]
        kernel = layer.gain * layer.weight * style[None, :, None, None]
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if enlarges:
            spread = torch.zeros(5, 13, 13, dtype=torch.float64)  # a transposed convolution: zeros between, then around
            spread[:, 1:12:2, 1:12:2] = sample
            spread = F.pad(spread, (1, 1, 1, 1))
            plain = F.conv2d(spread[None], kernel.flip(2, 3))[0]
            out = torch.stack([4.0 * filtered(F.pad(plane, (1, 1, 1, 1))) for plane in plain])
        else:
            out = F.conv2d(sample[None], kernel, padding=1)[0]
        wanted.append(F.leaky_relu(out + layer.bias[:, None, None], 0.2) * math.sqrt(2.0))
    assert torch.allclose(layer(x, code, noise=False), torch.stack(wanted), atol=1e-5)


def test_filters_keep_constants_and_halve_or_double() -> None:
    flat = torch.ones(1, 2, 8, 8)
    assert torch.allclose(blurred(flat, 0), torch.ones(1, 2, 5, 5))
    assert torch.allclose(enlarged(flat)[..., 2:-2, 2:-2], torch.ones(1, 2, 12, 12))
    x = torch.randn(1, 2, 8, 8)
    wanted = torch.stack([filtered(F.pad(plane, (1, 1, 1, 1)))[::2, ::2] for plane in x[0]])
    assert torch.allclose(blurred(x, 1, stride=2)[0], wanted, atol=1e-6)


def test_layers_learn_at_equal_rates() -> None:
    """Variance of the output does not depend on the layer's size, and a rate of 0.01 moves it a hundredth as far."""
    torch.manual_seed(2)
    assert EqualisedLinear(512, 400)(torch.randn(64, 512)).std().item() == pytest.approx(1.0, abs=0.05)
    assert EqualisedConv(64, 48, 3)(torch.randn(4, 64, 16, 16)).std().item() == pytest.approx(1.0, abs=0.1)
    moved, x = [], torch.randn(1, 8)
    for rate in (1.0, 0.01):
        layer = EqualisedLinear(8, 8, rate=rate)
        before = layer(x).detach()
        optimizer = torch.optim.Adam(layer.parameters(), 1e-3)
        layer(x).sum().backward()
        optimizer.step()
        moved.append((layer(x) - before).abs().sum().item())
    assert moved[1] == pytest.approx(0.01 * moved[0], rel=0.05)
    mapping = Mapping(16, 3)
    z = torch.randn(2, 16)
    assert torch.allclose(mapping(z), mapping(7.0 * z), atol=1e-5)  # z is normalised first


def test_sizes_are_powers_of_two() -> None:
    assert stage_sides(1024) == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    with pytest.raises(UsageError, match="power of two"):
        stage_sides(96)
    with pytest.raises(UsageError, match="3 stages"):
        Generator(16, 8, 1, (4, 4))


def test_pictures_follow_from_codes_alone_without_noise() -> None:
    network = generator()
    with torch.no_grad():
        for stage in network.synthesis.stages:
            for convolution in stage.convolutions:
                convolution.noise_strength.fill_(0.5)
    z = torch.randn(2, 12).double()
    assert network(z, noise=False).equal(network(z, noise=False))
    assert not network(z, noise=True).equal(network(z, noise=True))
    first, second = (network(z, torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.equal(second)
    codes = network.codes(z, torch.randn(2, 12).double(), torch.tensor([1, 3]))
    assert codes[0, 0].equal(network.codes(z)[0, 0])
    assert not codes[0, 1].equal(network.codes(z)[0, 1])
    assert codes[1].equal(network.codes(z)[1])  # from stage 3 on, of which there is none


def test_autocast_changes_little() -> None:
    torch.manual_seed(6)
    network = Generator(16, 12, 2, CHANNELS)
    z = torch.randn(4, 12)
    with torch.no_grad():
        exact = network(z, noise=False)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(z, noise=False)
            features = network.synthesis.stages[0](network.synthesis.constant, network.mapping(z[:1]))
    assert features.dtype == torch.bfloat16  # half the memory to move
    assert (found.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_synthesis_is_the_same_as_a_graph() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(7)
    network = Generator(16, 12, 2, CHANNELS)

    class Silent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.synthesis = network.synthesis

        def forward(self, codes: Tensor) -> Tensor:
            return self.synthesis(codes, False)

    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Silent().eval(),
            (torch.randn(2, 3, 12),),
            buffer,  # type: ignore[arg-type]
            input_names=["codes"],
            output_names=["picture"],
            dynamic_axes={"codes": {0: "batch"}, "picture": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        codes = torch.randn(3, 3, 12)
        wanted = network.synthesis(codes, False)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"codes": codes.numpy()})
    assert torch.allclose(torch.from_numpy(found), wanted, atol=1e-4)


def test_spread_over_a_batch() -> None:
    same = torch.ones(4, 3, 2, 2)
    assert torch.allclose(minibatch_deviation(same), torch.zeros(4, 1, 2, 2), atol=1e-3)
    alternate = torch.tensor([-1.0, 1.0, -1.0, 1.0])[:, None, None, None].expand(4, 3, 2, 2)
    assert torch.allclose(minibatch_deviation(alternate), torch.ones(4, 1, 2, 2), atol=1e-3)
    assert minibatch_deviation(torch.randn(6, 3, 2, 2)).shape == (6, 1, 2, 2)


def test_r1_is_the_squared_gradient() -> None:
    torch.manual_seed(4)
    network = Discriminator(8, (4, 3)).double()
    real = torch.rand(2, 3, 8, 8).double()
    step = 1e-6
    gradient = torch.zeros_like(real)
    for place in range(real[0].numel()):
        for sample in range(2):
            moved = real.clone()
            moved[sample].view(-1)[place] += step
            gradient[sample].view(-1)[place] = (network(moved) - network(real)).sum().detach() / step
    wanted = float(gradient.square().sum((1, 2, 3)).mean())
    assert r1_penalty(network, real).item() == pytest.approx(wanted, rel=1e-3)


def test_r1_itself_can_be_descended() -> None:
    network = Discriminator(8, (4, 3)).double()
    real = torch.rand(2, 3, 8, 8).double()
    before = r1_penalty(network, real)
    before.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-3 * parameter.grad / parameter.grad.norm().clamp_min(1e-9)
    assert r1_penalty(network, real).item() < before.item()


def test_path_lengths_of_a_linear_generator() -> None:
    """A picture that is one number of the code at every pixel has the length |Σ y|; over many y its square is 1."""

    class Linear(nn.Module):
        def forward(self, codes: Tensor, noise: object) -> Tensor:
            return codes[:, 0, :1, None, None].expand(-1, 1, 4, 4)

    codes = torch.randn(4000, 1, 5, requires_grad=True)
    lengths = path_lengths(Linear(), codes, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert lengths.square().mean().item() == pytest.approx(1.0, rel=0.1)


def test_a_discriminator_and_a_generator_pull_against_each_other() -> None:
    torch.manual_seed(5)
    judge, maker = Discriminator(16, CHANNELS), Generator(16, 12, 2, CHANNELS)
    real, z = torch.full((4, 3, 16, 16), 0.5), torch.randn(4, 12)
    first = copy.deepcopy(judge)
    optimizer = torch.optim.Adam(judge.parameters(), 2e-3, (0.0, 0.99))
    for _ in range(8):
        optimizer.zero_grad()
        loss = discriminator_loss(judge(real), judge(maker(z).detach()))
        loss.backward()
        optimizer.step()
    assert loss < discriminator_loss(first(real), first(maker(z)))
    before = generator_loss(judge(maker(z, noise=False)))
    optimizer = torch.optim.Adam(maker.parameters(), 2e-3, (0.0, 0.99))
    for _ in range(5):
        optimizer.zero_grad()
        generator_loss(judge(maker(z, noise=False))).backward()
        optimizer.step()
    assert generator_loss(judge(maker(z, noise=False))) < before
