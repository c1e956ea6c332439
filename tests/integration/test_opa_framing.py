"""How much of an answer is read; what is read as HTTP is said in the table of `http_answers`."""

from __future__ import annotations

import pytest
from fault_server import ANSWER, INPUT, Exchange, replying, sending, serving

from bridge.errors import InvalidResponseError, OpaStatusError
from bridge.http.response import StrictResponse

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 15\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch) -> None:
    monkeypatch.setattr("bridge.http.session.sleep", lambda _: None)


# --- the status line


@pytest.mark.parametrize("status", [400, 404, 451, 599, 999])
def test_a_status_from_400_on_is_a_refusal(status) -> None:
    with (
        serving(replying(b'{"code":"no"}', f"{status} No")) as (_, client),
        pytest.raises(OpaStatusError) as caught,
    ):
        client.query(("x",), INPUT)
    assert (caught.value.status, caught.value.opa_code) == (status, "no")


def test_an_answer_of_http_1_0_ends_its_connection() -> None:
    with serving(lambda exchange: exchange.send(b"HTTP/1.0 200 OK\r\n" + LENGTH + b"\r\n" + ANSWER)) as (
        server,
        client,
    ):
        for number in (1, 2):
            assert client.query(("x",), INPUT).result is True
            assert server.connections == number


# --- bodies


def pieces(*parts: tuple[bytes, int]) -> bytes:
    """The answer in chunks: how each one's size is written, and how many bytes it has."""
    body, at = b"", 0
    for size, length in parts:
        body += size + ANSWER[at : at + length] + b"\r\n"
        at += length
    assert at == len(ANSWER)
    return OK + CHUNKED + b"\r\n" + body


def test_an_answer_is_as_long_as_its_head_says() -> None:
    """What follows belongs to nothing: the connection is not used again, and nothing is asked twice."""
    bodies = [OK + LENGTH + b"\r\n" + ANSWER, pieces((b"f\r\n", 15)) + b"0\r\n\r\n"]
    for number, after in ((0, b"x" * 20_000), (1, b"x" * 20_000)):
        with serving(lambda exchange, data=bodies[number] + after: exchange.send(data)) as (server, client):
            assert [client.query(("x",), INPUT).result for _ in range(2)] == [True, True]
            assert server.connections == len(server.exchanges) == 2


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) + 1, 3_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_answers_come_whole_and_in_few_pieces_and_keep_the_connection(monkeypatch, size, is_chunked) -> None:
    body = b'{"result":"' + b"x" * (size - 13) + b'"}'
    framed = (
        CHUNKED + b"\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"
        if is_chunked
        else b"Content-Length: %d\r\n\r\n" % size + body
    )
    read, pieces = StrictResponse.read, []

    def counted(self: StrictResponse, *args: int) -> bytes:
        pieces.append(args)
        return read(self, *args)

    monkeypatch.setattr(StrictResponse, "read", counted)
    with serving(lambda exchange: exchange.send(OK + framed), deadline=60.0) as (server, client):
        for _ in range(2):
            pieces.clear()
            assert len(client.query(("x",), INPUT).result) == size - 13
            assert 0 < len(pieces) < 10
        assert server.connections == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 2000\r\n\r\n%b", CHUNKED + b"\r\n7d0\r\n%b\r\n0\r\n\r\n"])
def test_an_answer_of_the_size_that_is_accepted_and_one_beyond_it(framing) -> None:
    answer = OK + framing % (b'{"result":"' + b"x" * 1_987 + b'"}')
    with serving(lambda exchange: exchange.send(answer), max_answer=2_000) as (server, client):
        for _ in range(2):
            assert len(client.query(("x",), INPUT).result) == 1_987
        assert server.connections == 1
    with serving(lambda exchange: exchange.send(answer), max_answer=1_999) as (server, client):
        for number in (1, 2):
            with pytest.raises(InvalidResponseError, match="larger than 1999 bytes"):
                client.query(("x",), INPUT)
            assert len(server.exchanges) == server.connections == number


def test_a_length_beyond_what_is_accepted_is_enough() -> None:
    with serving(sending(OK + b"Content-Length: 2001\r\n\r\n"), max_answer=2_000) as (server, client):
        with pytest.raises(InvalidResponseError, match="larger than 2000 bytes"):
            client.query(("x",), INPUT)
        assert len(server.exchanges) == 1


@pytest.mark.parametrize("framing", [b"\r\n", CHUNKED + b"\r\nfffffff\r\n"])
def test_no_more_is_read_than_is_accepted(framing) -> None:
    """It has no end: whoever read on would wait."""

    def answer(exchange: Exchange) -> None:
        exchange.send(OK + framing + b" " * 4_000_000)
        exchange.over.wait()

    with (
        serving(answer, max_answer=1_000_000, deadline=3.0) as (_, client),
        pytest.raises(InvalidResponseError, match="larger than 1000000 bytes"),
    ):
        client.query(("x",), INPUT)


def test_an_empty_answer_is_no_answer_of_opa() -> None:
    for empty in (b"Content-Length: 0\r\n\r\n", CHUNKED + b"\r\n0\r\n\r\n"):

        def answer(exchange: Exchange, data: bytes = OK + empty) -> None:
            exchange.send(data)

        with serving(answer) as (_, client), pytest.raises(InvalidResponseError, match="not well-formed JSON"):
            client.query(("x",), INPUT)
