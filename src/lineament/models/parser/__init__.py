# SPDX-License-Identifier: Apache-2.0
"""Reading a found face: 68 landmarks, their visibility, head pose, and a parse of the crop (ours, of no paper)."""
