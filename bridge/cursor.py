"""Cursors: where a list goes on.

A cursor grants nothing, so no key signs it: each list decides anew, by the claims that it is given. It is bound to
what grants, which is the policy claim, the resource type and the rules, so that no list goes on in another one by
mistake; a token that was renewed has the same policy, and goes on. What a cursor says is compared with what is there,
so that a forged one skips and repeats nothing: it is refused, or lists what is allowed behind the id that it names.
"""

from __future__ import annotations

import base64
import sys
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from bridge.errors import MalformedInputError, UsageError
from bridge.rendering import fingerprint
from bridge.store import is_revision
from bridge.strict_json import RESOURCE_BYTES, encode, parse, parse_canonical, sorted_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.rendering import RuleSet

_MOST_BYTES: Final = RESOURCE_BYTES + 256
"""Of a cursor's JSON that is read: an id is shorter than its resource may be (R12.6)."""

_MOST_CHARACTERS: Final = -(-_MOST_BYTES * 4 // 3)
_HEX: Final = 32


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a list goes on.

    Attributes:
        revision: The revision of the resources.
        page: The number of the page that `last` stands on.
        last: The last id that was listed.
    """

    revision: str
    page: int
    last: str

    def written(self, about: str) -> str:
        """Its text: base64url without padding of a JSON array, in the one way that there is to write it.

        Args:
            about: What it is bound to, as `bound_to` gives it.
        """
        text = encode([self.revision, self.page, self.last, about], max_bytes=sys.maxsize)
        return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")

    @classmethod
    def read(cls, text: str, about: str) -> Cursor:
        """The cursor in a text.

        Raises:
            UsageError: It is no cursor, or that of another list.
        """
        if type(text) is not str or len(text) > _MOST_CHARACTERS:
            raise never_given()
        try:
            value = parse(base64.urlsafe_b64decode(text + "=="))
        except (MalformedInputError, ValueError):
            raise never_given() from None
        match value:
            case [str(revision), int(page), str(last), str(other)] if type(page) is int:
                cursor = cls(revision, page, last)
            case _:
                raise never_given()
        # One place has one text: no spaces, no padding, no `1.0`, nothing that a decoder of base64 passes over.
        if not is_revision(revision) or page < 0 or cursor.written(other) != text:
            raise never_given()
        if other != about:
            raise UsageError(
                "`after` is the cursor of another list: of another policy claim, resource type or rule set; list from "
                "the beginning"
            )
        return cursor

    def behind(self, page: Sequence[str]) -> Sequence[str]:
        """The ids behind it, of those on its page.

        Args:
            page: The allowed ids on its page, in the order of code points.

        Raises:
            UsageError: Its own is none of them.
        """
        at = bisect_left(page, self.last)
        if at == len(page) or page[at] != self.last:
            raise never_given()
        return page[at + 1 :]


def bound_to(claims: bytes, type_: bytes, rule_set: RuleSet) -> str:
    """What a cursor is bound to, and what grants: the policy claim, or that there is none; the type; the rules.

    Args:
        claims: The claims, in canonical text.
        type_: The resource type, in canonical text.
        rule_set: The settings that the engine decides by.
    """
    value, name = parse_canonical(claims), rule_set.policy.claim
    if not isinstance(value, dict):
        policy = b"no claims"
    elif name not in value:
        policy = b"no policy"
    else:
        policy = sorted_text(value[name])
    # No JSON text has a line feed of its own, and none is like the two above.
    parts = (fingerprint(rule_set).encode("ascii"), type_, policy)
    return sha256(b"\n".join(parts)).hexdigest()[:_HEX]


def never_given() -> UsageError:
    """The error for a cursor that no list has given."""
    return UsageError("`after` must be the `cursor` of an earlier list, as it was given; or list from the beginning")
