"""Keys behind a URL, against real servers on the loopback interface.

The clock that the cache goes by is the test's own, so nothing here waits for a lifetime to end.
"""

import base64
import contextlib
import functools
import ipaddress
import json
import os
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ports import reserved_port

from bridge.errors import AlgorithmNotAllowedError, InvalidSignatureError, KeysUnavailableError, UnknownKeyError
from bridge.tokens import JwksUrl, TokenVerifier

NOW = 1_700_000_000
CLAIMS = {"sub": "agent@example.com", "exp": NOW + 60}
SECRET = bytes(range(64))


# --- making keys and tokens ---------------------------------------------------------------------------------------


@functools.cache
def private(name):
    return rsa.generate_private_key(65537, 2048) if name.startswith("rsa") else ec.generate_private_key(ec.SECP256R1())


def jwk(name, kid, **more):
    maker = jwt.algorithms.RSAAlgorithm if name.startswith("rsa") else jwt.algorithms.ECAlgorithm
    made = maker.to_jwk(private(name).public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": kid, **more}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def made(kid="a", *, key="rsa", alg="RS256"):
    header = {"alg": alg} if kid is None else {"alg": alg, "kid": kid}
    message = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    signer = jwt.algorithms.get_default_algorithms()[alg]
    return f"{message}.{b64(signer.sign(message.encode(), key if isinstance(key, bytes) else private(key)))}"


# --- servers ------------------------------------------------------------------------------------------------------


class Clock:
    """A clock that only the test moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class KeyServer:
    """A key server: counts what is asked of it, answers as the test says, and can go away and come back."""

    def __init__(self, *keys, tls=None):
        self.keys = list(keys)
        self.requests = []
        self.answer = self.answer_with_keys
        self.tls = tls
        self.port = 0
        self.start()

    def start(self):
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                owner.requests.append((self.path, dict(self.headers)))
                with contextlib.suppress(OSError):
                    owner.answer(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
            self.server = None

    @property
    def url(self):
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/keys.json"

    @property
    def count(self):
        return len(self.requests)

    def answer_with_keys(self, handler):
        self.answer_with(handler, json.dumps({"keys": self.keys}).encode())

    @staticmethod
    def answer_with(handler, body, status=200, **headers):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def serve():
    servers = []

    def start(*keys, tls=None):
        servers.append(KeyServer(*keys, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def clock():
    return Clock()


def verifier(source, **settings):
    return TokenVerifier(source, clock=lambda: NOW, **settings)


def unavailable(source, match):
    with pytest.raises(KeysUnavailableError, match=match) as raised:
        source.key_for("a")
    assert raised.value.code == "keys_unavailable"


# --- the cache ----------------------------------------------------------------------------------------------------


def test_keys_are_fetched_when_first_needed_and_then_kept(serve, clock):
    server = serve(jwk("rsa", "a"), jwk("rsa-other", "b"))
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
    server = serve(jwk("rsa", "a"))
    subject = verifier(JwksUrl(server.url, lifetime=300, clock=clock))
    assert subject.verify(made()) == CLAIMS
    clock.now += 299.9
    assert subject.verify(made()) == CLAIMS
    assert server.count == 1
    clock.now += 0.1
    assert subject.verify(made()) == CLAIMS
    assert server.count == 2


def test_a_key_that_was_withdrawn_is_not_used_after_the_lifetime(serve, clock):
    server = serve(jwk("rsa", "a"), jwk("rsa-other", "b"))
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
    a, b = jwk("rsa", "a"), jwk("rsa-other", "b")
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
    server = serve(jwk("rsa", "a"))
    subject = verifier(JwksUrl(server.url, interval=30, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.keys.append(jwk("rsa-other", "new"))

    clock.now += 29.9
    with pytest.raises(UnknownKeyError):
        subject.verify(made("new", key="rsa-other"))
    assert server.count == 1
    clock.now += 0.1
    assert subject.verify(made("new", key="rsa-other")) == CLAIMS
    assert server.count == 2


def test_a_flood_of_made_up_kids_is_no_flood_of_fetches(serve, clock):
    server = serve(jwk("rsa", "a"))
    source = JwksUrl(server.url, lifetime=10_000, interval=30, clock=clock)
    for number in range(300):
        with pytest.raises(UnknownKeyError):
            source.key_for(f"made up {number}")
        assert source.key_for("a")
        clock.now += 1
    assert server.count == 10


def test_a_flood_during_an_outage_is_no_flood_of_fetches_either(serve, clock):
    server = serve(jwk("rsa", "a"))
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
    server = serve(jwk("rsa", "a"))
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
    server = serve(jwk("rsa", "a"))
    subject = verifier(JwksUrl(server.url, clock=clock))
    with pytest.raises(UnknownKeyError, match="no `kid`"):
        subject.verify(made(None))
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made(alg="PS256"))
    assert server.count == 0


def test_a_key_that_is_refused_is_no_reason_to_fetch(serve, clock):
    server = serve(jwk("rsa", "a"), jwk("rsa", "encrypts", use="enc"), jwk("rsa", "b"), jwk("rsa", "b"))
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
    for keys in ([secret], [secret, jwk("rsa", "a")]):
        with pytest.raises(UnknownKeyError, match="no secret"):
            JwksUrl(serve(*keys).url, clock=clock).key_for("s")
    private_jwk = jwt.algorithms.RSAAlgorithm.to_jwk(private("rsa"), as_dict=True) | {"kid": "p", "key_ops": ["verify"]}
    with pytest.raises(UnknownKeyError, match="private"):
        JwksUrl(serve(private_jwk).url, clock=clock).key_for("p")


def test_a_set_that_mixes_families_lets_no_key_do_anothers_work(serve, clock):
    server = serve(jwk("rsa", "r"), jwk("ec", "e"))
    subject = verifier(JwksUrl(server.url, clock=clock), algorithms=("RS256", "ES256"))
    assert subject.verify(made("r")) == CLAIMS
    assert subject.verify(made("e", key="ec", alg="ES256")) == CLAIMS
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made("r", key="ec", alg="ES256"))
    with pytest.raises(AlgorithmNotAllowedError):
        subject.verify(made("e"))


def test_an_empty_set_is_an_answer_too(serve, clock):
    server = serve()
    source = JwksUrl(server.url, clock=clock)
    for _ in range(3):
        with pytest.raises(UnknownKeyError):
            source.key_for("a")
    assert server.count == 1


# --- servers that fail --------------------------------------------------------------------------------------------


def test_a_server_that_goes_away_after_the_keys_have_expired(serve, clock):
    server = serve(jwk("rsa", "a"))
    subject = verifier(JwksUrl(server.url, lifetime=300, interval=30, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.stop()
    clock.now += 299
    assert subject.verify(made()) == CLAIMS
    clock.now += 1
    for _ in range(2):
        with pytest.raises(KeysUnavailableError, match="connection refused"):
            subject.verify(made())
        clock.now += 40

    server.start()
    assert subject.verify(made()) == CLAIMS


def test_a_server_that_was_never_there(clock):
    with reserved_port() as port:
        unavailable(JwksUrl(f"http://127.0.0.1:{port}/keys", clock=clock), "connection refused")


def test_a_host_that_has_no_address(clock, monkeypatch):
    def lookup(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    unavailable(JwksUrl("https://keys.example.com/", clock=clock), "name cannot be resolved")


def test_no_thread_can_be_had_to_look_the_name_up(clock, monkeypatch):

    def start(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        unavailable(JwksUrl("https://keys.invalid/", clock=clock), "connection broke")


@pytest.mark.parametrize(
    ("body", "status", "headers", "cause"),
    [
        (b"", 200, {}, "not JSON: it is empty"),
        (b"<html>", 200, {}, "not JSON: it is a page of HTML or XML"),
        (b"nonsense", 200, {}, "not well-formed"),
        (b'{"keys":[', 200, {}, "not well-formed"),
        (b'{"keys":[],"keys":[]}', 200, {}, "R12.2"),
        (b'\xef\xbb\xbf{"keys":[]}', 200, {}, "byte order mark"),
        (b'{"keys":[NaN]}', 200, {}, "not well-formed"),
        (b'{"keys":' + b"[" * 100_000, 200, {}, "R12.4"),
        (b"{}", 200, {}, "no JWK set"),
        (b"[]", 200, {}, "no JWK set"),
        (b'{"keys":[5]}', 200, {}, "no JWK set"),
        (b" " * 1_048_576 + b'{"keys":[]}', 200, {}, "larger than 1048576 bytes"),
        (b'{"keys":[]}', 201, {}, "status 201"),
        (b'{"keys":[]}', 404, {}, "status 404"),
        (b'{"keys":[]}', 302, {"Location": "/elsewhere"}, "status 302"),
        (b'{"keys":[]}', 200, {"Content_Encoding": "gzip"}, "content encoding `gzip`, which"),
    ],
)
def test_answers_that_are_no_keys(serve, clock, body, status, headers, cause):
    server = serve()
    server.answer = lambda handler: server.answer_with(handler, body, status, **headers)
    unavailable(JwksUrl(server.url, clock=clock), cause)
    assert [path for path, _ in server.requests] == ["/keys.json"]


def test_an_answer_in_chunks_is_whole_only_with_its_last_chunk(serve, clock):
    server = serve()
    text = json.dumps({"keys": [jwk("rsa", "a")]}).encode()

    def answer(handler, end):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text) + end)
        handler.close_connection = True

    server.answer = lambda handler: answer(handler, b"0\r\n\r\n")
    assert JwksUrl(server.url, clock=clock).key_for("a")
    server.answer = lambda handler: answer(handler, b"")
    unavailable(JwksUrl(server.url, clock=clock), "connection was closed in the middle of the answer")


def test_an_answer_that_breaks_off(serve, clock):
    server = serve()
    text = json.dumps({"keys": [jwk("rsa", "a")]}).encode()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(text) + 1))
        handler.end_headers()
        handler.wfile.write(text)

    server.answer = answer
    unavailable(JwksUrl(server.url, clock=clock), "connection was closed in the middle of the answer")


def raw_server(serve, talk):
    """A server that says what `talk(send, gone)` sends, until the client is gone."""
    server = serve()

    def answer(handler):
        gone = threading.Event()

        def send(data):
            handler.connection.sendall(data)

        def listen():
            with contextlib.suppress(OSError):
                handler.connection.recv(1)
            gone.set()

        threading.Thread(target=listen, daemon=True).start()
        try:
            talk(send, gone)
        finally:  # to send may be what shows that the client is gone
            server.gone.set()

    server.gone = threading.Event()
    server.answer = answer
    return server


def drip(start):
    """Send `start`, then one byte each hundredth of a second for a minute, so that no single read ever takes long."""

    def talk(send, gone):
        send(start)
        for _ in range(6_000):
            if gone.wait(0.01):
                return
            send(b"x")

    return talk


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n",
    ],
    ids=["status line", "header", "body", "body without a length", "body of a redirect"],
)
def test_a_server_that_drips_is_left(serve, clock, start):
    server = raw_server(serve, drip(start))
    deadline, cause = (60, "status 302") if b"302" in start else (0.5, "within 0.5 s")
    unavailable(JwksUrl(server.url, deadline=deadline, clock=clock), cause)
    assert server.gone.wait(60)


def test_a_server_that_says_nothing_is_left_at_the_deadline(serve, clock):
    server = raw_server(serve, lambda _, gone: gone.wait(60))
    began = time.monotonic()
    unavailable(JwksUrl(server.url, deadline=0.5, clock=clock), "within 0.5 s")
    assert time.monotonic() - began >= 0.5
    assert server.gone.wait(60)


def test_a_server_that_accepts_and_never_shakes_hands(clock):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        unavailable(
            JwksUrl(f"https://127.0.0.1:{listening.getsockname()[1]}/", deadline=0.5, clock=clock), "within 0.5 s"
        )


def test_an_endless_body_is_left_at_its_bound(serve, clock):
    def talk(send, gone):
        send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not gone.is_set():
            send(b" " * 65_536)

    server = raw_server(serve, talk)
    unavailable(JwksUrl(server.url, deadline=30, clock=clock), "larger than 1048576 bytes")


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
    server = serve(jwk("rsa", "a"))
    body = json.dumps({"keys": server.keys}).encode()
    asked, go = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        go.wait(60)
        server.answer_with(handler, body, status)

    server.answer = answer
    source = JwksUrl(server.url, deadline=60, clock=clock)
    threads, results = in_threads(20, lambda: outcome(source, kid))
    assert asked.wait(60)
    assert results == []
    go.set()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20
    assert server.count == 1


def test_threads_whose_key_is_kept_do_not_wait_for_the_fetch_of_another(serve, clock):
    server = serve(jwk("rsa", "a"))
    source = JwksUrl(server.url, deadline=60, clock=clock)
    assert source.key_for("a")
    asked, go = threading.Event(), threading.Event()

    def answer(handler):
        asked.set()
        go.wait(60)
        server.answer_with_keys(handler)

    server.answer = answer
    clock.now += 30
    threads, results = in_threads(3, lambda: outcome(source, "made up"))
    assert asked.wait(60)
    assert source.key_for("a")  # would wait for ever: `go` is set below
    assert results == []
    go.set()
    for thread in threads:
        thread.join()
    assert results == ["unknown_key"] * 3
    assert server.count == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 warns of the very case
def test_a_fork_in_the_middle_of_a_fetch_leaves_the_child_able_to_fetch(serve, clock):
    server = serve(jwk("rsa", "a"))
    asked, go = threading.Event(), threading.Event()

    def answer(handler):
        if not asked.is_set():
            asked.set()
            go.wait(60)
        server.answer_with_keys(handler)

    server.answer = answer
    source = JwksUrl(server.url, deadline=60, clock=clock)
    threads, results = in_threads(1, lambda: outcome(source, "a"))
    assert asked.wait(60)
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


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A private CA: the path of its certificate, and `issue(days, name)` for the path of a server's."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test CA")])
    now = datetime.now(UTC)

    def sign(subject, public, extensions, begin, end):
        built = x509.CertificateBuilder(issuer_name=name, subject_name=subject, public_key=public)
        built = built.serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
        identifiers = [
            (x509.SubjectKeyIdentifier.from_public_key(public), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False),
        ]
        for extension, critical in [*extensions, *identifiers]:
            built = built.add_extension(extension, critical)
        return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    usage = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ],
        False,
    )
    ca_extensions = [
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), True),
    ]
    ca = folder / "ca.pem"
    ca.write_bytes(sign(name, key.public_key(), ca_extensions, now - timedelta(days=100), now + timedelta(days=100)))

    def issue(days, host="127.0.0.1"):
        """A server's certificate and key that end `days` from now."""
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        end = now + timedelta(days=days)
        certificate = sign(subject, own.public_key(), [(names, False)], end - timedelta(days=30), end)
        path = folder / f"server {days} {host}.pem"
        path.write_bytes(certificate + own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return path

    return type("Authority", (), {"ca": ca, "issue": staticmethod(issue)})


def test_tls_with_a_private_authority(serve, clock, authority):
    server = serve(jwk("rsa", "a"), tls=authority.issue(days=10))
    subject = verifier(JwksUrl(server.url, ca=authority.ca, clock=clock))
    assert subject.verify(made()) == CLAIMS


def test_an_authority_that_is_not_trusted(serve, clock, authority):
    server = serve(jwk("rsa", "a"), tls=authority.issue(days=10))
    unavailable(JwksUrl(server.url, clock=clock), "certificate is refused: unable to get local issuer")
    assert server.count == 0


def test_a_certificate_that_has_expired(serve, clock, authority):
    server = serve(jwk("rsa", "a"), tls=authority.issue(days=-1))
    unavailable(JwksUrl(server.url, ca=authority.ca, clock=clock), "certificate has expired")
    assert server.count == 0


def test_a_certificate_that_expires_while_keys_are_kept(serve, clock, authority):
    server = serve(jwk("rsa", "a"), tls=authority.issue(days=10))
    subject = verifier(JwksUrl(server.url, lifetime=300, ca=authority.ca, clock=clock))
    assert subject.verify(made()) == CLAIMS
    server.stop()
    server.tls = authority.issue(days=-1)
    server.start()
    clock.now += 299
    assert subject.verify(made()) == CLAIMS
    clock.now += 1
    with pytest.raises(KeysUnavailableError, match="certificate has expired"):
        subject.verify(made())


def test_a_certificate_for_another_host(serve, clock, authority):
    server = serve(jwk("rsa", "a"), tls=authority.issue(days=10, host="127.0.0.2"))
    unavailable(JwksUrl(server.url, ca=authority.ca, clock=clock), "certificate is refused: IP address mismatch")


def test_https_to_a_server_that_speaks_http(serve, clock):
    server = serve(jwk("rsa", "a"))
    unavailable(JwksUrl(server.url.replace("http:", "https:"), clock=clock), "tls failed")


# --- the environment ----------------------------------------------------------------------------------------------


def test_nothing_of_the_environment_is_used(serve, clock, authority, tmp_path, monkeypatch):
    with reserved_port() as port:
        proxy = f"http://127.0.0.1:{port}"
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.upper(), proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.ca))

        server = serve(jwk("rsa", "a"))
        assert JwksUrl(server.url, clock=clock).key_for("a")
        assert "Authorization" not in server.requests[0][1]
        assert "Cookie" not in server.requests[0][1]
        secure = serve(jwk("rsa", "a"), tls=authority.issue(days=10))
        unavailable(JwksUrl(secure.url, clock=clock), "unable to get local issuer")
        assert JwksUrl(secure.url, ca=authority.ca, clock=clock).key_for("a")


def test_a_query_is_sent_but_never_shown(serve, clock):
    server = serve()
    server.answer = lambda handler: server.answer_with(handler, b"", status=500)
    source = JwksUrl(server.url + "?token=secret", clock=clock)
    with pytest.raises(KeysUnavailableError) as raised:
        source.key_for("a")
    assert server.requests[0][0] == "/keys.json?token=secret"
    assert "secret" not in f"{raised.value}{source!r}"
    server.stop()
    clock.now += 100
    with pytest.raises(KeysUnavailableError) as raised:
        source.key_for("a")
    assert "secret" not in str(raised.value)
