"""Several OPAs behind one address: whatever is done, it is said, and nothing becomes current on one of them alone."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from balancer import by_connection, by_request, in_turn
from cli_process import run
from recounting import recounted

from bridge import EngineError, OpaClient, OpaEngine, PolicyBridge, ResourcesMissingError
from bridge.aio import AsyncOpaClient, AsyncOpaEngine, AsyncPolicyBridge
from bridge.errors import MultipleStoresError
from bridge.http import sockets
from bridge.store import from_objects, patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.opa import ManagedOpa

ROOT = ("jwt_policy_data",)
TYPES = ("devices", "sessions")
GRANTED = {"policy": {"version": 2, "devices": {"custom_data": {"n": 1}}}}
SEVERAL = "several OPAs answer at this address"


def device(id_, **custom_data):
    return {"id": id_, "custom_data": custom_data}


MANY = [device(f"m{number}", n=number) for number in range(12)]

WRITES: dict[str, Callable[[PolicyBridge], object]] = {
    "push": lambda bridge: bridge.push("devices", [device("new", n=1)], force=True),
    "push of many": lambda bridge: bridge.push("devices", MANY, force=True),
    "push of nothing": lambda bridge: bridge.push("devices", [], force=True),
    "replace": lambda bridge: bridge.engine.store.replace("devices", from_objects([device("new")]).resources),
    "upsert": lambda bridge: bridge.upsert("devices", [device("new", n=1)]),
    "delete": lambda bridge: bridge.delete("devices", ["a"]),
    "sync": lambda bridge: bridge.sync("devices", [device("a", n=1), device("new")], force=True),
    "sync of many": lambda bridge: bridge.sync("devices", MANY, force=True),
    "restore": lambda bridge: bridge.engine.restore(),
    "uninstall": lambda bridge: bridge.engine.uninstall(),
}
READS: dict[str, Callable[[PolicyBridge], object]] = {
    "recount": lambda bridge: bridge.engine.store.recount("devices"),
    "resources": lambda bridge: list(bridge.engine.store.resources("devices")),
    "difference": lambda bridge: bridge.engine.store.difference("devices", from_objects([]).resources, None),
}
BALANCERS = [("connection", 2), ("request", 2), ("connection", 3)]
NEED_A_PUSH = ("upsert", "delete", "recount")


@pytest.fixture(scope="module")
def opas(start_opa) -> Iterator[list[ManagedOpa]]:
    """Three with the rules."""
    opas = [start_opa() for _ in range(3)]
    for opa in opas:
        with PolicyBridge(OpaEngine(opa.url)) as bridge:
            bridge.install()
    yield opas
    for opa in opas:
        opa.kill()


@pytest.fixture
def urls(opas) -> list[str]:
    """Their addresses, once they have nothing."""
    for opa in opas:
        with OpaClient(opa.url, deadline=60) as client:
            client.delete_data(ROOT)
    return [opa.url for opa in opas]


@contextlib.contextmanager
def bridge_to(url, **settings):
    sources = {"devices": lambda: [device("restored", n=1)]}
    with PolicyBridge(OpaEngine(OpaClient(url, deadline=60), sources=sources), **settings) as opened:
        yield opened


@contextlib.contextmanager
def balanced(kind, urls):
    """The address of a balancer that takes them in turn."""
    with contextlib.ExitStack() as stack:
        if kind == "connection":
            yield stack.enter_context(by_connection(in_turn(urls))).url
        else:
            yield stack.enter_context(by_request(in_turn(urls)))[0]


def filled(urls, *types):
    for number, url in enumerate(urls):
        with bridge_to(url) as bridge:
            for type_ in types:
                bridge.push(type_, [device("a", n=1), device(f"b{number}", n=1)])


def documents(urls):
    contents = []
    for url in urls:
        with OpaClient(url, deadline=60) as client:
            contents.append(client.get_data(ROOT))
    return contents


def current(urls):
    """What is current of each type on each, and whole."""
    states = []
    for document in documents(urls):
        states.append({})
        for type_, about in (document if isinstance(document, dict) else {}).items():
            if "current" in about["state"]:
                now = about["state"]["current"]
                assert now["store"] == about["state"]["store"]
                states[-1][type_] = now, recounted(about["generations"][now["generation"]])
    return states


def each_refused(url, operations):
    """Each operation, by a client of its own, and said again."""
    for name in operations:
        with bridge_to(url) as bridge:
            for _ in range(2):
                with pytest.raises(MultipleStoresError, match=f"{SEVERAL}.*one of them"):
                    (WRITES | READS)[name](bridge)
        yield name


@pytest.mark.parametrize(("kind", "count"), BALANCERS)
def test_every_operation_says_so_and_changes_nothing(urls, kind, count):
    urls = urls[:count]
    filled(urls, *TYPES)
    before = documents(urls)
    with balanced(kind, urls) as url:
        for name in each_refused(url, [*WRITES, *READS]):
            assert documents(urls) == before, name


@pytest.mark.parametrize(("kind", "count"), BALANCERS)
@pytest.mark.parametrize("empty", [0, 1])
def test_one_of_them_is_empty(urls, kind, count, empty):
    """It was restarted, or is new; what it would be given alone is no state that could be told from the others'."""
    urls = urls[:count]
    filled([url for number, url in enumerate(urls) if number != empty], *TYPES)
    before = documents(urls)
    with balanced(kind, urls) as url:
        for name in each_refused(url, [*WRITES, *READS]):
            assert documents(urls) == before, name


@pytest.mark.parametrize(("kind", "count"), BALANCERS)
def test_a_type_that_all_of_them_lack_is_not_brought_back_to_one(urls, kind, count):
    urls = urls[:count]
    filled(urls, "sessions")
    with balanced(kind, urls) as url:
        assert list(each_refused(url, ["restore"])) == ["restore"]
    assert [state.keys() for state in current(urls)] == [{"sessions"}] * count


@pytest.mark.parametrize(("kind", "count"), BALANCERS)
def test_all_of_them_are_empty_and_asked_in_turn(urls, kind, count):
    """The first push makes a first document on one of them, and then finds that another answers as well."""
    for name in WRITES:
        for url in urls:
            with OpaClient(url, deadline=60) as client:
                client.delete_data(ROOT)
        if name not in (*NEED_A_PUSH, "uninstall"):
            with balanced(kind, urls[:count]) as url:
                assert list(each_refused(url, [name])) == [name]
            assert current(urls) == [{}] * 3, name


@pytest.mark.parametrize("kind", ["connection", "request"])
def test_another_type_tells_them_apart(urls, kind):
    """Nothing was ever pushed of the type itself; the other type is on both."""
    urls = urls[:2]
    filled(urls, "sessions")
    before = documents(urls)
    with balanced(kind, urls) as url:
        for name in ("push", "sync", "upsert", "delete", "restore", "recount"):
            with bridge_to(url) as bridge, pytest.raises(MultipleStoresError, match="`sessions`"):
                (WRITES | READS)[name](bridge)
    assert documents(urls) == before


def test_a_client_whose_connection_was_kept_alive_looks_beyond_it(urls):
    """It has asked one of them alone, and would go on to write there alone."""
    urls = urls[:2]
    filled(urls, *TYPES)
    before = documents(urls)
    with by_connection(in_turn(urls)) as balancer, bridge_to(balancer.url) as bridge:
        for _ in range(20):
            assert bridge.check(GRANTED, "devices", "b0")
        assert balancer.chosen == urls[:1]
        for name in ("push", "upsert", "delete", "sync"):
            with pytest.raises(MultipleStoresError):
                WRITES[name](bridge)
    assert documents(urls) == before


def test_what_a_write_has_seen_is_known_to_those_who_read(urls):
    """A balancer has moved the client to another OPA and back: what it says then may be older than what was pushed."""
    filled(urls[:2], "devices")
    chosen = [urls[0]]
    with by_request(lambda *_: chosen[0]) as (url, _), bridge_to(url) as bridge:
        assert bridge.check(GRANTED, "devices", "a")
        chosen[0] = urls[1]
        bridge.push("devices", [device("a", n=2)], force=True)
        chosen[0] = urls[0]
        for ask in (lambda: bridge.check(GRANTED, "devices", "a"), lambda: bridge.list_allowed(GRANTED, "devices")):
            with pytest.raises(MultipleStoresError):
                ask()
        with pytest.raises(MultipleStoresError):
            bridge.push("devices", [device("a", n=1)], force=True)


def test_what_an_awaited_write_has_seen_is_known_to_those_who_read(urls):
    filled(urls[:2], "devices")
    chosen = [urls[0]]

    async def asynchronous(url):
        async with AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, deadline=60))) as bridge:
            assert await bridge.check(GRANTED, "devices", "a")
            chosen[0] = urls[1]
            await bridge.push("devices", [device("a", n=2)], force=True)
            chosen[0] = urls[0]
            with pytest.raises(MultipleStoresError):
                await bridge.check(GRANTED, "devices", "a")

    with by_request(lambda *_: chosen[0]) as (url, _):
        asyncio.run(asynchronous(url))


@pytest.mark.parametrize("rotates", [False, True])
def test_a_name_with_several_addresses(urls, monkeypatch, rotates):
    """As a service of many pods has it: whoever connects to the first of them would never see the others."""
    addresses = [("127.0.0.1", urlsplit(url).port) for url in urls]
    filled(urls, *TYPES)
    before = documents(urls)
    turns = count()

    def looked_up(*_):
        turn = next(turns) if rotates else 0  # some name services take turns, and some do not
        order = addresses[turn % 3 :] + addresses[: turn % 3]
        return [(socket.AF_INET, address) for address in order]

    with monkeypatch.context() as patch:
        patch.setattr(sockets, "_resolved", looked_up)
        for name in (*WRITES, *READS):
            with bridge_to("http://opa.invalid:8181") as bridge, pytest.raises(MultipleStoresError):
                (WRITES | READS)[name](bridge)
    assert documents(urls) == before


def requests_of(urls, call):
    """How many requests an operation makes, on one OPA."""
    with by_request(lambda *_: urls[0]) as (url, relay), bridge_to(url) as bridge:
        call(bridge)
        return len(relay.chosen)


@pytest.mark.parametrize("name", ["push", "push of many", "replace", "upsert", "delete", "sync", "sync of many"])
@pytest.mark.parametrize("stays", [False, True], ids=["for one request", "from then on"])
def test_one_that_goes_astray_at_any_request_leaves_nothing_half(urls, name, stays, monkeypatch):
    """Each of the requests in turn reaches another OPA, for that once or with all that follow."""
    monkeypatch.setattr(patches, "_PART", 300)  # so that a push is of many parts
    monkeypatch.setattr(importlib.import_module("bridge.store.push_and_sync"), "_AT_ONCE", 6)
    there, other = urls[:2]
    filled([there, other], *TYPES)
    total = requests_of([there], WRITES[name])
    outcomes = []
    for astray in range(total):
        for url in (there, other):
            with OpaClient(url, deadline=60) as client:
                client.delete_data(ROOT)
        filled([there, other], *TYPES)
        before = current([there, other])

        def choose(number, _line, astray=astray):
            return other if number == astray or (stays and number > astray) else there

        with by_request(choose) as (url, _), bridge_to(url) as bridge:
            try:
                WRITES[name](bridge)
            except EngineError as fault:
                outcomes.append(type(fault))
                after = current([there, other])
                # A sync of much makes several revisions, each of them whole.
                assert after[1] == before[1]
                assert after[0] == before[0] or name == "sync of many"
            else:
                outcomes.append(None)
                after = current([there, other])
                changed = [one != two for one, two in zip(before, after, strict=True)]
                # Once all that is said of the type comes from the other one, that one is all there is.
                assert changed == [True, False] or (stays and astray <= 2 and changed == [False, True])
    # What never comes back may also have been restarted; nobody says that another push came in between.
    assert set(outcomes) <= {None, MultipleStoresError, ResourcesMissingError} if stays else {None, MultipleStoresError}
    assert MultipleStoresError in outcomes or ResourcesMissingError in outcomes
    assert outcomes[0] is not None or stays


@pytest.mark.parametrize("has", ["neither", "both", "reader", "writer"])
def test_who_writes_reaches_another_one_than_who_reads(urls, has):
    """Least of all is a document removed that the reader does not see."""
    reader, writer = urls[:2]
    filled([url for url, name in ((reader, "reader"), (writer, "writer")) if has in (name, "both")], *TYPES)
    names = ["push", "push of many", "replace", "sync", "sync of many"]
    # Without what is current no change is possible, and with it nothing is to be restored.
    names += ["upsert", "delete"] if has in ("both", "reader") else ["restore"]

    def choose(_number, line):
        return reader if line.startswith(("GET", "POST")) else writer

    before = current(urls)
    with by_request(choose) as (url, _):
        for name in names:
            with bridge_to(url) as bridge, pytest.raises(MultipleStoresError, match=SEVERAL):
                WRITES[name](bridge)
            assert current(urls) == before, name


def test_an_opa_that_was_restarted_is_no_second_one(urls):
    """Its store has another name from then on, and the old one never comes back."""
    filled(urls[:1], *TYPES)
    emptied = []

    def choose(number, _line):
        if number == 1:
            with OpaClient(urls[0], deadline=60) as client:
                client.delete_data(ROOT)
            emptied.append(number)
        return urls[0]

    for name in ("push", "upsert", "sync"):
        filled(urls[:1], *TYPES)
        with by_request(choose) as (url, _), bridge_to(url) as bridge, pytest.raises(ResourcesMissingError):
            WRITES[name](bridge)
    assert emptied == [1, 1, 1]


def test_with_on_error_deny_and_awaited(urls):
    urls = urls[:2]
    filled(urls, "devices")

    async def asynchronous(url):
        async with AsyncPolicyBridge(AsyncOpaEngine(AsyncOpaClient(url, deadline=60)), on_error="deny") as bridge:
            for write in (
                lambda: bridge.push("devices", [device("a")], force=True),
                lambda: bridge.sync("devices", [device("a")], force=True),
                lambda: bridge.upsert("devices", [device("a")]),
                lambda: bridge.delete("devices", ["a"]),
            ):
                with pytest.raises(MultipleStoresError, match=SEVERAL):
                    await write()

    for kind in ("connection", "request"):
        with balanced(kind, urls) as url:
            asyncio.run(asynchronous(url))


def test_on_the_command_line(urls):
    urls = urls[:2]
    filled(urls, *TYPES)
    before = documents(urls)
    lines = b'{"id":"a"}\n'
    for kind in ("connection", "request"):
        with balanced(kind, urls) as url:
            for arguments in (
                ("push", "--type", "devices", "-", "--force"),
                ("sync", "--type", "devices", "-", "--force"),
                ("doctor",),
            ):
                assert SEVERAL in run(*arguments, "--opa-url", url, stdin=lines, status=3).stderr
    assert documents(urls) == before
    assert "all is well" in run("doctor", "--opa-url", urls[0]).text


def test_new_connections_take_the_place_of_old_ones(urls):
    """Who pushes again and again keeps no more connections than who asks."""
    with by_connection(in_turn(urls[:1])) as balancer, bridge_to(balancer.url) as bridge:
        for number in range(5):
            bridge.push("devices", [device("a", n=number)], force=True)
            bridge.upsert("devices", [device("b", n=number)])
            assert len(bridge.engine.opa._http._pool.pool._owned[1]) == 1
