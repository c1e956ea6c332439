"""A Flask application whose endpoints return only what the caller's token allows.

    jwt-bridge demo --out try
    PUBLIC_KEY=try/public.pem DEVICES=try/devices.jsonl flask --app examples/flask_app.py run
    curl -H "Authorization: Bearer $(cat try/agent.jwt)" http://127.0.0.1:5000/devices/gB5fOx3aQ2WkT9sVd0YyLw

By default the rules run in this process. With OPA_URL an OPA server decides, for instance the sidecar of
examples/sidecar. Install the rules there: `jwt-bridge install --require-policy`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, abort, jsonify, request

from bridge import (
    EngineError,
    InvalidTokenError,
    KeysUnavailableError,
    OpaEngine,
    PolicyBridge,
    PolicySettings,
    RuleSet,
    StaticKey,
    TokenVerifier,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def create_app(environ: Mapping[str, str] = os.environ) -> Flask:
    """Return the application; one bridge serves all requests and threads of a process."""
    app = Flask(__name__)
    bridge = bridge_from(environ)
    lines = Path(environ["DEVICES"]).read_text(encoding="utf-8").splitlines()
    devices: dict[str, dict[str, Any]] = {device["id"]: device for device in map(json.loads, lines)}

    def claims() -> dict[str, Any]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            abort(401, "a bearer token is needed")
        return bridge.verify(token)

    @app.errorhandler(InvalidTokenError)
    def invalid_token(error: InvalidTokenError) -> tuple[Response, int, dict[str, str]]:
        return jsonify(error=error.code), 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}

    @app.errorhandler(EngineError)
    @app.errorhandler(KeysUnavailableError)
    def unavailable(error: Exception) -> tuple[Response, int]:
        app.logger.error("no decision: %s", error)
        return jsonify(error="unavailable"), 503

    @app.get("/health")
    def health() -> Response:
        return jsonify(ok=True)

    @app.get("/devices/<device_id>")
    def read_device(device_id: str) -> Response:
        bearer = claims()
        device = devices.get(device_id)
        # The same response for both: a caller cannot learn which ids exist.
        if device is None or not bridge.check(bearer, "devices", device):
            abort(404, "there is no such device, or you may not access it")
        return jsonify(public(device))

    @app.get("/devices")
    def list_devices() -> Response:
        decisions = bridge.check_many(claims(), "devices", devices.values())
        return jsonify(
            [public(device) for device, decision in zip(devices.values(), decisions, strict=True) if decision]
        )

    return app


def bridge_from(environ: Mapping[str, str]) -> PolicyBridge:
    """Return a bridge that denies tokens without a policy."""
    verifier = TokenVerifier(
        StaticKey.from_pem_file(environ["PUBLIC_KEY"]), audience="https://cobrowse.io", issuer="LICENSE-KEY"
    )
    if "OPA_URL" not in environ:
        return PolicyBridge(verifier=verifier, require_policy=True)
    rule_set = RuleSet(policy=PolicySettings(require_policy=True))
    return PolicyBridge(OpaEngine(environ["OPA_URL"], rule_set), verifier=verifier)


def public(device: dict[str, Any]) -> dict[str, Any]:
    """Return a device without its secret."""
    return {name: value for name, value in device.items() if name != "notification_token"}
