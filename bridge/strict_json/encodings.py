"""Bytes that are no UTF-8 text, recognised by how they begin."""

from __future__ import annotations

import re
from typing import Final

_UTF_16: Final = "it is UTF-16, not UTF-8: save it as UTF-8"
_WITHOUT_MARK: Final = re.compile(rb"(?:[\t\n\r -~]\0){2}|(?:\0[\t\n\r -~]){2}")
_BEGINNINGS: Final = (
    (b"\xef\xbb\xbf", "it begins with a byte order mark: save it as UTF-8 without one"),
    (b"\xff\xfe", _UTF_16),
    (b"\xfe\xff", _UTF_16),
    (b"\x1f\x8b", "it is compressed (gzip): decompress it first"),
    (b"\x28\xb5\x2f\xfd", "it is compressed (zstd): decompress it first"),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
)


def encoding_fault(data: bytes) -> str:
    """Why bytes are no plain UTF-8 text, with the remedy; empty where no reason is recognised.

    A reason is a guess for an error text: nothing is refused by it alone.
    """
    for beginning, fault in _BEGINNINGS:
        if data.startswith(beginning):
            return fault
    return _UTF_16 if _WITHOUT_MARK.match(data) else ""
