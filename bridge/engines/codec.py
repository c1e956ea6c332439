"""The entrypoint `answer` of the rules: its input, and what may be believed of its output.

A decision is read from a well-formed answer only: `allow` is a JSON true or false that goes with its reason, the
fingerprint is the rule set's own, the nonce is the question's, and there are exactly as many decisions as requests.
Everything else is a fault.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.decision import NO_BUNDLES, Decision, Reason
from bridge.engines.details import read_failures, read_violations
from bridge.engines.stored_resources import refuse_without_resources, revision_of
from bridge.errors import InvalidResponseError, RulesMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.decision import Request
    from bridge.strict_json import Absent, Value

_MEMBERS: Final = frozenset(("allow", "reason", "violations", "failures"))
_OWN: Final = frozenset(("fingerprint", "nonce", "current"))
_ANSWERED: Final = frozenset(("decisions", "distinct", "resource"))


def input_for(requests: Sequence[Request], *, verifies_tokens: bool = False) -> bytes:
    """The input that asks for all these requests at once, in canonical text.

    Requests about one policy and one resource type are asked together, which is several times cheaper.

    Args:
        requests: One or more.
        verifies_tokens: The rules verify tokens, and take claims only in the form that the bridge alone uses.
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
    """The input that asks for one decision, and for the stored resource it is about."""
    asked = request._replace(claims=None, resource=None, token=None).text
    return (
        asked.removesuffix(b"}")
        + (b"" if asked == b"{}" else b",")
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
    """The decisions in an answer, one for each request in the same order.

    Args:
        answer: What the entrypoint `answer` gave.
        requests: What it was asked.
        fingerprint: The fingerprint that the rules must carry.
        engine: The name of the engine, for the decisions.
        nonce: What went out with the question; None where nothing did.
        decision_id: OPA's id, for the decisions.
        bundles: The revisions of OPA's bundles, for the decisions.

    Raises:
        RulesMismatchError: The rules carry another fingerprint.
        InvalidResponseError: The answer is not what the entrypoint promises, or is the answer to another question.
    """
    found, current = read_own(answer, _ANSWERED, fingerprint=fingerprint, engine=engine, nonce=nonce)
    decisions = found.get("decisions")
    if not isinstance(decisions, list) or len(decisions) != len(requests):
        raise InvalidResponseError(
            f"the {engine} engine did not answer {len(requests)} requests with as many decisions"
        )
    known = [
        revision_of(current, request.type) if request.is_by_id and request.type is not None else None
        for request in requests
    ]
    told = partial(read_decision, engine=engine, decision_id=decision_id, bundles=bundles or NO_BUNDLES)
    try:
        if "distinct" in found:
            read = _numbered(found["distinct"], decisions, known, told)
        else:
            read = [told(value, revision=revision) for value, revision in zip(decisions, known, strict=True)]
    except (ValueError, TypeError) as error:
        raise InvalidResponseError(f"the {engine} engine gave a decision that is none: {error}") from None
    refuse_without_resources(requests, read, engine)
    return read


def read_own(
    answer: Value | Absent, members: frozenset[str], *, fingerprint: str, engine: str, nonce: str | None = None
) -> tuple[dict[str, Value], dict[str, Value]]:
    """An answer of rules that are the rule set's own, to the question that went out with this nonce.

    The fingerprint is compared first: rules of an older release, which know no nonce, are told as what they are.

    Args:
        answer: What the entrypoint gave.
        members: What it may have beside what every answer has.
        fingerprint: The fingerprint that the rules must carry.
        engine: The name of the engine, for errors.
        nonce: What went out with the question; None where nothing did.

    Returns:
        Its members, and what it says is `current`.

    Raises:
        RulesMismatchError: The rules carry another fingerprint.
        InvalidResponseError: The answer is no such object, or is the answer to another question.
    """
    if not isinstance(answer, dict):
        raise InvalidResponseError(f"the {engine} engine's answer is not an object")
    found = answer.get("fingerprint")
    if found != fingerprint:
        shown = f"`{found[:12]}`" if isinstance(found, str) and found.isalnum() else "none"
        raise RulesMismatchError(
            f"the rules of the {engine} engine are not those of this bridge's settings (fingerprint {shown}, here "
            f"`{fingerprint[:12]}`): use the settings that they were rendered for, as `--rule-set FILE` and "
            "`RuleSet.load` do (`--token-rules`, if those verify tokens), or install or build them anew"
        )
    if answer.get("nonce") != nonce:
        raise InvalidResponseError(
            f"the {engine} engine's answer belongs to another question: its nonce is "
            f"{'another one' if 'nonce' in answer else 'missing'}. Look for a proxy or gateway that mixes answers up, "
            "keeps them, or sends some by itself; asking again is safe"
        )
    current = answer.get("current")
    if not isinstance(current, dict) or not answer.keys() <= _OWN | members:
        raise InvalidResponseError(
            f"the {engine} engine's answer has no `current`, or members that such rules do not give"
        )
    return answer, current


def _numbered(
    distinct: Value, numbers: Sequence[Value], revisions: Sequence[str | None], told: Callable[..., Decision]
) -> list[Decision]:
    """The decisions whose numbers among the distinct ones are these; each is built once for a revision."""
    if not isinstance(distinct, list):
        raise TypeError("`distinct` is not an array")
    decisions = {
        revision: [told(value, revision=revision) for value in distinct] for revision in dict.fromkeys(revisions)
    }
    found = []
    for number, revision in zip(numbers, revisions, strict=True):
        if type(number) is not int or not 0 <= number < len(distinct):
            raise ValueError("its number is none of a distinct decision")
        found.append(decisions[revision][number])
    return found


def read_decision(
    value: Value,
    *,
    engine: str,
    decision_id: str | None = None,
    bundles: Mapping[str, str] = NO_BUNDLES,
    revision: str | None = None,
) -> Decision:
    """The decision in a value.

    Raises:
        TypeError: It is none.
        ValueError: It is none, or contradicts itself.
    """
    if not isinstance(value, dict) or not {"allow", "reason"} <= value.keys() <= _MEMBERS:
        raise ValueError("its members are not those of a decision")
    allow, reason = value["allow"], value["reason"]
    if not isinstance(allow, bool) or not isinstance(reason, str):
        raise TypeError("`allow` is not true or false, or `reason` is not a string")
    if reason == Reason.ENGINE_UNAVAILABLE:
        raise ValueError("no rules give this reason")
    return Decision(
        allow=allow,
        reason=Reason(reason),
        violations=read_violations(value["violations"]) if "violations" in value else (),
        failures=read_failures(value["failures"]) if "failures" in value else (),
        engine=engine,
        decision_id=decision_id,
        revision=revision,
        bundles=bundles,
    )
