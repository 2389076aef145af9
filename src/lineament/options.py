# SPDX-License-Identifier: Apache-2.0
"""Checking the fields of options: frozen dataclasses from which the command line is made.

A dataclass of options names the interval of each of its numbers and calls `check_options` in ``__post_init__``, so that
a value that makes no sense is refused before any work starts, whoever makes the object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
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
    for name, kind in _plain_types(type(options)).items():
        for value in _values(getattr(options, name)):
            _check_type(f"{prefix}{name}", value, kind)
    for name, interval in intervals.items():
        for value in _values(getattr(options, name)):
            check_number(f"{prefix}{name}", value, interval)
    for name, choices in _choices(type(options)).items():
        for value in _values(getattr(options, name)):
            if value not in choices:
                raise UsageError(f"{prefix}{name} must be one of {', '.join(map(str, choices))}, not {value!r}")


def check_number(name: str, value: float, interval: str) -> None:
    """Check one number, as `check_options` does.

    Raises:
        UsageError: It is no number, outside the interval, or not finite.
    """
    _check_type(name, value, float)
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


def _check_type(name: str, value: object, kind: type) -> None:
    """Raise UsageError for a value that is no flag, no whole number or no number, as its type asks for."""
    taken, said = _PLAIN[kind]
    if not isinstance(value, taken) or (kind is not bool and isinstance(value, bool)):
        raise UsageError(f"{name} must be {said}, not {value!r}")


_PLAIN: Mapping[type, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
}


def _plain_types(kind: type) -> dict[str, type]:
    """The fields that are flags or numbers, tuples of them, or either or None."""
    hints = get_type_hints(kind)
    found = {}
    for field in fields(kind):
        for hint in _parts(hints[field.name]):
            if hint in _PLAIN:
                found[field.name] = hint
    return found


def _parts(hint: Any) -> Sequence[Any]:
    """What a type is made of, where it is a union or a tuple of others."""
    if get_origin(hint) in (Union, UnionType, tuple):
        return [part for each in get_args(hint) for part in _parts(each)]
    return [hint]


def _inside(value: float, interval: str) -> bool:
    low, high = (float(bound) for bound in interval[1:-1].split(","))
    above = value > low if interval[0] == "(" else value >= low
    below = value < high if interval[-1] == ")" else value <= high
    return math.isfinite(value) and above and below  # NaN is neither


def _choices(kind: type) -> dict[str, tuple[Any, ...]]:
    """What the fields of type Literal, and tuples of them, take."""
    hints = get_type_hints(kind)
    found: dict[str, tuple[Any, ...]] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if get_origin(hint) is tuple:
            hint = get_args(hint)[0]
        if get_origin(hint) is Literal:
            found[field.name] = get_args(hint)
    return found
