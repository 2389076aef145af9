# SPDX-License-Identifier: Apache-2.0
"""JPEG's loss without its file: block transform, quantisation, halved chroma (ITU-T T.81, JFIF 1.02)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

# ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance), row by row.
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *(((99,) * 8,) * 4),
)
# JFIF 1.02, page 3: RGB to Y, Cb, Cr and back, without the offset of the chroma.
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def jpeg(image: Tensor, quality: Tensor, subsampled: bool) -> Tensor:
    """Compress pictures and read them back.

    Args:
        image: [B, 3, H, W] in [0, 1], sRGB-encoded.
        quality: [B] 1 to 100, on the usual scale of the Independent JPEG Group.
        subsampled: Halve the resolution of the chroma (4:2:0) or keep it (4:4:4).

    Returns:
        [B, 3, H, W] in [0, 1].
    """
    batch, _, height, width = image.shape
    block = 16 if subsampled else 8
    down, right = -height % block, -width % block
    if down or right:
        image = F.pad(image, (0, right, 0, down), mode="replicate")
    rows, columns = image.shape[2:]
    to_ycc, to_rgb = (image.new_tensor(m).expand(batch, 3, 3) for m in (_TO_YCC, _TO_RGB))
    ycc = torch.bmm(to_ycc, image.flatten(2) * 255.0).view(batch, 3, rows, columns)
    luma, chroma = ycc[:, :1] - 128.0, ycc[:, 1:]
    # The Independent JPEG Group's rule from a quality to a percentage of the tables.
    percent = torch.where(quality < 50, 5000.0 / quality, 200.0 - 2.0 * quality)[:, None]
    tables = [
        ((percent * image.new_tensor(table).flatten() + 50.0) / 100.0).floor().clamp(1.0, 255.0)
        for table in (_LUMINANCE, _CHROMINANCE)
    ]  # [B, 64] each
    luma = _quantised(luma, tables[0])
    if subsampled:
        chroma = _quantised(F.avg_pool2d(chroma, 2), tables[1])
        # Bilinear enlargement is what decoders call fancy upsampling.
        chroma = F.interpolate(chroma, (rows, columns), mode="bilinear")
    else:
        chroma = _quantised(chroma, tables[1])
    ycc = torch.cat([luma + 128.0, chroma], dim=1)
    decoded = torch.bmm(to_rgb, ycc.flatten(2)).view(batch, 3, rows, columns)
    return decoded.mul_(1.0 / 255.0).clamp_(0.0, 1.0)[:, :, :height, :width]


def _quantised(planes: Tensor, table: Tensor) -> Tensor:
    """Round the block transform of planes [B, C, H, W] to multiples of a table [B, 64]."""
    batch, channels, height, width = planes.shape
    transform = _block_transform(str(planes.device))
    blocks = planes.view(batch, channels, height // 8, 8, width // 8, 8).transpose(3, 4).reshape(batch, -1, 64)
    steps = table[:, None]
    coefficients = torch.matmul(blocks, transform.T).div_(steps).round_().mul_(steps)
    blocks = torch.matmul(coefficients, transform)
    return blocks.view(batch, channels, height // 8, width // 8, 8, 8).transpose(3, 4).reshape_as(planes)


@lru_cache(maxsize=8)
def _block_transform(device: str) -> Tensor:
    """The orthonormal cosine transform of an 8 by 8 block as one matrix on its 64 values, [64, 64]."""
    k = torch.arange(8, dtype=torch.float64)
    cosine = 0.5 * torch.cos((2.0 * k[None, :] + 1.0) * k[:, None] * (math.pi / 16.0))
    cosine[0] *= math.sqrt(0.5)
    return torch.kron(cosine, cosine).to(torch.float32).to(device)
