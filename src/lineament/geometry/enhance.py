# SPDX-License-Identifier: Apache-2.0
"""Normal-enhanced geometry: a base mesh whose vertices are moved so that its normals become given fine ones.

Cas-FNE and HFFNE show their normals on base meshes of other methods this way. The positions are those of Nehab,
Rusinkiewicz, Davis and Ramamoorthi ("Efficiently combining positions and normals for precise 3D geometry", SIGGRAPH
2005): every edge shall stand upright on the mean of its ends' fine normals, every vertex shall stay near its place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import cg

from lineament.errors import InputError
from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.geometry.normals import normalize

Floats = NDArray[np.float64]

_ROUNDS = 400  # of blurring normals over a mesh, one after the other


def edges_of(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every edge once, [E, 2], the smaller vertex first."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def enhance(mesh: Mesh, normals: NDArray[np.floating], keep: float = 0.05, base_from: float | None = None) -> Mesh:
    """Move the vertices of a mesh so that its normals become given ones.

    Args:
        mesh: The base: anybody's smooth face, in any unit.
        normals: [V, 3] the wanted normals of its vertices, in the mesh's frame, any length; zero where none is known
            (hidden parts, outside the photo): there the base stays.
        keep: How strongly vertices hold on to their places, relative to the edges' wish to stand upright on the
            normals. Small values follow the normals over wide regions, large ones in fine detail only.
        base_from: Size in the mesh's unit from which on the base is trusted more than the normals, as Nehab et al. do:
            what is smoother than that is taken from the base's own normals. None follows the normals at every size.

    Returns:
        The mesh with moved vertices. Vertices move along the base's normals only, so that the mesh does not fold.

    Raises:
        InputError: Normals of another shape or not finite, ``keep`` or ``base_from`` that is not positive and finite,
            or a base whose numbers are too large or too small to be reckoned with.
    """
    wanted = np.asarray(normals, dtype=np.float64)
    if wanted.shape != mesh.vertices.shape:
        raise InputError(f"normals {wanted.shape} do not belong to {len(mesh.vertices)} vertices")
    if not np.isfinite(wanted).all():
        raise InputError("the wanted normals hold numbers that are not finite; write zero where none is known")
    if not 0 < keep < np.inf or not (base_from is None or 0 < base_from < np.inf):
        raise InputError(f"keep and base_from must be positive and finite, not {keep} and {base_from}")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        vertices = _moved(mesh, wanted, keep, base_from)
    if not np.isfinite(vertices).all():
        raise InputError("the base mesh cannot be enhanced: its numbers are too large or too small to be reckoned with")
    return Mesh(vertices, mesh.triangles, mesh.corner_uv)


def _moved(mesh: Mesh, wanted: Floats, keep: float, base_from: float | None) -> Floats:
    """The vertices where `enhance` puts them; not finite where they are out of the range of numbers."""
    known = np.linalg.norm(wanted, axis=1) > 1e-6
    base = vertex_normals(mesh)
    edges = edges_of(mesh.triangles)
    target = normalize(np.where(known[:, None], wanted, base))
    if base_from is not None:
        length = np.linalg.norm(mesh.vertices[edges[:, 1]] - mesh.vertices[edges[:, 0]], axis=1).mean()
        # Nothing of a mesh is wider than itself; where all of it is one point, nothing is to be blurred.
        used = mesh.vertices[np.unique(edges)]
        size = min(base_from, float(np.linalg.norm(np.ptp(used, axis=0))))
        # A mean over the neighbours is a blur by about 0.8 edges; blurs add up by their squares.
        rounds = (0.5 * size / (0.8 * length)) ** 2 if length > 0 else 1.0
        if not np.isfinite(rounds):
            return np.full_like(base, np.nan)
        target = _with_shape_of(base, target, edges, max(1, round(rounds)))
    offsets = _offsets(mesh, base, target, known, edges, keep)
    return np.asarray(mesh.vertices + base * offsets[:, None])


def _with_shape_of(base: Floats, target: Floats, edges: NDArray[np.int64], rounds: int) -> Floats:
    """The fine normals, turned by the rotation that takes their smooth part to the base's smooth part."""
    count = len(base)
    ones = np.ones(len(edges))
    links = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    links = (links + links.T + sparse.eye(count)).tocsr()
    count_of = np.asarray(links.sum(axis=1)).ravel()
    mean = sparse.diags(1.0 / count_of) @ links
    smooth, smooth_base = target, base
    for _ in range(min(rounds, _ROUNDS)):
        smooth, smooth_base = mean @ smooth, mean @ smooth_base
    if rounds > _ROUNDS:
        # The rounds are steps of diffusion. Those beyond are taken at once, implicitly: as many steps of a solver as
        # the blur is wide, not as its square.
        degree = sparse.diags(count_of)
        step = (degree + (rounds - _ROUNDS) * (degree - links)).tocsr()
        smooth, smooth_base = (
            np.stack([_solved(step, count_of * part, part, rtol=1e-4, maxiter=500) for part in vectors.T], axis=1)
            for vectors in (smooth, smooth_base)
        )
    smooth, smooth_base = normalize(smooth), normalize(smooth_base)
    # Rodrigues' rotation from one unit vector to another, applied to a third.
    axis = np.cross(smooth, smooth_base)
    cosine = (smooth * smooth_base).sum(1, keepdims=True).clip(-0.99, 1.0)
    turned = target + np.cross(axis, target) + np.cross(axis, np.cross(axis, target)) / (1.0 + cosine)
    return normalize(turned)


def _offsets(
    mesh: Mesh, base: Floats, target: Floats, known: NDArray[np.bool_], edges: NDArray[np.int64], keep: float
) -> Floats:
    """How far each vertex moves along the base's normal [V], by least squares."""
    tail, head = edges[:, 0], edges[:, 1]
    heard = known[tail] & known[head]
    tail, head = tail[heard], head[heard]
    edge = mesh.vertices[head] - mesh.vertices[tail]
    # The chord of a curved surface is upright on the mean of its ends' normals, not on either:
    # n · (p_head + o_head b_head - p_tail - o_tail b_tail) = 0.
    upright = normalize(target[tail] + target[head])
    number = np.arange(len(tail))
    values = np.concatenate([(upright * base[head]).sum(1), -(upright * base[tail]).sum(1)])
    places = (np.tile(number, 2), np.concatenate([head, tail]))
    count = len(base)
    system = sparse.coo_matrix((values, places), shape=(len(tail), count)).tocsr()
    wanted = -(upright * edge).sum(1)
    hold = np.where(known, keep, 1e3)
    normal_equations = (system.T @ system + sparse.diags(hold**2)).tocsr()
    return _solved(normal_equations, system.T @ wanted)


def _solved(
    system: sparse.csr_matrix, wanted: Floats, start: Floats | None = None, rtol: float = 1e-6, maxiter: int = 2000
) -> Floats:
    """Conjugate gradients, to a tolerance or as near as a number of steps comes; not numbers where there are none."""
    if not (np.isfinite(system.data).all() and np.isfinite(wanted).all()):
        return np.full_like(wanted, np.nan)
    values, _ = cg(system, wanted, start, rtol=rtol, maxiter=maxiter)
    return np.asarray(values, np.float64)
