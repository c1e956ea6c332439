"""Canonical text of values that come again and again, such as the claims of a bearer who asks about many resources.

A dict cannot be a key, and equality would be the wrong question: `True == 1 == 1.0`. What Python marshals a value to
can: of the types that R12.7 allows it is told from every other value, and subclasses are refused (so is `Decimal`,
which is encoded each time). The text is made from what the key unmarshals to: a function of the key alone, whatever
another thread does to the value meanwhile.
"""

from __future__ import annotations

import marshal
import sys
from functools import lru_cache
from typing import Any, Final

from bridge.errors import MalformedInput
from bridge.strict_json.encode import encode
from bridge.strict_json.values import RESOURCE_BYTES

_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 4_096
_IS_EXACT: Final = sys.implementation.name == "cpython"  # elsewhere marshal may know more types, or other ones


def encode_repeated(value: Any, *, max_bytes: int = RESOURCE_BYTES, what: str = "") -> bytes:
    """As `encode`; some hundreds of small values, or kilobytes, are remembered.

    Raises:
        MalformedInput: R12.3-R12.7, with a JSON Pointer.
    """
    if _IS_EXACT:
        try:
            key = marshal.dumps(value)
            if len(key) <= _LONGEST_KEPT:
                text = _text(key)
                if len(text) <= max_bytes:
                    return text
        except (ValueError, MalformedInput):  # whatever it is, `encode` finds it, or finds nothing
            pass
    return encode(value, max_bytes=max_bytes, what=what)


@lru_cache(maxsize=_MOST_KEPT)
def _text(key: bytes) -> bytes:
    return encode(marshal.loads(key), max_bytes=sys.maxsize)  # noqa: S302 - never anything but what was marshalled above
