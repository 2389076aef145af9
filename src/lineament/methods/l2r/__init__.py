# SPDX-License-Identifier: Apache-2.0
"""L2R: faces from degraded photos, restored in 3D."""
