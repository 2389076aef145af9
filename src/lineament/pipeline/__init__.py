# SPDX-License-Identifier: Apache-2.0
"""From photos to results: the estimator and its options."""
