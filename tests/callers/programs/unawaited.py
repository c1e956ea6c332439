from bridge.aio import AsyncPolicyBridge


async def forgotten(policy_bridge: AsyncPolicyBridge, token: str) -> str:
    if policy_bridge.check(token, "devices", "d1"):
        return "open"
    return "shut"
