# SPDX-License-Identifier: Apache-2.0
"""Real spherical harmonics up to order 2: the basis, shading with it and fitting light to a picture.

Directions are unit vectors in the camera frame (x to the image's right, y up, z towards the viewer). The nine
functions are ordered (0,0) (1,-1) (1,0) (1,1) (2,-2) (2,-1) (2,0) (2,1) (2,2) and are orthonormal over the
sphere, so that their constants are written here once and nowhere else.

Two kinds of coefficients must not be confused. *Shading* coefficients multiply the basis directly: shading(n)
= sum_i c_i Y_i(n). *Environment* coefficients describe incoming radiance; a Lambertian surface blurs them by
the factors `LAMBERTIAN_CONVOLUTION` (Ramamoorthi and Hanrahan, "An efficient representation for irradiance
environment maps", SIGGRAPH 2001, equation 8, and "On the relationship between radiance and irradiance", JOSA
A 2001).
"""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

COEFFICIENTS = 9
"""How many coefficients order 2 has."""

ORDERS = (0, 1, 1, 1, 2, 2, 2, 2, 2)
"""The order l of each of the nine coefficients."""

Y00 = 0.5 / math.sqrt(math.pi)
"""Constant of Y(0,0)."""
Y1M = math.sqrt(3.0 / (4.0 * math.pi))
"""Constant of the three functions of order 1: y, z, x."""
Y2M = 0.5 * math.sqrt(15.0 / math.pi)
"""Constant of xy, yz and xz in order 2."""
Y20 = 0.25 * math.sqrt(5.0 / math.pi)
"""Constant of 3z² - 1 in order 2."""
Y22 = 0.25 * math.sqrt(15.0 / math.pi)
"""Constant of x² - y² in order 2."""

LAMBERTIAN_CONVOLUTION = (math.pi, *(2.0 * math.pi / 3.0,) * 3, *(math.pi / 4.0,) * 5)
"""Per coefficient, the factor from incoming radiance to irradiance on a Lambertian surface."""


class _Field(Protocol):
    """What `polynomials` asks of an array: plain arithmetic, so that NumPy and torch both serve."""

    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __rmul__(self, other: Any, /) -> Any: ...


Field = TypeVar("Field", bound=_Field)


def polynomials(x: Field, y: Field, z: Field) -> list[Field]:
    """The nine basis functions of unit directions, with plain operators only.

    Args:
        x: First component, an array or tensor of any shape (camera frame, image right).
        y: Second component, same shape (up).
        z: Third component, same shape (towards the viewer).

    Returns:
        Nine arrays of the same shape and kind, in the order the module states.
    """
    return [
        x * 0.0 + Y00,
        Y1M * y,
        Y1M * z,
        Y1M * x,
        Y2M * (x * y),
        Y2M * (y * z),
        Y20 * (3.0 * (z * z) - 1.0),
        Y2M * (x * z),
        Y22 * (x * x - y * y),
    ]


def basis(normals: ArrayLike) -> NDArray[np.float64]:
    """The nine basis functions stacked on a last axis.

    Args:
        normals: Unit vectors [..., 3], camera frame.

    Returns:
        Array [..., 9].

    Raises:
        InputError: If the last axis is not of length 3.
    """
    vectors = np.asarray(normals, dtype=np.float64)
    if vectors.ndim == 0 or vectors.shape[-1] != 3:
        raise InputError(f"normals must end in an axis of 3, got the shape {vectors.shape}")
    return np.stack(polynomials(vectors[..., 0], vectors[..., 1], vectors[..., 2]), axis=-1)


def shade(normals: ArrayLike, coefficients: ArrayLike) -> NDArray[np.float64]:
    """Shading of unit normals under light given as shading coefficients.

    Args:
        normals: Unit vectors [..., 3], camera frame.
        coefficients: Nine per channel, [9] or [9, C].

    Returns:
        Shading [...] for coefficients [9], else [..., C]. Not clipped: a low-order light may be negative
        somewhere.

    Raises:
        InputError: If the coefficients do not begin with an axis of 9.
    """
    light = np.asarray(coefficients, dtype=np.float64)
    if light.ndim not in (1, 2) or light.shape[0] != COEFFICIENTS:
        raise InputError(f"light must have the shape [9] or [9, C], got {light.shape}")
    return basis(normals) @ light


def irradiance(environment: ArrayLike) -> NDArray[np.float64]:
    """Shading coefficients of a white Lambertian surface under incoming radiance.

    Args:
        environment: Coefficients of the radiance, [9] or [9, C].

    Returns:
        Same shape: coefficients of the outgoing radiance (irradiance divided by pi), to be used with `shade`.
    """
    light = np.asarray(environment, dtype=np.float64)
    factors = np.asarray(LAMBERTIAN_CONVOLUTION) / math.pi
    return factors.reshape((COEFFICIENTS,) + (1,) * (light.ndim - 1)) * light


def fit_light(
    image: ArrayLike,
    normals: ArrayLike,
    albedo: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    ridge: float = 0.0,
) -> NDArray[np.float64]:
    """Shading coefficients that explain a picture best: least squares of image = albedo * shading(normals).

    Args:
        image: Linear intensities, [H, W] or [H, W, C].
        normals: Unit normals [H, W, 3], camera frame.
        albedo: Reflectance, [H, W] or [H, W, C]; one everywhere when left out.
        mask: Pixels to use, [H, W], non-zero means use; all when left out.
        ridge: Weight of the squared coefficients beside the *mean* squared residual, so that it means the
            same at any resolution. Order 0 is not penalised.

    Returns:
        Coefficients [9] for a grey picture, else [9, C].

    Raises:
        InputError: If shapes disagree, or fewer than nine pixels are left and `ridge` is zero.
    """
    picture = np.asarray(image, dtype=np.float64)
    vectors = np.asarray(normals, dtype=np.float64)
    grey = picture.ndim == vectors.ndim - 1
    if vectors.shape[-1] != 3 or picture.shape[: vectors.ndim - 1] != vectors.shape[:-1]:
        raise InputError(f"picture {picture.shape} and normals {vectors.shape} do not belong together")
    channels = picture[..., None] if grey else picture
    use = np.ones(vectors.shape[:-1], dtype=bool) if mask is None else np.asarray(mask) != 0
    if use.shape != vectors.shape[:-1]:
        raise InputError(f"mask {use.shape} and normals {vectors.shape} do not belong together")
    count = int(use.sum())
    if count == 0 or (count < COEFFICIENTS and ridge <= 0.0):
        raise InputError(f"only {count} pixels to fit nine coefficients to: widen the mask or set ridge")
    functions = basis(vectors[use])
    values = channels[use]
    reflectance = np.ones_like(values)
    if albedo is not None:
        given = np.asarray(albedo, dtype=np.float64)
        given = given[..., None] if given.ndim == vectors.ndim - 1 else given
        reflectance = np.broadcast_to(given[use], values.shape)
    damping = math.sqrt(max(ridge, 0.0) * count) * np.diag([0.0] + [1.0] * (COEFFICIENTS - 1))
    light = np.empty((COEFFICIENTS, values.shape[1]))
    for channel in range(values.shape[1]):
        system = np.concatenate([functions * reflectance[:, channel : channel + 1], damping])
        target = np.concatenate([values[:, channel], np.zeros(COEFFICIENTS)])
        light[:, channel] = np.linalg.lstsq(system, target, rcond=None)[0]
    return light[:, 0] if grey else light
