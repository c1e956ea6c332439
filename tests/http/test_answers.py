"""Every client makes the same of every row of the table of answers."""

from __future__ import annotations

import asyncio

import pytest
from fault_server import Exchange, FaultServer
from http_answers import ANSWER, ASYNC, BROKEN, CLOSED, ENCODED, INVALID, KEPT, NOTHING, ROWS, TOO_LARGE, Row

from bridge.aio.async_client import AsyncHttpClient
from bridge.http import Cause, HttpRequestError, HttpSettings
from bridge.http.session import HttpClient
from bridge.tokens.jwks_url import Fetcher, FetchError

DEADLINE = 60.0


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch) -> None:
    monkeypatch.setattr("bridge.http.session.sleep", lambda _: None)
    monkeypatch.setattr("bridge.http.retries._AFTER_BROKEN", (0.0, 0.0))


def sent(row: Row):
    def answer(exchange: Exchange) -> None:
        exchange.send(row.data)
        if row.ends:
            exchange.close()

    return answer


def verdict(failure: HttpRequestError) -> str:
    if failure.cause is Cause.BROKEN:
        return {"the connection was closed before the answer": NOTHING}.get(str(failure), BROKEN)
    if failure.cause is Cause.TOO_LARGE:
        return TOO_LARGE
    assert failure.cause is Cause.INVALID
    return INVALID if str(failure) == "the answer is not HTTP" else ENCODED


def ask(client: HttpClient, way: str):
    if way == "query":
        return client.query("POST", "/x", b"{}", seconds=DEADLINE)
    return client.request("GET", "/x", seconds=DEADLINE, is_read=True)


@pytest.mark.parametrize("way", ["query", "request"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_synchronous_client(row, way) -> None:
    with FaultServer(sent(row)) as server:
        client = HttpClient(HttpSettings.checked(server.url))
        try:
            reply = ask(client, way)
            outcome = f"status {reply.status}"
            if reply.status == 200:
                assert reply.body == ANSWER
                ask(client, way)
                outcome = KEPT if server.connections == 1 else CLOSED
        except HttpRequestError as failure:
            outcome = verdict(failure)
            assert len(server.exchanges) == (3 if outcome in (BROKEN, NOTHING) else 1)
        finally:
            client.close()
        assert outcome == row.verdict_of("sync")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_asynchronous_client(row) -> None:
    async def verdict_of(server: FaultServer) -> str:
        client = AsyncHttpClient(HttpSettings.checked(server.url))

        async def query():
            return await client.query("POST", "/x", b"{}", seconds=DEADLINE)

        try:
            reply = await query()
            if reply.status != 200:
                return f"status {reply.status}"
            assert reply.body == ANSWER
            await query()
        except HttpRequestError as failure:
            return verdict(failure)
        finally:
            await client.close()
        return KEPT if server.connections == 1 else CLOSED

    with FaultServer(sent(row)) as server:
        assert asyncio.run(verdict_of(server)) == row.verdict_of(ASYNC)


def verdict_by_text(text: str) -> str:
    if " with status " in text:
        return "status " + text.partition(" with status ")[2][:3]
    texts = {
        "closed before the answer": NOTHING,
        "closed in the middle": BROKEN,
        "is not HTTP": INVALID,
        "the content encoding": ENCODED,
        "larger than": TOO_LARGE,
    }
    [outcome] = [verdict for part, verdict in texts.items() if part in text]
    return outcome


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_fetch_of_a_jwk_set(row) -> None:
    """Of a fetch each connection serves one answer, and none is repeated."""
    with FaultServer(sent(row)) as server:
        try:
            body = Fetcher(server.url, deadline=DEADLINE, max_bytes=1 << 20).get()
        except FetchError as failed:
            outcome = verdict_by_text(str(failed))
        else:
            assert body == ANSWER
            outcome = KEPT
        assert outcome == (KEPT if row.verdict_of("sync") == CLOSED else row.verdict_of("sync"))
        assert len(server.exchanges) == 1
