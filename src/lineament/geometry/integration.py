# SPDX-License-Identifier: Apache-2.0
"""From normals to depth: masked least-squares integration under scaled orthography.

Every pair of neighbours inside the mask gives one equation, z(next) - z(here) = mean slope of the two. The
normal equations are a Poisson equation with natural boundary conditions on a mask of any shape. They are
solved by conjugate gradients, preconditioned with the exact solution of the Poisson equation on the whole
rectangle (a cosine transform; Simchony, Chellappa and Shao, PAMI 1990): the number of iterations then hardly
grows with the resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from lineament.errors import InputError

Floats = NDArray[np.float64]
Method = Literal["poisson", "least_squares"]

SMALLEST_NZ = 0.05
"""Normals that turn away further than this n_z are taken as this steep: their slope has no bound
otherwise."""


def normals_to_depth(
    normals: ArrayLike,
    mask: ArrayLike | None = None,
    method: Method = "poisson",
    tolerance: float = 1e-7,
    max_iterations: int = 2000,
) -> NDArray[np.float32]:
    """Integrate a normal map.

    Args:
        normals: [H, W, 3], camera frame (x right, y up, z towards the viewer), any length.
        mask: [H, W], non-zero where to integrate; where the normals are not zero when left out.
        method: "poisson" trusts every slope alike. "least_squares" weighs each equation by n_z², so that
            grazing normals, whose slopes are the least certain, count less (it minimises the error n_z dz +
            n_x of Quéau, Durou and Aujol, "Normal integration: a survey", JMIV 2018).
        tolerance: Relative residual at which the iteration stops.
        max_iterations: Bound on iterations.

    Returns:
        Depth [H, W] float32 in pixels, larger is nearer. Zero mean in every connected part of the mask
        (pixels that touch along an edge), since nothing ties one part to another; zero outside.

    Raises:
        InputError: If shapes or the method are wrong.
    """
    n = np.asarray(normals, dtype=np.float64)
    if n.ndim != 3 or n.shape[2] != 3:
        raise InputError(f"normals must be [H, W, 3], got the shape {n.shape}")
    if method not in get_args(Method):
        raise InputError(f"unknown method of integration {method!r}: take one of {', '.join(get_args(Method))}")
    inside = np.any(n != 0, axis=2) if mask is None else np.asarray(mask) != 0
    if inside.shape != n.shape[:2]:
        raise InputError(f"mask {inside.shape} and normals {n.shape} differ in shape")
    inside = inside & np.isfinite(n).all(axis=2)
    if not inside.any():
        return np.zeros(inside.shape, dtype=np.float32)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    depth = np.zeros(inside.shape)
    depth[window] = _integrate(n[window], inside[window], method, tolerance, max_iterations)
    return depth.astype(np.float32)


def _integrate(n: Floats, inside: NDArray[np.bool_], method: Method, tolerance: float, max_iterations: int) -> Floats:
    unit = n / np.maximum(np.linalg.norm(n, axis=2, keepdims=True), 1e-12)
    nz = np.maximum(unit[..., 2], SMALLEST_NZ)
    trust = nz**2 if method == "least_squares" else np.ones_like(nz)
    slope_right, slope_down = -unit[..., 0] / nz, unit[..., 1] / nz  # v points down, y up: two signs cancel
    pair_right = (inside[:, :-1] & inside[:, 1:]) * 0.5 * (trust[:, :-1] + trust[:, 1:])
    pair_down = (inside[:-1] & inside[1:]) * 0.5 * (trust[:-1] + trust[1:])
    rise_right = np.where(pair_right > 0, 0.5 * (slope_right[:, :-1] + slope_right[:, 1:]), 0.0)
    rise_down = np.where(pair_down > 0, 0.5 * (slope_down[:-1] + slope_down[1:]), 0.0)

    def divergence(flow_right: Floats, flow_down: Floats) -> Floats:
        out = np.zeros(inside.shape)
        out[:, 1:] += flow_right
        out[:, :-1] -= flow_right
        out[1:] += flow_down
        out[:-1] -= flow_down
        return out

    def laplacian(z: Floats) -> Floats:
        return divergence(pair_right * np.diff(z, axis=1), pair_down * np.diff(z, axis=0))

    target = divergence(pair_right * rise_right, pair_down * rise_down)
    precondition = _rectangle_poisson(inside)
    depth = _conjugate_gradients(laplacian, target, precondition, tolerance, max_iterations)
    parts, count = ndimage.label(inside)
    sums = np.bincount(parts.ravel(), weights=depth.ravel(), minlength=count + 1)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    return np.where(inside, depth - (sums / np.maximum(sizes, 1))[parts], 0.0)


def _rectangle_poisson(inside: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    """The inverse of the rectangle's Laplacian with natural boundaries, restricted to the mask."""
    height, width = inside.shape
    eigenvalues = (
        (2.0 - 2.0 * np.cos(np.pi * np.arange(height) / height))[:, None]
        + (2.0 - 2.0 * np.cos(np.pi * np.arange(width) / width))[None, :]
    )  # fmt: skip
    # The constant has eigenvalue zero; any positive one keeps the preconditioner definite.
    eigenvalues[0, 0] = 1.0

    def solve(residual: Floats) -> Floats:
        answer: Floats = fft.idctn(fft.dctn(residual, norm="ortho") / eigenvalues, norm="ortho")
        return np.where(inside, answer, 0.0)

    return solve


def _conjugate_gradients(
    operator: Callable[[Floats], Floats],
    target: Floats,
    precondition: Callable[[Floats], Floats],
    tolerance: float,
    max_iterations: int,
) -> Floats:
    """Solve a positive semi-definite system whose right side lies in its range."""
    solution = np.zeros_like(target)
    residual = target.copy()
    goal = tolerance * float(np.linalg.norm(target))
    direction = np.zeros_like(target)
    previous = 1.0
    for _ in range(max_iterations):
        if float(np.linalg.norm(residual)) <= goal:
            break
        conditioned = precondition(residual)
        current = float(np.vdot(residual, conditioned))
        direction = conditioned + (current / previous) * direction
        image = operator(direction)
        step = current / float(np.vdot(direction, image))
        solution += step * direction
        residual -= step * image
        previous = current
    return solution
