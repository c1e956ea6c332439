"""The entrypoint `answer` of the rules: encode its input, and read its output.

A decision is read from a well-formed response only: `allow` is a JSON true or false that agrees with the reason, the
fingerprint is the rule set's own, the nonce is the one that was sent, and there are exactly as many decisions as
requests. Everything else is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from bridge.decision import NO_BUNDLES, Decision, Reason, Request
from bridge.engines.decision_codec import read_decision
from bridge.errors import InvalidResponseError, MalformedInputError, RulesMismatchError
from bridge.store.state import CurrentGeneration
from bridge.strict_json import Absent, Value, encode, parse

_OWN: Final = frozenset(("fingerprint", "nonce", "current"))
_ANSWER: Final = frozenset(("decisions", "distinct", "resource"))

_BEFORE: Final = frozenset((Reason.MALFORMED_INPUT, Reason.INVALID_TOKEN, Reason.UNKNOWN_TYPE))
"""The reasons that the rules give before they look for a resource (R1)."""

_NO_RESOURCE: Final = frozenset((Reason.UNKNOWN_RESOURCE, Reason.INVALID_RESOURCE))
"""The reasons that say that there is no resource (R2)."""


def input_for(requests: Sequence[Request], *, verifies_tokens: bool = False) -> bytes:
    """Return the input for all these requests at once, in canonical text.

    If all requests have the same policy and resource type, the input has these once, which is several times cheaper.

    Args:
        requests: One or more.
        verifies_tokens: The rules verify tokens, and accept claims only in the form that the bridge alone uses.
    """
    first = requests[0]
    if verifies_tokens and any(request.token is None for request in requests):
        return _each(requests)
    if len(requests) == 1:
        return first.text
    if any(
        request.claims != first.claims or request.token != first.token or request.type != first.type
        for request in requests
    ):
        return _each(requests)
    if all(request.resource is not None for request in requests):
        return _shared(first, b"resources", [request.resource for request in requests])
    if all(request.resource is None and request.id is not None for request in requests):
        return _shared(first, b"ids", [request.id for request in requests])
    return _each(requests)


def explaining_input(request: Request) -> bytes:
    """Return the input for one decision together with the stored resource that it is about."""
    members = request._replace(claims=None, resource=None, token=None).text
    return (
        members.removesuffix(b"}")
        + (b"" if members == b"{}" else b",")
        + b'"explain":true,"requests":['
        + request.text
        + b"]}"
    )


def _each(requests: Sequence[Request]) -> bytes:
    return b'{"numbered":true,"requests":[' + b",".join([request.text for request in requests]) + b"]}"


def _shared(first: Request, name: bytes, texts: Sequence[bytes | None]) -> bytes:
    members = first._replace(resource=None, id=None).text[1:-1]
    return (
        b'{"numbered":true,'
        + members
        + (b"," if members else b"")
        + b'"'
        + name
        + b'":['
        + b",".join(filter(None, texts))
        + b"]}"
    )


def result_of(reply: bytes) -> Any:
    """Return the one value in a result set of the Wasm build.

    Raises:
        InvalidResponseError: There is none.
    """
    results = parse(reply, what="Wasm answer")
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise InvalidResponseError(
            "the Wasm evaluation gave no result: build the rules again with `jwt-bridge render --wasm`"
        )
    return results[0].get("result")


def read_answer(
    answer: Value,
    requests: Sequence[Request],
    *,
    fingerprint: str,
    engine: str,
    nonce: str | None = None,
    decision_id: str | None = None,
    bundles: Mapping[str, str] | None = None,
) -> list[Decision]:
    """Return the decisions in a response, one for each request in the same order.

    Args:
        answer: The value of the entrypoint `answer`.
        requests: The requests that were sent.
        fingerprint: The fingerprint that the rules must have.
        engine: The name of the engine, for the decisions.
        nonce: The nonce that was sent; None if none was.
        decision_id: OPA's id, for the decisions.
        bundles: The revisions of OPA's bundles, for the decisions.

    Raises:
        RulesMismatchError: The rules have another fingerprint.
        InvalidResponseError: The response is malformed, or belongs to another query.
    """
    members, current = read_own(answer, _ANSWER, fingerprint=fingerprint, engine=engine, nonce=nonce)
    decisions = members.get("decisions")
    if not isinstance(decisions, list) or len(decisions) != len(requests):
        raise InvalidResponseError(
            f"the {engine} engine did not answer {len(requests)} requests with as many decisions: install or build the "
            "rules again"
        )
    revisions = [
        revision_of(current, request.type) if request.is_by_id and request.type is not None else None
        for request in requests
    ]
    read = partial(read_decision, engine=engine, decision_id=decision_id, bundles=bundles or NO_BUNDLES)
    try:
        if "distinct" in members:
            results = _numbered(members["distinct"], decisions, revisions, read)
        else:
            results = [read(value, revision=revision) for value, revision in zip(decisions, revisions, strict=True)]
    except (ValueError, TypeError) as error:
        raise InvalidResponseError(
            f"the {engine} engine gave an invalid decision: {error}; install or build the rules again"
        ) from None
    refuse_without_resources(requests, results, engine)
    return results


def read_own(
    answer: Value | Absent, members: frozenset[str], *, fingerprint: str, engine: str, nonce: str | None = None
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return a response of the rule set's own rules to the query with this nonce.

    The fingerprint is compared first: rules of an older release have no nonce, and the error names the real cause.

    Args:
        answer: The value of the entrypoint.
        members: The members that it may have beside those of every response.
        fingerprint: The fingerprint that the rules must have.
        engine: The name of the engine, for errors.
        nonce: The nonce that was sent; None if none was.

    Returns:
        Its members, and its member `current`.

    Raises:
        RulesMismatchError: The rules have another fingerprint.
        InvalidResponseError: The response is malformed, or belongs to another query.
    """
    if not isinstance(answer, dict):
        raise InvalidResponseError(f"the {engine} engine's answer is not an object: install or build the rules again")
    actual = answer.get("fingerprint")
    if actual != fingerprint:
        shown = f"`{actual[:12]}`" if isinstance(actual, str) and actual.isalnum() else "none"
        raise RulesMismatchError(
            f"the rules of the {engine} engine are not those of this bridge's settings (fingerprint {shown}, here "
            f"`{fingerprint[:12]}`): use the settings that they were rendered for, with `--rule-set FILE` or "
            "`RuleSet.load` (and `--token-rules`, if the rules verify tokens), or run `jwt-bridge install`, or build "
            "the Wasm again"
        )
    if answer.get("nonce") != nonce:
        raise InvalidResponseError(
            f"the {engine} engine's answer belongs to another question: its nonce is "
            f"{'another one' if 'nonce' in answer else 'missing'}. Look for a proxy or gateway that mixes up, caches "
            "or invents answers; it is safe to ask again"
        )
    current = answer.get("current")
    if not isinstance(current, dict) or not answer.keys() <= _OWN | members:
        raise InvalidResponseError(
            f"the {engine} engine's answer has no `current`, or members that the rules do not give: install or build "
            "the rules again"
        )
    return answer, current


def _numbered(
    distinct: Value, numbers: Sequence[Value], revisions: Sequence[str | None], read: Callable[..., Decision]
) -> list[Decision]:
    """Return the distinct decisions with these numbers; each is built once for each revision."""
    if not isinstance(distinct, list):
        raise TypeError("`distinct` is not an array")
    by_revision = {
        revision: [read(value, revision=revision) for value in distinct] for revision in dict.fromkeys(revisions)
    }
    decisions = []
    for number, revision in zip(numbers, revisions, strict=True):
        if type(number) is not int or not 0 <= number < len(distinct):
            raise ValueError("there is no distinct decision with its number")
        decisions.append(by_revision[revision][number])
    return decisions


def revision_of(current: Mapping[str, Value], type_: bytes) -> str | None:
    """Return the revision of a type's resources; None without a push, or if the rules do not know the layout.

    Args:
        current: The current generations in a response, by resource type.
        type_: The resource type, in canonical text.

    Raises:
        InvalidResponseError: No push writes such a generation.
    """
    name = type_.decode("utf-8")[1:-1]  # a known type needs no escapes
    if name not in current:
        return None
    generation = current[name]
    if isinstance(generation, dict) and generation.keys() == {"layout"}:
        return None
    try:
        return CurrentGeneration.read(generation).revision
    except InvalidResponseError as error:
        raise InvalidResponseError(f"`{name}`: {error}") from None


def refuse_without_resources(requests: Sequence[Request], decisions: Sequence[Decision], engine: str) -> None:
    """Refuse a decision by id about a resource if, by the same response, no resources are stored.

    Raises:
        InvalidResponseError: There is such a decision.
    """
    for request, decision in zip(requests, decisions, strict=True):
        if (
            request.is_by_id
            and decision.revision is None
            and decision.reason is not Reason.UNKNOWN_RESOURCE
            and decision.reason not in _BEFORE
        ):
            raise InvalidResponseError(
                f"the {engine} engine decided `{decision.reason}` by id, and says that no resources are stored: push "
                "the resources again"
            )


def explained_resource(answer: Mapping[str, Value], request: Request, decision: Decision, engine: str) -> bytes | None:
    """Return the stored resource that a decision is about, in canonical text; None if it is about none.

    Raises:
        InvalidResponseError: The decision must have a resource and has none, or has one and must have none, or no push
            would have stored this one.
    """
    is_there = "resource" in answer
    may_be = request.is_by_id and decision.reason not in _NO_RESOURCE
    must_be = may_be and decision.reason not in _BEFORE
    if is_there > may_be or is_there < must_be:
        raise InvalidResponseError(
            f"the {engine} engine {'gave a stored' if is_there else 'gave no'} resource to a decision with the reason "
            f"`{decision.reason}`: install or build the rules again"
        )
    if not is_there:
        return None
    try:
        return encode(answer["resource"], what="stored resource")
    except MalformedInputError as error:
        raise InvalidResponseError(
            f"a bridge never pushed the resource that the {engine} engine has under this id: {error}; push the "
            "resources again"
        ) from None
