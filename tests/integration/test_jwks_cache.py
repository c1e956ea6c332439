"""Keys behind a URL, from real servers on the loopback interface: when they are fetched, and how long they are kept."""

import json
import os
import threading

import jwt
import pytest
from clocks import Clock
from jwks_server import key_servers, made, unavailable, verifier
from token_making import CLAIMS, NOW, b64, jwk_of, private

from bridge.errors import AlgorithmNotAllowedError, InvalidSignatureError, KeysUnavailableError, UnknownKeyError
from bridge.tokens import JwksUrl, TokenVerifier

SECRET = bytes(range(64))


@pytest.fixture
def serve():
    with key_servers() as start:
        yield start


@pytest.fixture
def clock():
    return Clock()


# --- the cache ----------------------------------------------------------------------------------------------------


def test_keys_are_fetched_when_first_needed_and_then_kept(serve, clock):
    server = serve(jwk_of("rsa", "a"), jwk_of("rsa-other", "b"))
    subject = verifier(JwksUrl(server.url, clock=clock))
    assert server.count == 0
    for _ in range(3):
        assert subject.verify(made("a")) == CLAIMS
        assert subject.verify(made("b", key="rsa-other")) == CLAIMS
        with pytest.raises(InvalidSignatureError):
            subject.verify(made("b"))
    assert server.count == 1
    assert server.requests[0][0] == "/keys.json"


def test_kept_keys_are_fetched_anew_after_their_lifetime(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    subject = verifier(JwksUrl(server.url, lifetime=300, clock=clock))
    assert subject.verify(made()) == CLAIMS
    clock.now += 299.9
    assert subject.verify(made()) == CLAIMS
    assert server.count == 1
    clock.now += 0.1
    assert subject.verify(made()) == CLAIMS
    assert server.count == 2


def test_a_key_that_was_withdrawn_is_not_used_after_the_lifetime(serve, clock):
    server = serve(jwk_of("rsa", "a"), jwk_of("rsa-other", "b"))
    subject = verifier(JwksUrl(server.url, lifetime=300, clock=clock))
    assert subject.verify(made()) == CLAIMS
    del server.keys[0]
    clock.now += 300
    with pytest.raises(UnknownKeyError):
        subject.verify(made())
    assert subject.verify(made("b", key="rsa-other")) == CLAIMS


@pytest.mark.parametrize("cache", [0, 1_024])
def test_tokens_that_were_verified_change_nothing_about_the_fetches(serve, clock, cache):
    """Each step: the seconds until it, the keys that the server has then, and what becomes of the token."""
    a, b = jwk_of("rsa", "a"), jwk_of("rsa-other", "b")
    server = serve(a)
    subject = TokenVerifier(JwksUrl(server.url, lifetime=300, interval=30, clock=clock), clock=lambda: NOW, cache=cache)
    seen = []
    for seconds, keys, kid in [
        (0, [a], "a"),
        (1, [b], "a"),  # kept, so not looked for
        (1, [b], "b"),  # too early
        (30, [b], "b"),  # looked for, and the set with it
        (0, [b], "a"),
        (40, [a, b], "a"),
        (1, [a, b], "b"),
        (299, [b], "b"),
        (1, [b], "a"),
        (40, None, "b"),
        (300, None, "b"),
        (1, [a, b], "b"),
        (30, [a, b], "b"),
        (0, [a, b], "a"),
    ]:
        clock.now += seconds
        server.keys[:] = keys or []
        server.answer = server.answer_with_keys if keys else lambda handler: handler.send_error(500)
        try:
            subject.verify(made(kid, key="rsa" if kid == "a" else "rsa-other"))
        except (UnknownKeyError, KeysUnavailableError) as error:
            seen.append((error.code, server.count))
        else:
            seen.append(("ok", server.count))
    assert seen == [
        ("ok", 1),
        ("ok", 1),
        ("unknown_key", 1),
        ("ok", 2),
        ("unknown_key", 2),
        ("ok", 3),
        ("ok", 3),
        ("ok", 4),
        ("unknown_key", 4),
        ("ok", 4),
        ("keys_unavailable", 5),
        ("keys_unavailable", 5),
        ("ok", 6),
        ("ok", 6),
    ]


def test_an_unknown_kid_is_a_reason_to_fetch_once_more(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    subject = verifier(JwksUrl(server.url, interval=30, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.keys.append(jwk_of("rsa-other", "new"))

    clock.now += 29.9
    with pytest.raises(UnknownKeyError):
        subject.verify(made("new", key="rsa-other"))
    assert server.count == 1
    clock.now += 0.1
    assert subject.verify(made("new", key="rsa-other")) == CLAIMS
    assert server.count == 2


def test_a_flood_of_made_up_kids_is_no_flood_of_fetches(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    source = JwksUrl(server.url, lifetime=10_000, interval=30, clock=clock)
    for number in range(300):
        with pytest.raises(UnknownKeyError):
            source.key_for(f"made up {number}")
        assert source.key_for("a")
        clock.now += 1
    assert server.count == 10


def test_a_flood_during_an_outage_is_no_flood_of_fetches_either(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    server.answer = lambda handler: server.answer_with(handler, b"down", status=503)
    source = JwksUrl(server.url, interval=30, clock=clock)
    for _ in range(90):
        unavailable(source, "status 503")
        clock.now += 1
    assert server.count == 3
    server.answer = server.answer_with_keys
    clock.now += 30
    assert source.key_for("a")
    assert server.count == 4


def test_a_failed_fetch_for_an_unknown_kid_leaves_the_kept_keys_alone(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    source = JwksUrl(server.url, lifetime=300, interval=30, clock=clock)
    assert source.key_for("a")
    server.answer = lambda handler: server.answer_with(handler, b"down", status=500)
    for _ in range(200):
        clock.now += 1
        with pytest.raises(UnknownKeyError):
            source.key_for("made up")
        assert source.key_for("a")
    assert server.count == 1 + 200 // 30
    clock.now += 100
    unavailable(source, "status 500")


def test_tokens_that_cannot_name_a_key_are_no_reason_to_fetch(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    subject = verifier(JwksUrl(server.url, clock=clock))
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        subject.verify(made(None))
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made(alg="PS256"))
    assert server.count == 0


def test_a_key_that_is_refused_is_no_reason_to_fetch(serve, clock):
    server = serve(jwk_of("rsa", "a"), jwk_of("rsa", "encrypts", use="enc"), jwk_of("rsa", "b"), jwk_of("rsa", "b"))
    source = JwksUrl(server.url, lifetime=10_000, clock=clock)
    for _ in range(3):
        with pytest.raises(UnknownKeyError, match="`use`"):
            source.key_for("encrypts")
        with pytest.raises(UnknownKeyError, match="more than one"):
            source.key_for("b")
        clock.now += 100
    assert server.count == 1


def test_secrets_that_a_url_hands_out_are_never_used(serve, clock):
    secret = {"kty": "oct", "k": b64(SECRET), "kid": "s"}
    for keys in ([secret], [secret, jwk_of("rsa", "a")]):
        with pytest.raises(UnknownKeyError, match="is not secret"):
            JwksUrl(serve(*keys).url, clock=clock).key_for("s")
    private_jwk = jwt.algorithms.RSAAlgorithm.to_jwk(private("rsa"), as_dict=True) | {"kid": "p", "key_ops": ["verify"]}
    with pytest.raises(UnknownKeyError, match="private"):
        JwksUrl(serve(private_jwk).url, clock=clock).key_for("p")


def test_a_set_that_mixes_families_lets_no_key_do_anothers_work(serve, clock):
    server = serve(jwk_of("rsa", "r"), jwk_of("P-256", "e"))
    subject = verifier(JwksUrl(server.url, clock=clock), algorithms=("RS256", "ES256"))
    assert subject.verify(made("r")) == CLAIMS
    assert subject.verify(made("e", key="P-256", alg="ES256")) == CLAIMS
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made("r", key="P-256", alg="ES256"))
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made("e"))


def test_an_empty_set_is_an_answer_too(serve, clock):
    server = serve()
    source = JwksUrl(server.url, clock=clock)
    for _ in range(3):
        with pytest.raises(UnknownKeyError):
            source.key_for("a")
    assert server.count == 1


# --- many threads, and forks --------------------------------------------------------------------------------------


def in_threads(count, work):
    results = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, results


def outcome(source, kid):
    try:
        source.key_for(kid)
    except (UnknownKeyError, KeysUnavailableError) as error:
        return error.code
    return "found"


@pytest.mark.parametrize(
    ("status", "kid", "expected"),
    [(200, "a", "found"), (200, "made up", "unknown_key"), (500, "a", "keys_unavailable")],
)
def test_many_threads_share_one_fetch(serve, clock, status, kid, expected):
    server = serve(jwk_of("rsa", "a"))
    body = json.dumps({"keys": server.keys}).encode()
    request_received, go = threading.Event(), threading.Event()

    def answer(handler):
        request_received.set()
        go.wait(60)
        server.answer_with(handler, body, status)

    server.answer = answer
    source = JwksUrl(server.url, deadline=60, clock=clock)
    threads, results = in_threads(20, lambda: outcome(source, kid))
    assert request_received.wait(60)
    assert results == []
    go.set()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20
    assert server.count == 1


def test_threads_whose_key_is_kept_do_not_wait_for_the_fetch_of_another(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    source = JwksUrl(server.url, deadline=60, clock=clock)
    assert source.key_for("a")
    request_received, go = threading.Event(), threading.Event()

    def answer(handler):
        request_received.set()
        go.wait(60)
        server.answer_with_keys(handler)

    server.answer = answer
    clock.now += 30
    threads, results = in_threads(3, lambda: outcome(source, "made up"))
    assert request_received.wait(60)
    assert source.key_for("a")  # would wait for ever: `go` is set below
    assert results == []
    go.set()
    for thread in threads:
        thread.join()
    assert results == ["unknown_key"] * 3
    assert server.count == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 warns of the very case
def test_a_fork_in_the_middle_of_a_fetch_leaves_the_child_able_to_fetch(serve, clock):
    server = serve(jwk_of("rsa", "a"))
    request_received, go = threading.Event(), threading.Event()

    def answer(handler):
        if not request_received.is_set():
            request_received.set()
            go.wait(60)
        server.answer_with_keys(handler)

    server.answer = answer
    source = JwksUrl(server.url, deadline=60, clock=clock)
    threads, results = in_threads(1, lambda: outcome(source, "a"))
    assert request_received.wait(60)
    child = os.fork()  # while the other thread holds the lock
    if child == 0:
        watchdog = threading.Timer(60, os._exit, (9,))
        watchdog.daemon = True
        watchdog.start()
        os._exit(0 if outcome(source, "a") == "found" else 1)
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        go.set()
        threads[0].join()
    assert results == ["found"]
    assert server.count == 2
