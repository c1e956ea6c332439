"""Cursors: the place where a list goes on.

A cursor grants nothing, so no key signs it: each list decides again, by its own claims. It is bound to what grants:
the policy claim, the resource type and the rules. So no list goes on in another one by mistake, and a renewed token
with the same policy goes on. The list compares a cursor with its own pages. So a forged cursor skips and repeats
nothing: the list refuses it, or lists what is allowed after the id in it.
"""

from __future__ import annotations

import base64
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from bridge.errors import MalformedInputError, UsageError
from bridge.rendering import RuleSet, fingerprint
from bridge.store import is_revision
from bridge.strict_json import RESOURCE_BYTES, encode, parse, parse_canonical, sorted_text

_MOST_BYTES: Final = RESOURCE_BYTES + 256
"""The most bytes of a cursor's JSON: an id is shorter than the largest resource (R12.6)."""

_MOST_CHARACTERS: Final = -(-_MOST_BYTES * 4 // 3)
_HEX: Final = 32


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place where a list goes on.

    Attributes:
        revision: The revision of the resources.
        page: The number of the page that has `last`.
        last: The last id that was listed.
    """

    revision: str
    page: int
    last: str

    def text(self, binding: str) -> str:
        """Return its text: the base64url, without padding, of a JSON array in canonical text.

        Args:
            binding: What it is bound to, from `bound_to`.
        """
        array = encode([self.revision, self.page, self.last, binding], max_bytes=sys.maxsize)
        return base64.urlsafe_b64encode(array).decode("ascii").rstrip("=")

    @classmethod
    def read(cls, text: str, binding: str) -> Cursor:
        """Return the cursor in a text.

        Raises:
            UsageError: It is no cursor, or the cursor of another list.
        """
        if type(text) is not str or len(text) > _MOST_CHARACTERS:
            raise unknown_cursor()
        try:
            value = parse(base64.urlsafe_b64decode(text + "=="))
        except (MalformedInputError, ValueError):
            raise unknown_cursor() from None
        match value:
            case [str(revision), int(page), str(last), str(bound)] if type(page) is int:
                cursor = cls(revision, page, last)
            case _:
                raise unknown_cursor()
        # One place has one text: no spaces, no padding, no `1.0`, nothing that a decoder of base64 ignores.
        if not is_revision(revision) or page < 0 or cursor.text(bound) != text:
            raise unknown_cursor()
        if bound != binding:
            raise UsageError(
                "`after` is the cursor of another list: of another policy claim, resource type or rule set; list from "
                "the beginning"
            )
        return cursor

    def after(self, page: Sequence[str]) -> Sequence[str]:
        """Return the ids on its page that come after it.

        Args:
            page: The allowed ids on its page, in the order of code points.

        Raises:
            UsageError: The page does not have its own id.
        """
        at = bisect_left(page, self.last)
        if at == len(page) or page[at] != self.last:
            raise unknown_cursor()
        return page[at + 1 :]


def bound_to(claims: bytes, type_: bytes, rule_set: RuleSet) -> str:
    """Return what a cursor is bound to: a hash of the policy claim (or that there is none), the type and the rules.

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
    # No canonical text has a line feed, and none is equal to one of the two texts above.
    parts = (fingerprint(rule_set).encode("ascii"), type_, policy)
    return sha256(b"\n".join(parts)).hexdigest()[:_HEX]


def unknown_cursor() -> UsageError:
    """Return the error for a cursor that no list has returned."""
    return UsageError("`after` must be the unchanged `cursor` of an earlier list; or list from the beginning")
