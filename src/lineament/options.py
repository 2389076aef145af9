# SPDX-License-Identifier: Apache-2.0
"""Checking the fields of options: frozen dataclasses from which the command line is made.

A dataclass of options names the interval of each of its numbers and calls `check_options` in ``__post_init__``, so that
a value that makes no sense is refused before any work starts, whoever makes the object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lineament.errors import UsageError

COUNT = "[1, 1000000000]"
"""The interval of what there must be at least one of."""
SEED = "[0, 4294967295]"
"""The interval of seeds: what every generator of random numbers takes."""


def check_options(options: Any, intervals: Mapping[str, str], prefix: str = "") -> None:
    """Check numbers and flags against their types, numbers against their intervals, choices against what may be chosen.

    Args:
        options: A dataclass's object.
        intervals: By name of the field, in the mathematical notation: ``"[0, 1)"`` takes 0 and does not take 1;
            ``"(0, inf)"`` takes every finite number above 0. None and the values of tuples are checked one by one.
        prefix: Of the names in messages, where the options are part of others.

    Raises:
        UsageError: The first field that is wrong, with what it takes.
    """
    for name, hint in _hints(options.__class__).items():
        _check_field(f"{prefix}{name}", getattr(options, name), hint)
    for name, interval in intervals.items():
        for value in _values(getattr(options, name)):
            check_number(f"{prefix}{name}", value, interval)


def check_number(name: str, value: float, interval: str, whole: bool = False) -> None:
    """Check one number, as `check_options` does.

    Args:
        name: What to call it.
        value: The number.
        interval: What it may be.
        whole: Whether it must be a whole one.

    Raises:
        UsageError: It is no number, outside the interval, or not finite.
    """
    _check_type(name, value, int if whole else float)
    if not _inside(value, interval):
        raise UsageError(f"{name} must be in {interval}, not {value}")


def check_multiple(name: str, value: int, of: int) -> None:
    """Check a whole number that a network divides again and again.

    Raises:
        UsageError: It is no multiple.
    """
    if value % of:
        raise UsageError(f"{name} must be a multiple of {of}, not {value}")


def _values(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _check_field(name: str, value: object, hint: Any) -> None:
    """Check a field against its type as far as that is made of flags, numbers, choices, None and tuples of them."""
    several = get_origin(hint) in (Union, UnionType)
    parts = get_args(hint) if several else (hint,)
    if value is None and type(None) in parts:
        return
    for part in parts:
        if part in _PLAIN:
            _check_type(name, value, part)
        elif get_origin(part) is Literal:
            choices = get_args(part)
            if not isinstance(value, str | int) or value not in choices:
                raise UsageError(f"{name} must be one of {', '.join(map(str, choices))}, not {value!r:.80}")
        elif get_origin(part) is tuple and isinstance(value, tuple):
            for each in value:
                _check_field(name, each, get_args(part)[0])


def _check_type(name: str, value: object, kind: type) -> None:
    """Raise UsageError for a value that is no flag, no whole number or no number, as its type asks for."""
    taken, said = _PLAIN[kind]
    if not isinstance(value, taken) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"{name} must be {said}, not {value!r:.80}")


_PLAIN: Mapping[Any, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
}


def _inside(value: float, interval: str) -> bool:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value > low if interval[0] == "(" else value >= low
    below = value < high if interval[-1] == ")" else value <= high
    return math.isfinite(value) and above and below  # NaN is neither


@cache
def _hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
