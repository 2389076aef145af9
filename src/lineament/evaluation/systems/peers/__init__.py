# SPDX-License-Identifier: Apache-2.0
"""Adapters to other people's systems (see `lineament.evaluation.systems.peer.PeerSystem`)."""
