# SPDX-License-Identifier: Apache-2.0
"""What can be measured: methods, peers, stored predictions."""
