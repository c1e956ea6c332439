"""Queries for documents: the request, the check of the response, and the nonce that ties the two together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from bridge.errors import InvalidResponseError, UsageError
from bridge.http import HttpSettings, Reply
from bridge.opa.opa_errors import status_error
from bridge.opa.paths import data_path
from bridge.opa.replies import QueryReply, json_object
from bridge.opa.version import require
from bridge.strict_json import ABSENT, Value

_NONCE_BYTES: Final = 16
_HEAD: Final = b'{"input":{"nonce":"'


class RulesQuery:
    """The body of a query for the rules, with a new nonce for each attempt; threads may share it.

    The rules' own entrypoints echo `input.nonce`. Without it nothing in a response says which request it belongs to: a
    late response, or one that a proxy made up, would be taken for the response to the next request. A retry has another
    nonce, because the response to the first attempt may still come.

    Args:
        input_: The input, a JSON object in canonical text without a member `nonce`.
    """

    __slots__ = ("_tail",)

    def __init__(self, input_: bytes) -> None:
        self._tail = b'"}}' if input_ == b"{}" else b'",%b}' % input_[1:]

    def fresh(self) -> tuple[bytes, str]:
        """Return the body for one attempt, and its nonce: 128 random bits in hexadecimal, always of the same length."""
        nonce = os.urandom(_NONCE_BYTES).hex()
        return b"".join((_HEAD, nonce.encode("ascii"), self._tail)), nonce


def checked_body(body: bytes | RulesQuery) -> bytes | RulesQuery:
    """Return the body of a request, or raise `UsageError`."""
    if not isinstance(body, (bytes, RulesQuery)):
        raise UsageError("a body must be bytes or a `RulesQuery`: encode a text by `.encode()`")
    return body


def query_target(path: Sequence[str], *, provenance: bool) -> str:
    """Return the target of a query, which is sent by POST; the path is as for `data_path`."""
    return data_path(path, root=True) + ("?provenance=true" if provenance else "")


def query_reply(reply: Reply, target: str, settings: HttpSettings, *, provenance: bool) -> QueryReply:
    """Check the response to a query, and return what it says.

    Raises:
        UnsupportedOpaVersionError: The query asked for provenance, and OPA is older than 1.20.1.
        OpaStatusError: The response has an error status.
        InvalidResponseError: The response breaks OPA's API.
    """
    what = f"POST {target}"
    members = json_object(require_ok(reply, what, settings), what)
    decision_id = members.get("decision_id")
    version: str | None = None
    bundles: dict[str, str] = {}
    if provenance:
        version, bundles = provenance_of(members, what)
        require(version)  # in each response, as the OPA behind an address can be replaced at any time
    return QueryReply(
        members.get("result", ABSENT),
        decision_id if isinstance(decision_id, str) else None,
        version,
        bundles,
        reply.nonce,
    )


def require_ok(reply: Reply, what: str, settings: HttpSettings) -> Reply:
    """Return the response to a read if its status is 200, or raise `status_error`."""
    if reply.status != HTTPStatus.OK:
        raise status_error(reply, what, settings)
    return reply


def provenance_of(members: dict[str, Value], what: str) -> tuple[str, dict[str, str]]:
    """Return OPA's version and the revisions of its bundles, or raise `InvalidResponseError`."""
    provenance = members.get("provenance")
    if not isinstance(provenance, dict) or not isinstance(version := provenance.get("version"), str):
        raise InvalidResponseError(f"`{what}`: the answer does not hold opa's version: is this the url of opa?")
    bundles = provenance.get("bundles")
    if not isinstance(bundles, dict):
        return version, {}
    revisions = {name: bundle.get("revision") for name, bundle in bundles.items() if isinstance(bundle, dict)}
    return version, {name: revision for name, revision in revisions.items() if isinstance(revision, str) and revision}
