"""Where an answer ends, byte by byte: what is read as HTTP, what is refused, and when the connection is used again."""

from __future__ import annotations

import string
from http.client import HTTPResponse

import pytest
from fault_server import ANSWER, INPUT, Exchange, replying, sending, serving

from bridge.errors import EngineUnreachableError, InvalidResponseError, OpaStatusError

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 15\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~" + (string.digits + string.ascii_letters).encode()
LONGEST = 65_536


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch) -> None:
    monkeypatch.setattr("bridge.opa.transport.sleep", lambda _: None)


def believed(*answers: bytes) -> None:
    """Each is read as the answer, and all of them come on one connection."""
    with serving(lambda exchange: exchange.send(answers[exchange.number])) as (server, client):
        for answer in answers:
            assert client.query(("x",), INPUT).result is True, answer[:100]
        assert server.connections == 1


def refused(*answers: bytes) -> None:
    """None is read as an answer, none is asked for again, and each ends its connection."""
    with serving(lambda exchange: exchange.send(answers[exchange.number])) as (server, client):
        for number, answer in enumerate(answers, 1):
            with pytest.raises(InvalidResponseError, match="the answer is no http"):
                client.query(("x",), INPUT)
            assert len(server.exchanges) == server.connections == number, answer[:100]


def broken_off(*answers: bytes) -> None:
    """Each is an answer that the connection's end has cut off, so the question is asked again."""
    for answer in answers:
        with serving(sending(answer)) as (server, client):
            with pytest.raises(EngineUnreachableError, match="in the middle of the answer"):
                client.query(("x",), INPUT)
            assert len(server.exchanges) == 3, answer[:100]


# --- the status line


def test_status_lines() -> None:
    lines = [
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 200\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 Or not, in\tno way \xff\r\n",
        b"HTTP/1.5 200 OK\r\n",
        b"HTTP/1.9 200 OK\r\n",
    ]
    believed(*(line + LENGTH + b"\r\n" + ANSWER for line in lines))


def test_lines_that_are_no_status_line() -> None:
    lines = [
        b"HTTP/1x1 200 OK\r\n",
        b"HTTP/1. 200 OK\r\n",
        b"HTTP/1.10 200 OK\r\n",
        b"HTTP/1.1200 OK\r\n",
        b"HTTP/1.1 020 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 200OK\r\n",
        b"HTTP/1.1 200\tOK\r\n",
        b"HTTP/1.1 200 O\rK\r\n",
        b"HTTP/1.1 200 OK\r\r\n",
        b" HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"\n",
        b"HTT\n",
    ]
    refused(*(line + LENGTH + b"\r\n" + ANSWER for line in lines))


@pytest.mark.parametrize("start", [b"H", b"HTTP/1.", b"HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r"])
def test_a_status_line_that_is_cut_off(start) -> None:
    broken_off(start)


@pytest.mark.parametrize("start", [b"\x15", b"SSH", b"HTTP/1x", b"HTTP/2", b"HTTP/1x1 200 OK", b"http/1.1"])
def test_what_is_cut_off_and_cannot_become_a_status_line(start) -> None:
    with serving(sending(start)) as (server, client):
        with pytest.raises(InvalidResponseError, match="the answer is no http"):
            client.query(("x",), INPUT)
        assert len(server.exchanges) == 1


@pytest.mark.parametrize("status", [b"299", b"399"])
def test_a_status_that_opa_does_not_answer(status) -> None:
    with (
        serving(sending(b"HTTP/1.1 " + status + b" OK\r\n" + LENGTH + b"\r\n" + ANSWER)) as (_, client),
        pytest.raises(InvalidResponseError, match=f"status {status.decode()}, which"),
    ):
        client.query(("x",), INPUT)


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


def test_heads_that_only_say_to_go_on() -> None:
    go_on = b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    believed(
        go_on + OK + LENGTH + b"\r\n" + ANSWER, go_on * 3 + OK + CHUNKED + b"\r\nf\r\n" + ANSWER + b"\r\n0\r\n\r\n"
    )
    refused(go_on + b"nonsense\r\n\r\n", b"HTTP/1.1 100 Continue\r\nnonsense\r\n\r\n" + OK + LENGTH + b"\r\n" + ANSWER)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "101 Switching Protocols"])
@pytest.mark.parametrize("framing", [LENGTH, CHUNKED, b""])
def test_a_status_without_a_body_has_none_whatever_its_head_says(status, framing) -> None:
    with (
        serving(lambda exchange: exchange.send(f"HTTP/1.1 {status}\r\n".encode() + framing + b"\r\n")) as (_, client),
        pytest.raises(InvalidResponseError, match=f"status {status[:3]}"),
    ):
        client.query(("x",), INPUT, deadline=60.0)


def test_nothing_at_all() -> None:
    with serving(sending(b"")) as (server, client):
        with pytest.raises(EngineUnreachableError, match="closed before the answer"):
            client.query(("x",), INPUT)
        assert len(server.exchanges) == 3


# --- header fields


def test_header_fields() -> None:
    fields = [
        TOKEN_CHARACTERS + b": x\r\n" + LENGTH,
        b"X:\r\nY: \r\nZ:\t \r\n" + LENGTH,
        b"X: y, n: r \xff\r\n" + LENGTH,
        b"content-length:15\r\n",
        b"CONTENT-LENGTH: \t 15 \t \r\n",
        b"Content-Length: 15\n",
        b"Content-Length: 015\r\n",
        b"Content-Length: 000000000000000015\r\n",
        LENGTH * 3,
        b"X: a\r\nX: b\r\n" + LENGTH,
        b"Connection: keep-alive\r\n" + LENGTH,
        b"X: " + b"x" * (LONGEST - 5) + b"\r\n" + LENGTH,
        b"X: y\r\n" * 98 + LENGTH,
    ]
    believed(*(OK + field + b"\r\n" + ANSWER for field in fields))
    believed(OK + LENGTH + b"\n" + ANSWER)


def test_no_other_character_stands_in_the_name_of_a_field() -> None:
    others = sorted(set(range(256)) - set(TOKEN_CHARACTERS) - set(b":\n"))
    refused(*(OK + b"a%cb: x\r\n" % other + LENGTH + b"\r\n" + ANSWER for other in others))


def test_lines_that_are_no_header_field() -> None:
    fields = [
        b": x\r\n" + LENGTH,
        b"X\r\n" + LENGTH,
        b"X: y\r\r\n" + LENGTH,
        b"X: a\rb\r\n" + LENGTH,
        b"\r\r\n" + LENGTH,
        b"\r",
        LENGTH + b" folded\r\n",
        b"Content-Length: 0000000000000000015\r\n",
        b"Content-Length: 15a\r\n",
        b"Content-Length: a15\r\n",
        b"Content-Length: 1 5\r\n",
        b"Content-Length: 15\r\nContent-Length: 015\r\n",
        b"content-length: 15\r\nCONTENT-LENGTH: 16\r\n",
        b"Connection: close\r\nConnection: keep-alive\r\n" + LENGTH,
        CHUNKED + b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: \r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        CHUNKED + LENGTH,
        LENGTH + CHUNKED,
        b"Transfer-Encoding: gzip\r\n" + LENGTH,
        b"X: " + b"x" * (LONGEST - 4) + b"\r\n" + LENGTH,
        b"X: y\r\n" * 99 + LENGTH,
    ]
    refused(*(OK + field + b"\r\n" + ANSWER for field in fields))


def test_a_line_without_end_is_given_up_at_its_limit() -> None:
    refused(b"HTTP/1.1 200 " + b"x" * (LONGEST - 13), OK + b"x" * LONGEST, OK + CHUNKED + b"\r\n" + b"0" * LONGEST)


def test_a_head_that_is_cut_off() -> None:
    broken_off(OK, OK + b"X", OK + LENGTH, OK + LENGTH + b"\r", OK + b"X: " + b"x" * (LONGEST - 4))


@pytest.mark.parametrize("connection", [b"close", b"CLOSE", b"keep-alive, Close"])
def test_the_server_may_end_the_connection_after_its_answer(connection) -> None:
    head = OK + b"Connection: " + connection + b"\r\n" + LENGTH + b"\r\n"
    with serving(lambda exchange: exchange.send(head + ANSWER)) as (server, client):
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


def test_chunks() -> None:
    believed(
        pieces((b"f\r\n", 15)) + b"0\r\n\r\n",
        pieces((b"F\n", 15)) + b"0\n\n",
        pieces((b"5\r\n", 5), (b"000000000000009\r\n", 9), (b"1 \r\n", 1)) + b"00000 \t ;x\r\n\r\n",
        *(
            pieces((b"%x\r\n" % size, size), (b"%X\r\n" % (15 - size), 15 - size)) + b"0\r\n\r\n"
            for size in range(1, 15)
        ),
        pieces((b"a\t \r\n", 10), (b"5;\r\n", 5)) + b"0\r\n\r\n",
        pieces((b"A;n=r; \xff\n", 10), (b"5 ; in other order\r\n", 5)) + b"0\r\nTrailer: x\r\nOther: y\r\n\r\n",
        OK + b"TRANSFER-ENCODING: Chunked\r\n\r\nf\r\n" + ANSWER + b"\r\n0\r\n\r\n",
        OK + CHUNKED * 2 + b"\r\nf\r\n" + ANSWER + b"\r\n0\r\n\r\n",
    )


@pytest.mark.parametrize(
    "size",
    [b"-5", b"+5", b"0x5", b"5_0", b" 5", b"", b"g", b"G", b"5 5", b"5\r", b"5;a\rb", b"5\r;a", b"0" * 15 + b"5"],
)
def test_sizes_of_no_chunk(size) -> None:
    refused(pieces((size + b"\r\n", 5), (b"a\r\n", 10)) + b"0\r\n\r\n")


def test_bodies_that_are_cut_off() -> None:
    chunks = pieces((b"5\r\n", 5), (b"a\r\n", 10))
    broken_off(
        OK + LENGTH + b"\r\n",
        OK + LENGTH + b"\r\n" + ANSWER[:-1],
        OK + CHUNKED + b"\r\n",
        OK + CHUNKED + b"\r\nf",
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER[:-1],
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER,
        chunks,
        chunks + b"0",
    )


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
    read, pieces = HTTPResponse.read, []

    def counted(self: HTTPResponse, *args: int) -> bytes:
        pieces.append(args)
        return read(self, *args)

    monkeypatch.setattr(HTTPResponse, "read", counted)
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

        with serving(answer) as (_, client), pytest.raises(InvalidResponseError, match="no well-formed json"):
            client.query(("x",), INPUT)
