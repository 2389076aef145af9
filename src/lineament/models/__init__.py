# SPDX-License-Identifier: Apache-2.0
"""The helper networks, a folder each: detector, parser, albedo, features."""
