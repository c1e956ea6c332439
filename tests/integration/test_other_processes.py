"""What is handed to a process that is spawned: settings, answers and errors arrive as they are, all else is refused."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING

import jwt
import pytest
import spawned_worker
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge import (
    Decision,
    ExpiredTokenError,
    Explanation,
    Failure,
    JwkSet,
    JwksFile,
    JwksUrl,
    Listing,
    OpaClient,
    OpaEngine,
    PolicyBridge,
    PolicySettings,
    PushReport,
    Reason,
    ReferenceEngine,
    RuleSet,
    StaticKey,
    TokenChecks,
    TokenVerifier,
    UsageError,
    Violation,
    WasmEngine,
    errors,
)
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.decision import NO_BUNDLES, PartialResultError
from bridge.errors import BridgeError, EngineUnreachableError, MalformedInputError, OpaStatusError, PushRejectedError
from bridge.explanation import ExplainedFailure
from bridge.opa import ManagedOpa
from bridge.store import ChangeReport, IntegrityReport, RejectedResource, SyncReport, from_objects
from bridge.strict_json import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"an HMAC secret, for tests only.."
TOKEN = "b3arer-of-secrets"
JWK = {"kty": "oct", "kid": "k", "k": "YW4gSE1BQyBzZWNyZXQsIGZvciB0ZXN0cyBvbmx5Li4"}
PEM = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
URL = "http://127.0.0.1:1"

DENIED = Decision(
    allow=False,
    reason=Reason.CONSTRAINT_FAILED,
    failures=(Failure("/custom_data/n", "missing"), Failure("/id", "different")),
    engine="opa",
    decision_id="4ca6",
    revision="17",
    bundles={"main": "r1"},
    error=None,
)
VALUES = {
    "rule set": RuleSet(),
    "rule set of one's own": RuleSet(
        PolicySettings(claim="https://example.com/policy", types=("agents", "devices"), require_policy=True),
        package_root="acme.rules",
        data_root="acme_data",
        token=TokenChecks(PEM, algorithms=("EdDSA",), audience=("a", "b"), issuer="i", required=("sub",)),
    ),
    "decision": Decision(allow=True, reason=Reason.MATCHED, engine="wasm"),
    "denial": DENIED,
    "invalid": Decision(
        allow=False, reason=Reason.INVALID_POLICY, violations=(Violation("/version", "version_missing"),)
    ),
    "unavailable": Decision(allow=False, reason=Reason.ENGINE_UNAVAILABLE, error="no\nconnection \U0001f600"),
    "explanation": Explanation(
        DENIED, (ExplainedFailure(DENIED.failures[0], Decimal("1.5"), ABSENT),), {"id": "d", "n": [None, True, 2**99]}
    ),
    "explanation of nothing": Explanation(DENIED, (), ABSENT),
    "list": Listing(("a", "\U00020000"), complete=False, cursor="c", revision="17"),
    "list of nothing": Listing((), complete=True, decision=DENIED),
    "push": PushReport("devices", 3, 2, 1, 0, 0, (RejectedResource("line 7", "no object"),), "17"),
    "change": ChangeReport(1, 2, 3, 4, 5, "17"),
    "sync": SyncReport(
        "devices", 1, 1, 0, 0, 1, generation=False, rejected=(RejectedResource("item 1", "why"),), revision=None
    ),
    "refusal": RejectedResource("line 1", "why"),
    "count": IntegrityReport(("one", "two"), 3, "17"),
    "collected": from_objects([{"id": "a", "custom_data": {"n": 1}}, {"id": ""}]),
    "reason": Reason.POLICY_REQUIRED,
    "absent": ABSENT,
}


def an_error(kind: type[BridgeError]) -> BridgeError:
    if kind is MalformedInputError:
        return kind("why", rule="R12.2", what="claims", line=2, column=3)
    if kind is OpaStatusError:
        return kind("why", status=400, opa_code="invalid", opa_message="no")
    if kind is PartialResultError:
        return kind(EngineUnreachableError("why"), (DENIED, None, VALUES["decision"]))
    return kind("why", (RejectedResource("line 1", "no"),)) if kind is PushRejectedError else kind("why")


def kinds(base: type[BridgeError]) -> list[type[BridgeError]]:
    """All of the tree in `bridge.errors`, with the error that holds decisions."""
    all_kinds = [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]
    return [kind for kind in dict.fromkeys(all_kinds) if kind.__module__ in (errors.__name__, "bridge.decision")]


def same(error: BridgeError, other: BaseException | None) -> bool:
    """Whether an error has all that another one has; errors are equal to themselves alone."""
    described = [(type(one), str(one), _plain(vars(one))) for one in (error, other)]
    return described[0] == described[1]


def _plain(value: object) -> object:
    if isinstance(value, BaseException):
        return type(value), str(value), _plain(vars(value))
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, dict) else value


COPIES = {
    "pickle": lambda one: pickle.loads(pickle.dumps(one)),
    "old pickle": lambda one: pickle.loads(pickle.dumps(one, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def bound(start_opa, tmp_path) -> dict[str, object]:
    """All that belongs to its process, each with a secret where it takes one."""
    client, awaiting = OpaClient(URL, token=TOKEN), AsyncOpaClient(URL, token=TOKEN)
    engines = OpaEngine(client, sources={"devices": list}), WasmEngine(), ReferenceEngine()
    awaited = AsyncOpaEngine(awaiting)
    verifier = TokenVerifier(StaticKey.from_secret(SECRET), algorithms=("HS256",))
    return {
        "OpaClient": client,
        "AsyncOpaClient": awaiting,
        "OpaEngine": engines[0],
        "WasmEngine": engines[1],
        "ReferenceEngine": engines[2],
        "AsyncOpaEngine": awaited,
        "OpaStore": engines[0].store,
        "MemoryStore": engines[1].store,
        "PolicyBridge": PolicyBridge(engines[2], verifier=verifier),
        "AsyncPolicyBridge": AsyncPolicyBridge(awaited, verifier=verifier),
        "TokenVerifier": verifier,
        "StaticKey": verifier.source,
        "VerificationKey": verifier.source.key,
        "JwkSet": JwkSet({"keys": [JWK]}),
        "JwksFile": JwksFile(tmp_path / "keys.json"),
        "JwksUrl": JwksUrl("https://127.0.0.1:1/keys"),
        "ManagedOpa": start_opa(),
    }


@pytest.fixture(scope="module")
def everything(start_opa, tmp_path_factory) -> dict[str, object]:
    return bound(start_opa, tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """One worker, spawned, with a bridge of its own."""
    settings = RuleSet(PolicySettings(require_policy=True))
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), initializer=spawned_worker.begin, initargs=(settings, SECRET)
    ) as executor:
        yield executor


REFUSED = r"`{}` belongs to the process .* make one in each process, for instance in the initializer of a process pool"


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_what_belongs_to_a_process_is_neither_pickled_nor_copied(everything, copied):
    for name, one in everything.items():
        for held in (one, [one], {"a": one}):
            if copied is copy.copy and held is not one:
                continue  # which copies the list alone
            with pytest.raises(UsageError, match=REFUSED.format(name)) as refused:
                copied(held)
            assert TOKEN not in str(refused.value)
            assert SECRET.decode() not in str(refused.value)


def test_a_class_made_from_one_is_refused_under_its_own_name():
    class Mine(ReferenceEngine):
        """With state of its own."""

    with pytest.raises(UsageError, match=REFUSED.format("Mine")):
        pickle.dumps(Mine())
    assert ManagedOpa.__reduce_ex__ is not object.__reduce_ex__


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", VALUES)
def test_settings_and_answers_come_back_equal(copied, name):
    value = VALUES[name]
    again = copied(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value)
    if isinstance(value, Decision) and not value.bundles:
        assert again.bundles is NO_BUNDLES
    if name == "collected":
        assert again.resources.postings == value.resources.postings


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_absent_stays_what_it_is(copied):
    assert copied(ABSENT) is ABSENT
    assert copied(VALUES["explanation of nothing"]).resource is ABSENT
    assert copied(VALUES["explanation"]).failures[0].actual is ABSENT


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("kind", kinds(BridgeError), ids=lambda kind: kind.__name__)
def test_every_error_comes_back_with_all_that_it_has(copied, kind):
    error = an_error(kind)
    error.add_note("while a test ran")
    assert same(error, copied(error))


def test_a_spawned_worker_gets_and_gives_what_it_should(pool):
    for value in VALUES.values():
        again, is_absent = pool.submit(spawned_worker.sent_back, value).result(60)
        assert again == value
        assert is_absent is (value is ABSENT)
    for kind in kinds(BridgeError):
        error = an_error(kind)
        assert same(error, pool.submit(spawned_worker.thrown_back, error).exception(60))


def test_a_spawned_worker_decides_with_a_bridge_of_its_own(pool):
    claims = {"exp": 2**40, "policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    decisions = [pool.submit(spawned_worker.check, token, id_).result(60) for id_ in ("d1", "d2", "d3")]
    assert [decision.reason for decision in decisions] == ["matched", "constraint_failed", "unknown_resource"]
    assert decisions[1].failures == (Failure("/custom_data/n", "missing"),)
    explained = pool.submit(spawned_worker.explain, token, "d2").result(60)
    assert explained.failures == (ExplainedFailure(Failure("/custom_data/n", "missing"), 1, ABSENT),)
    assert explained.failures[0].actual is ABSENT
    late = jwt.encode({**claims, "exp": 1}, SECRET, algorithm="HS256")
    assert isinstance(pool.submit(spawned_worker.check, late, "d1").exception(60), ExpiredTokenError)
    # The settings that it was begun with.
    bare = jwt.encode({"exp": 2**40}, SECRET, algorithm="HS256")
    assert pool.submit(spawned_worker.check, bare, "d1").result(60).reason is Reason.POLICY_REQUIRED


def test_a_spawned_worker_cannot_be_given_a_bridge(pool, everything):
    for name in ("PolicyBridge", "WasmEngine", "OpaEngine", "TokenVerifier"):
        sent = pool.submit(spawned_worker.sent_back, everything[name])
        assert isinstance(sent.exception(60), UsageError), name
    method = pool.submit(everything["PolicyBridge"].check, {}, "devices", "d1")
    assert "make one in each process" in str(method.exception(60))
    process = multiprocessing.get_context("spawn").Process(
        target=spawned_worker.begun_with, args=(everything["PolicyBridge"],)
    )
    with pytest.raises(UsageError, match=REFUSED.format("PolicyBridge")):
        process.start()
    # The pool is none the worse for it.
    assert pool.submit(spawned_worker.sent_back, 1).result(60) == (1, False)
