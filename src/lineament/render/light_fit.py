# SPDX-License-Identifier: Apache-2.0
"""The light of a picture from its geometry: spherical harmonics by least squares; and normals from depth (torch)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.spherical_harmonics import polynomials
from lineament.render.vectors import unit

_SATURATED, _DARK = 0.97, 0.01  # linear light beyond which a pixel says nothing of the shading
_ROUNDS = 3
_RIDGE = 1e-6  # of the Gram matrix's mean diagonal: light from behind is seen by few pixels
_TUNING = 2.0  # residuals beyond so many robust deviations count less and less


def normals_of_depth(depth: Tensor) -> Tensor:
    """Unit normals [B, 3, H, W] of depth [B, 1, H, W] in pixels, larger is nearer, from the four neighbours.

    The torch twin of `lineament.geometry.depth_to_normals` on a full grid: central differences, one-sided at the
    picture's border (DF²Net, section 3.3).
    """
    padded = F.pad(depth, (1, 1, 1, 1), mode="replicate")
    right = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    columns, rows = depth.shape[3], depth.shape[2]
    across = torch.full((columns,), 2.0, device=depth.device, dtype=depth.dtype)
    along = torch.full((rows,), 2.0, device=depth.device, dtype=depth.dtype)
    across[[0, -1]] = 1.0
    along[[0, -1]] = 1.0
    slope_x, slope_y = right / across, -down / along[:, None]  # y is up
    return unit(torch.cat([-slope_x, -slope_y, torch.ones_like(depth)], dim=1))


def fit_light(image: Tensor, albedo: Tensor, normals: Tensor, mask: Tensor) -> Tensor:
    """The light that explains a picture best, I ≈ R · Σ l_i H_i(N) (DF²Net, equation 4).

    Weighted least squares per picture and channel; saturated and black pixels are left out, and those that do not fit
    (cast shadows, gloss, wrong geometry) count less from round to round (Cauchy weights; the weights themselves are
    constants to the gradient, the solution is not).

    Args:
        image: [B, C, H, W] linear light.
        albedo: [B, C, H, W] linear.
        normals: [B, 3, H, W] unit.
        mask: [B, 1, H, W] bool, where to look.

    Returns:
        [B, 9, C] shading coefficients in the order of `lineament.geometry.spherical_harmonics`; zero where the mask is
        empty.
    """
    basis = torch.stack(polynomials(*normals.unbind(1)), dim=1).flatten(2)  # [B, 9, P]
    light, colour = image.flatten(2), albedo.flatten(2)  # [B, C, P]
    usable = mask.flatten(2) & (light < _SATURATED) & (light > _DARK)
    weight = usable.to(image.dtype)
    found = _solved(basis, colour, light, weight)
    for _ in range(_ROUNDS):
        with torch.no_grad():
            residual = (colour * torch.einsum("bkp,bkc->bcp", basis, found) - light).abs()
            # The mean deviation of what counts, which a few outliers hardly move once they count little.
            spread = (residual * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp_min(1.0)
            reweighted = usable / (1.0 + (residual / (_TUNING * spread.clamp_min(1e-4))).square())
        weight = reweighted.to(image.dtype)
        found = _solved(basis, colour, light, weight)
    return found


def _solved(basis: Tensor, colour: Tensor, light: Tensor, weight: Tensor) -> Tensor:
    """Weighted least squares: [B, 9, P], and three [B, C, P], to [B, 9, C]."""
    system = torch.einsum("bkp,bcp,bjp->bckj", basis, weight * colour.square(), basis)
    right = torch.einsum("bkp,bcp->bck", basis, weight * colour * light)
    # The front of a face hardly tells a bright background from light at the camera: double precision for the nine.
    system, right = system.double(), right.double()
    scale = system.diagonal(dim1=2, dim2=3).mean(-1).clamp_min(1e-8)
    ridge = _RIDGE * scale[..., None, None] * torch.eye(9, device=basis.device, dtype=torch.float64)
    found: Tensor = torch.linalg.solve(system + ridge, right[..., None])[..., 0]
    return found.transpose(1, 2).to(basis.dtype)
