"""Base64url without padding (RFC 7515, section 2), exactly.

The standard library's decoder skips foreign characters and ignores unused bits, so that one signature would have many
spellings, and a token that was revoked or logged by its text could come back under another one.
"""

from __future__ import annotations

import base64
import re
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9_-]*")


class Base64urlError(ValueError):
    """A text that is no exact base64url; the message is the cause."""


def decode(text: str) -> bytes:
    """The bytes that `text` is the one spelling of.

    Raises:
        Base64urlError: A character outside the alphabet (padding too), a length that no bytes have, or unused bits that
            are not zero.
    """
    if not _ALPHABET.fullmatch(text):
        raise Base64urlError(f"a character that base64url does not have{_why(text)}")
    if len(text) % 4 == 1:
        raise Base64urlError("a length that base64url never has; is something cut off?")
    data = base64.urlsafe_b64decode(text + "==")
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii") != text:
        raise Base64urlError("unused bits at the end that are not zero; is something cut off or changed?")
    return data


def _why(text: str) -> str:
    """What is told of a foreign character; no more, for the text may be a secret."""
    if "+" in text or "/" in text:
        return ": `+` and `/` are of standard base64, and base64url has `-` and `_` in their place"
    if text.endswith("="):
        return ": `=` is padding, take it off"
    if not text.isascii():
        return ", for it is not ASCII; was something copied along?"
    return ""
