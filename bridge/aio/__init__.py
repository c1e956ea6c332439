"""`PolicyBridge` for asyncio applications: an OPA server over aiohttp (the extra `async`).

Requests and responses are those of `bridge.PolicyBridge`; only the transport differs. `install`, `push` and the other
changes run the synchronous client in a thread.
"""

from importlib.util import find_spec

if find_spec("aiohttp") is None:
    raise ImportError("bridge.aio needs the extra `async`: pip install 'jwt-policy-bridge[async]'", name="aiohttp")

from bridge.aio.async_bridge import AsyncPolicyBridge
from bridge.aio.async_client import AsyncOpaClient
from bridge.aio.async_engine import AsyncOpaEngine

__all__ = ["AsyncOpaClient", "AsyncOpaEngine", "AsyncPolicyBridge"]
