"""Every field of a cursor, forged in every way: refused, or the list of what is allowed behind the id it names."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from both_bridges import asynchronous, synchronous

import bridge.engines.local_listing
from bridge import CursorExpiredError, OpaEngine, PolicyBridge, ReferenceEngine, RuleSet, UsageError, WasmEngine
from bridge.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.opa.process import ManagedOpa

RULES = RuleSet(package_root="forged", data_root="forged_data")
DEVICES = [{"id": f"d{number:02}", "custom_data": {"n": number % 2, "m": number % 3}} for number in range(23)]
POLICIES = {
    "everything": {"version": 2, "devices": {}},
    "one constraint": {"version": 2, "devices": {"custom_data": {"n": 1}}},
    "two constraints": {"version": 2, "devices": {"custom_data": {"n": 0, "m": 0}}},
}


@pytest.fixture(scope="module", autouse=True)
def _short_pages() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "PAGE", 4)
        patch.setattr(layout, "SMALL", 3)
        patch.setattr(bridge.engines.local_listing, "PAGE", 4)
        yield


@pytest.fixture(scope="module")
def opa(start_opa: Callable[..., ManagedOpa]) -> str:
    url = start_opa().url
    with PolicyBridge(OpaEngine(url, RULES)) as pushing:
        pushing.install()
        pushing.push("devices", DEVICES)
    return url


@contextmanager
def of(kind: str, opa: str) -> Iterator[Any]:
    if kind in ("sync", "async"):
        with (synchronous if kind == "sync" else asynchronous)(opa, RULES) as policy_bridge:
            yield policy_bridge
        return
    with PolicyBridge(WasmEngine() if kind == "wasm" else ReferenceEngine()) as policy_bridge:
        policy_bridge.push("devices", DEVICES)
        yield policy_bridge


def encoded(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("kind", ["sync", "async", "wasm", "reference"])
def test_no_forged_cursor_skips_or_repeats(opa, kind, policy) -> None:
    with of(kind, opa) as policy_bridge:
        claims = {"policy": policy}
        whole = policy_bridge.list_allowed(claims, "devices")
        assert whole.complete
        place: dict[str, int] = {}  # the page of each id that a cursor can name, from cursors that were given
        for limit in range(1, len(whole.ids)):
            part = policy_bridge.list_allowed(claims, "devices", limit=limit)
            revision, page, last, about = json.loads(base64.urlsafe_b64decode(part.cursor + "=="))
            assert (last, revision) == (whole.ids[limit - 1], whole.revision)
            place[last] = page
            assert (
                policy_bridge.list_allowed({**claims, "exp": limit}, "devices", after=part.cursor).ids
                == whole.ids[limit:]
            )
        assert len(set(place.values())) > 1

        def refused(error: type[Exception], *fields: object) -> None:
            with pytest.raises(error):
                policy_bridge.list_allowed(claims, "devices", after=encoded(fields))

        pages, ids = range(max(place.values()) + 4), [device["id"] for device in DEVICES]
        for last in (*ids, "", "none", "d", "d0", "d000", "zz"):
            for page in pages:
                if place.get(last) != page and last != whole.ids[-1]:
                    refused(UsageError, revision, page, last, about)
        for other in (str(int(revision) + 1), str(int(revision) - 1), "0", "0" + revision, "9" * 40):
            refused(CursorExpiredError, other, page, last, about)
        refused(CursorExpiredError, other, 0, whole.ids[0], about)
        refused(CursorExpiredError, "1", 10**30, "none", about)
        for other in ("", "r" + revision, " ", None, int(revision), True):
            refused(UsageError, other, 0, whole.ids[0], about)
        first = place[whole.ids[0]]
        for other in (None, bool(first), float(first), str(first), -1, first - 1000, 10**30, [first]):
            refused(UsageError, revision, other, whole.ids[0], about)
        for other in ("", about[:-1], about.upper() + "0", None, 0, about + " ", "0" * 32):
            refused(UsageError, revision, first, whole.ids[0], other)
        refused(UsageError, revision, first, whole.ids[0])
        refused(UsageError, revision, first, whole.ids[0], about, None)
        # The last of all is allowed, and nothing is behind it.
        end = [page for page in pages if _is_listed(policy_bridge, claims, [revision, page, whole.ids[-1], about])]
        assert len(end) == 1


def _is_listed(policy_bridge: Any, claims: Any, fields: list[object]) -> bool:
    try:
        listed = policy_bridge.list_allowed(claims, "devices", after=encoded(fields))
    except UsageError:
        return False
    assert (listed.ids, listed.complete) == ((), True)
    return True
