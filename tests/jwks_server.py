"""A server of keys, and tokens signed with them.

Only the test moves the clock that the cache goes by, so no test waits for a lifetime to end.
"""

import contextlib
import ipaddress
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import token_making
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from token_making import NOW

from bridge.errors import KeysUnavailableError
from bridge.tokens import TokenVerifier


def made(kid="a", *, key="rsa", alg="RS256"):
    return token_making.made(key=key, alg=alg, **({} if kid is None else {"kid": kid}))


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


@contextlib.contextmanager
def key_servers():
    """Start key servers, and stop them all at the end."""
    servers = []

    def start(*keys, tls=None):
        servers.append(KeyServer(*keys, tls=tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def verifier(source, **settings):
    return TokenVerifier(source, clock=lambda: NOW, **settings)


def unavailable(source, match):
    with pytest.raises(KeysUnavailableError, match=match) as raised:
        source.key_for("a")
    assert raised.value.code == "keys_unavailable"


def key_authority(folder):
    """A private CA: the path of its certificate, and `issue(days, name)` for the path of a server's."""
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
