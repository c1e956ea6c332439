"""Queries for documents: how they are asked, and what may be believed of their answers; others carry them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from bridge.errors import InvalidResponseError, UsageError
from bridge.opa.paths import data_path
from bridge.opa.question import RulesQuery
from bridge.opa.refusal import refusal
from bridge.opa.replies import QueryReply
from bridge.opa.version import require
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.http import HttpSettings
    from bridge.opa.answer import Answer
    from bridge.strict_json import Value


class Queries:
    """Queries to one OPA.

    Args:
        settings: Of the client, for its errors.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings

    def target(self, path: Sequence[str], *, provenance: bool) -> str:
        """Path and query of a question, which goes by POST.

        Raises:
            UsageError: The path is none.
        """
        return data_path(path, root=True) + ("?provenance=true" if provenance else "")

    def reply(self, answer: Answer, target: str, *, provenance: bool) -> QueryReply:
        """What an answer says.

        Raises:
            UnsupportedOpaVersionError: Provenance was asked for, and OPA is older than 1.20.1.
            OpaStatusError: It has an error status.
            InvalidResponseError: It is not what OPA's API promises.
        """
        what = f"POST {target}"
        members = read(answer, what, self._settings).members(what)
        decision_id = members.get("decision_id")
        version, bundles = _accepted_provenance(members, what) if provenance else (None, {})
        return QueryReply(
            members.get("result", ABSENT),
            decision_id if isinstance(decision_id, str) else None,
            version,
            bundles,
            answer.nonce,
        )


def read(answer: Answer, what: str, settings: HttpSettings) -> Answer:
    """The answer to a read, if its status is the one that OPA promises.

    Raises:
        OpaStatusError: It has an error status.
        InvalidResponseError: It has another one.
    """
    if answer.status != HTTPStatus.OK:
        raise refusal(answer, what, settings)
    return answer


def sendable(body: bytes | RulesQuery | None) -> bytes | RulesQuery | None:
    """The body.

    Raises:
        UsageError: It is neither bytes nor a question.
    """
    if body is not None and not isinstance(body, (bytes, RulesQuery)):
        raise UsageError("a body must be bytes")
    return body


def provenance_of(members: dict[str, Value], what: str) -> tuple[str, dict[str, str]]:
    """The version and the bundles' revisions of an answer that was asked for its provenance.

    Raises:
        InvalidResponseError: It does not say.
    """
    provenance = members.get("provenance")
    if not isinstance(provenance, dict) or not isinstance(version := provenance.get("version"), str):
        raise InvalidResponseError(f"`{what}`: the answer does not say which opa it is from, if any")
    bundles = provenance.get("bundles")
    if not isinstance(bundles, dict):
        return version, {}
    revisions = {name: bundle.get("revision") for name, bundle in bundles.items() if isinstance(bundle, dict)}
    return version, {name: revision for name, revision in revisions.items() if isinstance(revision, str) and revision}


def _accepted_provenance(members: dict[str, Value], what: str) -> tuple[str, dict[str, str]]:
    version, bundles = provenance_of(members, what)
    require(version)  # of each answer: the OPA behind an address can be replaced at any time
    return version, bundles
