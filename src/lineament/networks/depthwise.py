# SPDX-License-Identifier: Apache-2.0
"""Depthwise convolutions that train fast on CPUs.

oneDNN, which computes torch's convolutions on CPUs, has fast kernels for a depthwise convolution forward, and for the
gradients of some: in bfloat16 the gradient of the input at stride 2 and that of 5×5 weights fall back to loops that
take thirty times as long. Both can be said in terms of the fast ones; the sums are the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_FAST = 3  # side of the kernels whose gradient is fast


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself, without bias; the same result and gradients as torch's own."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        """Make one with an odd kernel; at stride 1 it pads both sides alike.

        At stride 2 an even side is padded as TensorFlow does: one pixel less before than after.
        """
        super().__init__(channels, channels, kernel, stride, 0, groups=channels, bias=False)
        before = (kernel - stride) // 2
        self.margins = before, kernel - stride - before

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H / stride, W / stride]; sides multiples of the stride."""
        x = F.pad(x, (*self.margins, *self.margins))
        if x.device.type != "cpu" or not (torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)):
            return F.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)
        weight = self.weight.to(torch.bfloat16) if torch.is_autocast_enabled("cpu") else self.weight
        convolved: Tensor = _Depthwise.apply(x.to(weight.dtype), weight, self.stride[0])  # type: ignore[no-untyped-call]
        return convolved


class _Depthwise(torch.autograd.Function):
    """The convolution without padding, of maps in channels last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, 0, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.to(x.dtype)
        of_x = _of_input(gradient, weight, ctx.stride, x) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(x, gradient, weight, ctx.stride) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None


def _of_input(gradient: Tensor, weight: Tensor, stride: int, x: Tensor) -> Tensor:
    """The gradient [B, C, H, W] of the input: a convolution with the turned kernel, forward."""
    kernel = weight.shape[-1]
    if stride > 1:  # with zeros where the stride left values out
        spread = torch.empty_like(x[:, :, kernel - 1 :, kernel - 1 :], memory_format=torch.channels_last).zero_()
        spread[:, :, ::stride, ::stride] = gradient
        gradient = spread
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, kernel - 1, 1, len(weight))


def _of_weight(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of the kernels, in pieces of 3×3 that overlap where the side is no multiple of three."""
    kernel, channels = weight.shape[-1], len(weight)
    if kernel <= _FAST:
        return _of_small_weight(x, gradient, weight, stride)
    out = torch.empty_like(weight)
    rows, columns = (stride * (side - 1) + _FAST for side in gradient.shape[2:])
    piece = weight.new_empty(channels, 1, _FAST, _FAST)
    starts = [*range(0, kernel - _FAST, _FAST), kernel - _FAST]
    for top in starts:
        for left in starts:
            seen = x[:, :, top : top + rows, left : left + columns].contiguous(memory_format=torch.channels_last)
            found = _of_small_weight(seen, gradient, piece, stride)
            out[:, :, top : top + _FAST, left : left + _FAST] = found
    return out


def _of_small_weight(x: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """The gradient of the kernels as torch computes it."""
    none, mask = [0, 0], [False, True, False]
    _, found, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride, stride], none, [1, 1], False, none, len(weight), mask
    )
    return found  # type: ignore[no-any-return]
