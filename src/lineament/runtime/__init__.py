# SPDX-License-Identifier: Apache-2.0
"""The engine for estimation: ONNX export (needs torch) and the session that runs it (does not)."""
