# SPDX-License-Identifier: Apache-2.0
"""Identity statistics: a principal component analysis of rigidly aligned random people.

Also how often each facial action is seen, from which the spread of the expression weights follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Facial action (start of its name) -> how often it is active, and the Beta distribution of its strength.
_ACTIONS: dict[str, tuple[float, float, float]] = {
    "jawOpen": (0.35, 1.2, 3.0),
    "mouthSmile": (0.35, 1.5, 2.0),
    "eyeBlink": (0.20, 1.0, 1.5),
    "eyeSquint": (0.25, 1.5, 2.0),
    "cheekSquint": (0.20, 1.5, 2.0),
    "browDown": (0.20, 1.5, 2.0),
    "browInnerUp": (0.20, 1.5, 2.0),
    "browOuterUp": (0.20, 1.5, 2.0),
}
_OTHER_ACTION = (0.12, 1.5, 2.5)
# Components with less than this share of the variance are rounding noise.
_NOISE_SHARE = 1e-9


@dataclass(frozen=True, eq=False)
class IdentityStatistics:
    """A principal component analysis of identities.

    Attributes:
        components: [K, V, 3] offsets in mm for one standard deviation, largest weighted variance first.
        explained: Share of the weighted variance that the components explain together.
        mean_shift: Root mean square distance between the samples' mean and the given mean, mm.
    """

    components: NDArray[np.float32]
    explained: float
    mean_shift: float


def identity_statistics(
    mean: NDArray[np.floating],
    shapes: NDArray[np.floating],
    weight: NDArray[np.floating],
    rigid_weight: NDArray[np.floating],
    components: int,
    samples: int,
    seed: int,
) -> IdentityStatistics:
    """Sample people from linear shapes with N(0, 1) coefficients, align them rigidly and analyse them.

    Coefficients come in pairs of opposite sign, so that the sampled mean stays the given one up to the
    curvature of rotations.

    Args:
        mean: [V, 3] mm.
        shapes: [M, V, 3] mm per unit coefficient.
        weight: [V] importance of each vertex in the analysis.
        rigid_weight: [V] importance of each vertex when a sample is aligned to the mean.
        components: Largest number of components to keep.
        samples: Number of people, rounded up to an even number.
        seed: Seed of the coefficients.

    Returns:
        At most `components` components; fewer when the samples vary in fewer ways.
    """
    half = np.random.default_rng(seed).standard_normal((max(1, (samples + 1) // 2), len(shapes)))
    coefficients = np.concatenate([half, -half]).astype(np.float32)
    flat = np.asarray(shapes, np.float32).reshape(len(shapes), -1)
    people = (coefficients @ flat).reshape(len(coefficients), -1, 3)
    people += np.asarray(mean, np.float32)
    offsets = align_rigidly(people, mean, rigid_weight) - np.asarray(mean, np.float32)
    shift = offsets.mean(0)
    basis, explained = principal_components(offsets - shift, weight, components)
    return IdentityStatistics(
        components=basis,
        explained=explained,
        mean_shift=float(np.sqrt(np.mean(np.sum(shift.astype(np.float64) ** 2, axis=-1)))),
    )


def principal_components(
    offsets: NDArray[np.float32], weight: NDArray[np.floating], components: int
) -> tuple[NDArray[np.float32], float]:
    """The directions in which samples vary most.

    Args:
        offsets: [N, V, C] of samples from their mean.
        weight: [V] importance of each vertex.
        components: Largest number of components to keep.

    Returns:
        [K, V, C] for one standard deviation, the largest weighted variance first, each signed so that its largest
        entry is positive; the share of the weighted variance that they explain.
    """
    data = offsets.reshape(len(offsets), -1)
    scale = np.repeat(np.sqrt(np.asarray(weight, np.float64) / np.sum(weight)), offsets.shape[2]).astype(np.float32)
    weighted = data * scale
    gram = (weighted @ weighted.T).astype(np.float64) / len(weighted)
    variance, vectors = np.linalg.eigh(gram)
    variance, vectors = np.maximum(variance[::-1], 0.0), vectors[:, ::-1]
    kept = min(components, int(np.sum(variance > _NOISE_SHARE * variance[0])))
    basis = (vectors[:, :kept].T.astype(np.float32) @ data) / np.sqrt(np.float32(len(data)))
    largest = np.take_along_axis(basis, np.abs(basis).argmax(1)[:, None], axis=1)
    basis *= np.where(largest < 0, -1.0, 1.0).astype(np.float32)
    return basis.reshape(kept, *offsets.shape[1:]), float(variance[:kept].sum() / variance.sum())


def vertex_areas(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float64]:
    """[V] a third of the area of the triangles around each vertex, mm²."""
    corners = vertices[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 6.0
    areas = np.bincount(faces.reshape(-1), np.repeat(area, 3), minlength=len(vertices))
    return areas.astype(np.float64)


def align_rigidly(
    people: NDArray[np.float32], target: NDArray[np.floating], weight: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Move each point set onto the target by the rotation and translation of least weighted squares.

    Args:
        people: [B, V, 3] mm.
        target: [V, 3] mm.
        weight: [V] non-negative.

    Returns:
        [B, V, 3] moved point sets; their size is unchanged (Kabsch 1976).
    """
    w = (np.asarray(weight, np.float64) / np.sum(weight)).astype(np.float32)
    goal = np.asarray(target, np.float32)
    centres = np.einsum("v,bvi->bi", w, people)
    goal_centre = w @ goal
    centred = people - centres[:, None]
    covariance = np.einsum("bvi,vj->bij", centred, (goal - goal_centre) * w[:, None], optimize=True)
    u, _, vt = np.linalg.svd(covariance.astype(np.float64))
    vt[:, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.asarray(centred @ (u @ vt).astype(np.float32) + goal_centre, dtype=np.float32)


def expression_spread(names: Sequence[str]) -> NDArray[np.float32]:
    """Standard deviation of each expression weight over plausible expressions.

    An action is active with some probability p and then has a Beta(a, b) strength, so that the weight's
    variance is p (v + m²) - (p m)² with the Beta's mean m and variance v.

    Args:
        names: E names of facial actions.

    Returns:
        [E] float32, in units of the weight.
    """
    spread = []
    for name in names:
        p, a, b = next((value for start, value in _ACTIONS.items() if name.startswith(start)), _OTHER_ACTION)
        m = a / (a + b)
        v = m * (1.0 - m) / (a + b + 1.0)
        spread.append(np.sqrt(p * (v + m * m) - (p * m) ** 2))
    return np.array(spread, dtype=np.float32)
