# SPDX-License-Identifier: Apache-2.0
"""Inputs that hang and crash, for the test of what watches; a module of its own, so that processes start quickly."""

from __future__ import annotations

import os

from tests.fuzz.verdict import Verdict, judge
from tests.fuzz.watch import Judge


def hanging() -> Judge:
    """Judges number 1 for ever, ends its process at number 2, and answers all others."""

    def enter(number: int) -> Verdict:
        while number == 1:
            pass
        if number == 2:
            os._exit(3)
        return judge(lambda: float(number))

    return enter
