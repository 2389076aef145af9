# SPDX-License-Identifier: Apache-2.0
"""What an estimate is: one face's geometry, its surface and albedo, and how it is saved."""
