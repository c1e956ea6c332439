"""A FastAPI application that queries an OPA server asynchronously.

    jwt-bridge demo --out try
    jwt-bridge serve --require-policy --devices try/devices.jsonl --omit notification_token
    OPA_URL=http://127.0.0.1:8181 PUBLIC_KEY=try/public.pem uvicorn --app-dir examples fastapi_app:app
    curl -H "Authorization: Bearer $(cat try/agent.jwt)" http://127.0.0.1:8000/devices

`serve` pushes the devices to the OPA, so the application checks by id, and lists. It needs the extra `async`.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bridge import (
    CursorExpiredError,
    EngineError,
    InvalidTokenError,
    KeysUnavailableError,
    PolicySettings,
    RuleSet,
    StaticKey,
    TokenVerifier,
    UsageError,
)
from bridge.aio import AsyncOpaEngine, AsyncPolicyBridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open one bridge for the process, and close it at the end."""
    key = StaticKey.from_pem_file(os.environ["PUBLIC_KEY"])
    engine = AsyncOpaEngine(os.environ["OPA_URL"], RuleSet(policy=PolicySettings(require_policy=True)))
    verifier = TokenVerifier(key, audience="https://cobrowse.io", issuer="LICENSE-KEY")
    async with AsyncPolicyBridge(engine, verifier=verifier) as app.state.bridge:
        yield


app = FastAPI(lifespan=lifespan)


def bridge_of(request: Request) -> Any:
    """Return the bridge of this process."""
    return request.app.state.bridge


async def verified(
    bridge: Annotated[Any, Depends(bridge_of)],
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> dict[str, Any]:
    """Return the claims of the caller's token."""
    claims: dict[str, Any] = await bridge.verify(credentials.credentials)
    return claims


Bridge = Annotated[Any, Depends(bridge_of)]
Claims = Annotated[dict[str, Any], Depends(verified)]


@app.exception_handler(InvalidTokenError)
async def invalid_token(_request: Request, error: InvalidTokenError) -> JSONResponse:
    """Answer 401."""
    return JSONResponse({"error": error.code}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


@app.exception_handler(EngineError)
@app.exception_handler(KeysUnavailableError)
async def unavailable(_request: Request, _error: Exception) -> JSONResponse:
    """Answer 503: nothing is known about the access."""
    return JSONResponse({"error": "unavailable"}, 503)


@app.get("/health")
async def health() -> dict[str, bool]:
    """Report that this process runs."""
    return {"ok": True}


@app.get("/devices/{device_id}")
async def read_device(device_id: str, claims: Claims, bridge: Bridge) -> dict[str, str]:
    """Return a device that the caller may access."""
    if not await bridge.check(claims, "devices", device_id):
        raise HTTPException(404, "there is no such device, or you may not access it")
    return {"id": device_id}


@app.get("/devices")
async def list_devices(
    claims: Claims, bridge: Bridge, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: str | None = None
) -> dict[str, Any]:
    """Return a page of the ids of the devices that the caller may access."""
    try:
        page = await bridge.list_allowed(claims, "devices", limit=limit, after=after)
    except CursorExpiredError:
        raise HTTPException(409, "the devices have changed: begin the list again") from None
    except UsageError:
        raise HTTPException(400, "`after` is no cursor of this list") from None
    return {"ids": page.ids, "next": page.cursor}
