# SPDX-License-Identifier: Apache-2.0
"""Reading and writing files safely: bounds, whole writes, names, locks."""
