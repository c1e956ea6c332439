"""Canonical text of small plain values, by the standard library's encoder in C.

Most claims and resources are objects of strings, small numbers, true, false and null. For those the C encoder writes
what `encode` would, in two thirds of the time; but it also takes tuples, subclasses, names that are no strings, and
numbers of any form. So each value is looked at first, and what is not plain beyond doubt is left to the encoder proper,
which alone refuses, and says what and where.
"""

from __future__ import annotations

from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined] # the typeshed leaves it out
from typing import Any, Final

SMALL: Final = 10**15
"""An int of a magnitude below it is its own canonical text."""

_MOST_CONTAINERS: Final = 64  # at most as deep as R12.4 allows, then, and no cycle
_MOST_CHARACTERS: Final = 65_536
_LEAST_FRACTION: Final = 0.0001  # Python prints what is smaller with an exponent
_FLAGS: Final = (False, False, False)  # no sorting, no skipping of names, no NaN
_ENCODER: Final[Any] = c_make_encoder and c_make_encoder(None, None, encode_basestring, None, ":", ",", *_FLAGS)


def plain_text(value: object) -> bytes | None:
    """The canonical text of a value that is plain beyond doubt, as UTF-8, or None."""
    if type(value) is str:
        pieces = [encode_basestring(value)]
    elif _ENCODER is not None and type(value) is dict and _is_plain(value):
        pieces = _ENCODER(value, 0)
    else:
        return None
    try:
        return "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:  # an unpaired surrogate
        return None


def _is_plain(value: dict[Any, Any]) -> bool:
    containers: list[Any] = [value]
    characters = 0
    for container in containers:
        items = container
        if type(container) is dict:
            for name in container:
                if type(name) is not str:
                    return False
                characters += len(name)
            items = container.values()
        for item in items:
            kind = type(item)
            if kind is str:
                characters += len(item)
            elif kind is dict or kind is list:
                containers.append(item)
            elif item is not None and kind is not bool and not _is_plain_number(item):
                return False
        characters += len(items)
        if len(containers) > _MOST_CONTAINERS or characters > _MOST_CHARACTERS:
            return False
    return True


def _is_plain_number(value: Any) -> bool:
    if type(value) is int:
        return -SMALL < value < SMALL
    # The repr of such a float has a point and no exponent, ends in no zero, and has at most 17 digits.
    return type(value) is float and _LEAST_FRACTION <= abs(value) < SMALL and not value.is_integer()
