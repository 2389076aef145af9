# SPDX-License-Identifier: Apache-2.0
"""Adapters to other people's systems: each has ``load()`` and ``normals(state, image)`` (see `systems.peer_system`)."""
