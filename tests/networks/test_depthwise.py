# SPDX-License-Identifier: Apache-2.0
"""The depthwise convolution is torch's, with its gradients, in every precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.networks.depthwise import DepthwiseConv2d

KINDS = [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1)]


def plain(layer: DepthwiseConv2d, x: Tensor) -> Tensor:
    """The same by torch alone."""
    margins = layer.margins
    return F.conv2d(F.pad(x, (*margins, *margins)), layer.weight, None, layer.stride, 0, 1, layer.groups)


@pytest.mark.parametrize(("kernel", "stride"), KINDS)
def test_gradients_are_those_of_finite_differences(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer = DepthwiseConv2d(2, kernel, stride).double()
    x = torch.randn(2, 2, 6, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)

    def of_weight(weight: Tensor) -> Tensor:
        result = torch.func.functional_call(layer, {"weight": weight}, (x.detach(),))
        assert isinstance(result, Tensor)
        return result

    assert torch.autograd.gradcheck(of_weight, layer.weight.detach().requires_grad_())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "stride"), KINDS)
def test_values_and_gradients_are_those_of_torch(kernel: int, stride: int, precision: torch.dtype) -> None:
    torch.manual_seed(1)
    layer = DepthwiseConv2d(24, kernel, stride)
    x = torch.randn(3, 24, 12, 20).to(memory_format=torch.channels_last)
    found, wanted = (x.clone().requires_grad_() for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        ours = layer(found)
        assert ours.dtype == precision
    theirs = plain(layer, wanted)
    weighting = torch.randn_like(theirs)
    gradients = torch.autograd.grad((theirs * weighting).sum(), [wanted, layer.weight])
    close = {"rtol": 1e-4, "atol": 1e-4} if precision == torch.float32 else {"rtol": 0.02, "atol": 0.3}
    torch.testing.assert_close(ours.float(), theirs, **close)
    for own, known in zip(
        torch.autograd.grad((ours.float() * weighting).sum(), [found, layer.weight]), gradients, strict=True
    ):
        assert own.dtype == torch.float32
        torch.testing.assert_close(own, known, **close)


def test_a_frozen_kernel_and_a_picture_without_gradient_have_none() -> None:
    layer, x = DepthwiseConv2d(4, 3, 2), torch.randn(1, 4, 8, 8)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is not None
    layer = DepthwiseConv2d(4, 3, 2).requires_grad_(False)
    layer(x.requires_grad_()).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_stride_two_pads_as_the_published_weights_want_it() -> None:
    for kernel in (3, 5):
        layer = DepthwiseConv2d(1, kernel, 2)
        nn.init.ones_(layer.weight)
        x = torch.arange(64.0).view(1, 1, 8, 8)
        first = layer(x)[0, 0, 0, 0]  # TensorFlow's "same" of an even side: (kernel − 2) / 2 before, rounded down
        reach = kernel - (kernel - 2) // 2
        assert first == x[0, 0, :reach, :reach].sum()
