"""The README's example runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
import requests
from cli_process import run
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge import OpaEngine, PolicyBridge

README = Path(__file__).parents[2] / "README.md"


def example() -> str:
    return re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]


def test_the_example_decides_on_an_opa_in_five_lines(start_opa, tmp_path):
    lines = [line for line in example().splitlines() if line.strip()]
    assert len(lines) == 5
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    now = int(time.time())
    claims = {
        "aud": "https://cobrowse.io",
        "iss": "LICENSE-KEY",
        "sub": "agent@example.com",
        "iat": now,
        "exp": now + 60,
    }
    for user, printed in (("u1", "True matched"), ("u2", "False constraint_failed")):
        claims["policy"] = {"version": 2, "devices": {"custom_data": {"user_id": user}}}
        token = jwt.encode(claims, key, algorithm="RS256")
        code = f"token = {token!r}\n" + example().replace("http://127.0.0.1:8181", opa.url)
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.stderr, done.returncode) == (printed, "", 0)


def test_the_public_entrypoints_are_those_that_install_shows(start_opa):
    table = re.findall(r"^\| `(\w+)` \| (?:`\{|the same)", README.read_text(encoding="utf-8"), re.MULTILINE)
    done = run("install", OPA_URL=start_opa().url)
    assert table == ["allow", "decision", "decisions"]
    assert re.findall(r"/v1/data/jwt_policy/(\w+)\n", done.text) == table


@pytest.mark.parametrize("number", ["1e400", "1e100000"])
def test_every_input_that_opa_takes_has_a_decision(start_opa, number):
    """OPA 1.22 refuses such a number itself, with 400 and no `result`; older ones decide."""
    text = README.read_text(encoding="utf-8")
    assert "for every input that OPA takes" in text
    assert "such as `1e100000`" in text
    opa = start_opa()
    with PolicyBridge(OpaEngine(opa.url)) as bridge:
        bridge.install()
    question = f'{{"input": {{"claims": {{"policy": {{"version": {number}}}}}, "type": "devices"}}}}'
    reply = requests.post(f"{opa.url}/v1/data/jwt_policy/decision", data=question, timeout=60)
    assert (reply.status_code, reply.json().get("result", {}).get("allow")) in {(200, False), (400, None)}
