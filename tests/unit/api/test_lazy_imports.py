"""`import bridge` loads none of the large libraries; each is loaded where it is first needed, before a call decides."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LARGE = (
    "aiohttp",
    "cryptography",
    "jinja2",
    "jsonschema",
    "jwt",
    "requests",
    "rich",
    "ssl",
    "subprocess",
    "tarfile",
    "tomllib",
    "typer",
    "urllib3",
    "wasmtime",
)
SECRET = "key = bridge.StaticKey.from_secret(bytes(range(64)))"
TOKEN = (
    "import hmac, base64; b = lambda x: base64.urlsafe_b64encode(x).rstrip(b'='); "
    "m = b(b'{\"alg\":\"HS256\"}') + b'.' + b(b'{\"exp\":9e9}'); "
    "t = (m + b'.' + b(hmac.digest(bytes(range(64)), m, 'sha256'))).decode()"
)


def loaded(code: str, *, since: str = "pass") -> set[str]:
    """Return the large libraries that a fresh interpreter loads by this code, and had not loaded before it."""
    program = "import json, sys; {}; old = set(sys.modules); {}; print(json.dumps([*set(sys.modules) - old]))"
    # Not `-I`: the package is found as this process found it.
    command = [sys.executable, "-c", program.format(since, code)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {*json.loads(output)} & {*LARGE}


def test_import_bridge_loads_no_large_library():
    assert loaded("import bridge, bridge.http, bridge.opa, bridge.tokens, bridge.rendering, bridge.store") == set()


@pytest.mark.parametrize(
    ("code", "libraries"),
    [
        ("bridge.ReferenceEngine()", set()),
        ("bridge.OpaClient('http://127.0.0.1:1')", {"requests", "urllib3", "ssl"}),
        ("bridge.PolicyBridge()", {"wasmtime", "jinja2"}),
        (SECRET, {"cryptography", "jwt"}),
        ("bridge.opa.find_opa", {"subprocess"}),
    ],
)
def test_a_library_is_loaded_where_it_is_first_needed(code, libraries):
    assert loaded(code, since="import bridge, bridge.opa") >= libraries


@pytest.mark.parametrize(
    "call", ["v.verify(t)", "v.parse(t)", "bridge.PolicyBridge(e, verifier=v).check(t, 'devices', {'id': 'd'})"]
)
def test_a_call_that_verifies_loads_nothing(call):
    verifier = "v = bridge.TokenVerifier(key, algorithms=['HS256'])"
    since = f"import bridge; {TOKEN}; {SECRET}; {verifier}; e = bridge.ReferenceEngine()"
    assert loaded(call, since=since) == set()


def test_the_names_of_bridge_opa_that_are_loaded_late_are_listed():
    program = "import bridge.opa as o; assert set(o.__all__) <= set(dir(o)); o.nothing"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'bridge.opa' has no attribute 'nothing'"
