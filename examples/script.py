"""List the devices that a token lets its bearer access, and say why not for the others.

    jwt-bridge demo --out try
    python examples/script.py try/public.pem try/agent.jwt try/devices.jsonl

No server is needed: the rules run in this process. The exit status is 0, or 1 if the token is not valid.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bridge import InvalidTokenError, PolicyBridge, StaticKey, TokenVerifier


def main(key: str, token: str, devices: str) -> int:
    """Decide on each device of a file of JSON Lines."""
    verifier = TokenVerifier(StaticKey.from_pem_file(key), audience="https://cobrowse.io", issuer="LICENSE-KEY")
    resources = [json.loads(line) for line in Path(devices).read_text(encoding="utf-8").splitlines()]
    with PolicyBridge(verifier=verifier, require_policy=True) as bridge:
        try:
            claims = bridge.verify(Path(token).read_text(encoding="utf-8").strip())
        except InvalidTokenError as error:
            print(f"the token is not valid: {error}", file=sys.stderr)
            return 1
        decisions = bridge.check_many(claims, "devices", resources)
    for resource, decision in zip(resources, decisions, strict=True):
        because = ", ".join(f"{failure.pointer} is {failure.code}" for failure in decision.failures)
        print(f"{'yes' if decision else 'no':3} {resource['id']} {decision.reason}{f': {because}' if because else ''}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != len(("script.py", "KEY", "TOKEN", "DEVICES")):
        sys.exit("usage: script.py KEY TOKEN DEVICES")
    sys.exit(main(*sys.argv[1:]))
