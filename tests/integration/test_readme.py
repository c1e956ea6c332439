"""The README's example runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import jwt
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
