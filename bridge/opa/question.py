"""The body of a query with room for a nonce, by which its answer is told from the answer to any other."""

from __future__ import annotations

import os
from typing import Final

_BYTES: Final = 16
_HEAD: Final = b'{"input":{"nonce":"'


class RulesQuery:
    """An input that goes out with a nonce of its own at each attempt; threads may share it.

    The rules' own entrypoints echo `input.nonce`. Without it nothing in an answer says which question it is about:
    one that comes late, or that nobody asked for, would be believed by whoever reads the connection next. An attempt
    that is repeated is another question, for the answer to the first attempt may still come.

    Args:
        input_: The input, a JSON object in canonical text without a member `nonce`.
    """

    __slots__ = ("_tail",)

    def __init__(self, input_: bytes) -> None:
        self._tail = b'"}}' if input_ == b"{}" else b'",%b}' % input_[1:]

    def fresh(self) -> tuple[bytes, str]:
        """The body for one attempt, and the nonce in it: 128 random bits, written in hex, so always as long."""
        nonce = os.urandom(_BYTES).hex()
        return b"".join((_HEAD, nonce.encode("ascii"), self._tail)), nonce


def may_answer(answer: bytes, nonce: str | None) -> bool:
    """Whether an answer may be the one to the question that went out with a nonce; any may be, where none went out.

    No more than a hint on whether the connection is in step: what the rules echo is compared where it is read.
    """
    return nonce is None or b'"%b"' % nonce.encode("ascii") in answer
