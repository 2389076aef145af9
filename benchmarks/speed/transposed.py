# SPDX-License-Identifier: Apache-2.0
"""Transposed convolutions against the same as convolutions on ONNX Runtime: ``python benchmarks/speed/transposed.py
[--runs 25] [--output FILE.json]``.

A 4×4 transposed convolution of stride 2 equals a 2×2 convolution to four times the channels, whose four phases are
shifted by a pixel and interleaved. Layers of the sizes of casfne-s's decoder; the fastest run of each.
"""

from __future__ import annotations

import io
import time
import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.inference.engine import Network

LAYERS = ((320, 128, 6), (224, 96, 12), (136, 64, 24), (88, 48, 48), (64, 32, 96))  # channels in and out, side
ROWS = ((3, 1), (2, 0))  # of the kernel, that make even and odd rows


class Transposed(nn.Module):
    """The layer as it is."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(inside, outside, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, S, S] to [B, D, 2 S, 2 S]."""
        out: Tensor = self.layer(x)
        return out


class Small(Transposed):
    """As a 2×2 convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """The same."""
        weight, bias = self.layer.weight, self.layer.bias
        assert bias is not None
        phases = [weight[:, :, list(rows)][:, :, :, list(columns)] for rows in ROWS for columns in ROWS]
        kernel = torch.stack(phases).permute(0, 2, 1, 3, 4).flatten(0, 1)
        a, b, c, d = F.conv2d(x, kernel, bias.repeat(4), padding=1).chunk(4, 1)
        shifted = (a[..., :-1, :-1], b[..., :-1, 1:], c[..., 1:, :-1], d[..., 1:, 1:])
        return F.pixel_shuffle(torch.stack(shifted, 2).flatten(1, 2), 2)


def main() -> None:
    """Check that both are equal, time them, print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--runs", type=int, default=25)
    arguments = parser.parse_args()
    rows: list[tuple[Cell, ...]] = []
    for inside, outside, side in LAYERS:
        x = torch.randn(1, inside, side, side)
        layers = [kind(inside, outside).eval() for kind in (Transposed, Small)]
        for layer in layers[1:]:
            layer.load_state_dict(layers[0].state_dict())
            with torch.no_grad():
                assert torch.allclose(layer(x), layers[0](x), atol=1e-4)
        times = [fastest(layer, x, arguments.runs) for layer in layers]
        rows.append((f"{inside} to {outside} channels, {side}×{side}", *times))
    columns = ("layer", "transposed, ms", "2×2, ms")
    report([Table("Transposed convolutions on ONNX Runtime", columns, tuple(rows))], arguments.output)


def fastest(layer: nn.Module, x: Tensor, runs: int) -> float:
    """Milliseconds of the fastest of some runs."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(layer, (x,), buffer, input_names=["x"], opset_version=17, dynamo=False)  # type: ignore[arg-type]
    network, given, times = Network("layer", buffer.getvalue(), {}), {"x": x.numpy()}, []
    for _ in range(runs):
        start = time.perf_counter()
        network.run(given, [None])
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


if __name__ == "__main__":
    main()
