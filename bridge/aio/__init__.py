"""The bridge for programs that await: an OPA server over aiohttp (the extra `async`).

What is asked, and what may be believed of an answer, is the same code as for `bridge.PolicyBridge`; only who carries it
differs. Rules are installed and resources pushed by the bridge that does not await, in a thread.
"""

from bridge.aio.async_bridge import AsyncPolicyBridge
from bridge.aio.async_client import AsyncOpaClient
from bridge.aio.async_engine import AsyncOpaEngine

__all__ = ["AsyncOpaClient", "AsyncOpaEngine", "AsyncPolicyBridge"]
