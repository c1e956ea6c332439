"""The table of answers: raw bytes that a server sends, and what every client must make of them.

The synchronous client of OPA, the asynchronous one and the fetch of a JWK set are tested with each row. A difference
that remains is said in the row with its reason; it is only ever between an answer and an error.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from typing import Final

ANSWER: Final = b'{"result":true}'

KEPT: Final = "the answer, and the connection is used again"
CLOSED: Final = "the answer, and the connection is not used again"
INVALID: Final = "no HTTP"
BROKEN: Final = "the connection was closed in the middle"
NOTHING: Final = "the connection was closed before the answer"
ENCODED: Final = "a content encoding that was not asked for"
TOO_LARGE: Final = "larger than accepted"

ASYNC: Final = "async"

OK: Final = b"HTTP/1.1 200 OK\r\n"
LENGTH: Final = b"Content-Length: 15\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
CHUNKS: Final = b"f\r\n" + ANSWER + b"\r\n0\r\n\r\n"
TOKEN_CHARACTERS: Final = b"!#$%&'*+-.^_`|~" + (string.digits + string.ascii_letters).encode()


@dataclass(frozen=True)
class Row:
    """An answer.

    Attributes:
        name: What is odd about it.
        data: Its bytes.
        verdict: What the clients make of it: one of the above, or `status` and a number.
        ends: The server closes the connection after it.
        differs: Another verdict of a client, with its reason.
    """

    name: str
    data: bytes
    verdict: str
    ends: bool = False
    differs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def verdict_of(self, client: str) -> str:
        return self.differs.get(client, (self.verdict, ""))[0]


def _fields(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Header fields in front of a body of 15 bytes."""
    return [Row(name, OK + fields + b"\r\n" + ANSWER, verdict) for name, fields in named]


def _lines(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Status lines."""
    return [Row(name, line + LENGTH + b"\r\n" + ANSWER, verdict) for name, line in named]


def _codings(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Header fields in front of a body in chunks."""
    return [Row(name, OK + fields + b"\r\n" + CHUNKS, verdict) for name, fields in named]


def _chunks(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Chunks behind a head."""
    return [Row(name, OK + CHUNKED + b"\r\n" + chunks, verdict) for name, chunks in named]


def _sized(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Lines with the size of a chunk of 15 bytes."""
    return _chunks(verdict, *((name, line + ANSWER + b"\r\n0\r\n\r\n") for name, line in named))


def _trailers(verdict: str, *named: tuple[str, bytes]) -> list[Row]:
    """Lines behind the last chunk."""
    return _chunks(verdict, *((name, b"f\r\n" + ANSWER + b"\r\n0\r\n" + lines) for name, lines in named))


def _cut(verdict: str, *data: bytes) -> list[Row]:
    """Answers that end with their connection."""
    return [Row(f"cut off after {part[-30:]!r}", part, verdict, ends=True) for part in data]


def _but(rows: list[Row], verdict: str, reason: str) -> list[Row]:
    """The same rows, with another verdict of the asynchronous client."""
    return [Row(row.name, row.data, row.verdict, row.ends, {ASYNC: (verdict, reason)}) for row in rows]


_PLAIN: Final = OK + LENGTH + b"\r\n" + ANSWER

STATUS_LINES: Final = [
    *_lines(
        KEPT,
        ("plain", OK),
        ("no reason", b"HTTP/1.1 200\r\n"),
        ("an empty reason", b"HTTP/1.1 200 \r\n"),
        ("a line feed alone", b"HTTP/1.1 200 OK\n"),
        ("any reason", b"HTTP/1.1 200 Or not, in\tno way \xff\r\n"),
        ("a null character in the reason", b"HTTP/1.1 200 O\0K\r\n"),
        ("a long reason", b"HTTP/1.1 200 " + b"x" * 65_536 + b"\r\n"),
        ("a line feed before the status", b"\n" + OK),
        ("a line before the status", b"\r\n" + OK),
        ("lines before the status", b"\n\r\n\r\r\n" + OK),
        ("a carriage return before the status", b"\r" + OK),
    ),
    *_lines(CLOSED, ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n")),
    *_lines(
        INVALID,
        ("HTTP/1.2", b"HTTP/1.2 200 OK\r\n"),
        ("HTTP/1.9", b"HTTP/1.9 200 OK\r\n"),
        ("HTTP/0.9", b"HTTP/0.9 200 OK\r\n"),
        ("HTTP/2.0", b"HTTP/2.0 200 OK\r\n"),
        ("HTTP/2", b"HTTP/2 200 OK\r\n"),
        ("HTTP/1.10", b"HTTP/1.10 200 OK\r\n"),
        ("HTTP/1.", b"HTTP/1. 200 OK\r\n"),
        ("HTTP/1x1", b"HTTP/1x1 200 OK\r\n"),
        ("small letters", b"http/1.1 200 OK\r\n"),
        ("no space", b"HTTP/1.1200 OK\r\n"),
        ("two spaces", b"HTTP/1.1  200 OK\r\n"),
        ("status 020", b"HTTP/1.1 020 OK\r\n"),
        ("status 20", b"HTTP/1.1 20 OK\r\n"),
        ("status 2000", b"HTTP/1.1 2000 OK\r\n"),
        ("status 200OK", b"HTTP/1.1 200OK\r\n"),
        ("a tab", b"HTTP/1.1 200\tOK\r\n"),
        ("a carriage return", b"HTTP/1.1 200 O\rK\r\n"),
        ("two carriage returns", b"HTTP/1.1 200 OK\r\r\n"),
        ("a space before", b" HTTP/1.1 200 OK\r\n"),
        ("no status line", b"HTT\n"),
        ("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("an alert of TLS", b"\x15\x03\x01\x00\x02\x02\x46\r\n"),
        ("too long a reason", b"HTTP/1.1 200 " + b"x" * 65_537 + b"\r\n"),
    ),
    *(
        Row(f"status {status}", b"HTTP/1.1 %d Odd\r\n" % status + LENGTH + b"\r\n" + ANSWER, f"status {status}")
        for status in (201, 206, 299, 301, 399, 400, 451, 500, 599, 999)
    ),
    *(
        Row(f"status {status} with {name}", b"HTTP/1.1 %d Odd\r\n" % status + framing + b"\r\n", f"status {status}")
        for status in (204, 304)
        for name, framing in (("a length", LENGTH), ("chunks", CHUNKED), ("nothing", b""))
    ),
]

INTERIM: Final = [
    *(
        Row(f"{status} before the answer", b"HTTP/1.1 %d X\r\nX: y\r\n\r\n" % status + _PLAIN, KEPT)
        for status in (100, 102, 103, 199)
    ),
    Row("many interim answers", b"HTTP/1.1 102 Processing\r\n\r\n" * 200 + _PLAIN, KEPT),
    Row("an interim answer with a length", b"HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\n" + _PLAIN, KEPT),
    Row("an interim answer with chunks", b"HTTP/1.1 103 Early\r\nTransfer-Encoding: gzip\r\n\r\n" + _PLAIN, KEPT),
    Row("an interim answer with an encoding", b"HTTP/1.1 103 Early\r\nContent-Encoding: gzip\r\n\r\n" + _PLAIN, KEPT),
    Row("an interim answer that closes", b"HTTP/1.1 103 Early\r\nConnection: close\r\n\r\n" + _PLAIN, INVALID),
    Row("an interim answer of HTTP/1.0", b"HTTP/1.0 103 Early\r\n\r\n" + _PLAIN, INVALID),
    Row("an interim answer that is none", b"HTTP/1.1 100 Continue\r\nnonsense\r\n\r\n" + _PLAIN, INVALID),
    Row("nonsense behind an interim answer", b"HTTP/1.1 100 Continue\r\n\r\nnonsense\r\n\r\n", INVALID),
    Row("101", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
    Row("101 with a length", b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 3\r\n\r\n", "status 101"),
    Row("101 to another protocol", b"HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "status 101"),
]

LENGTHS: Final = [
    *_fields(
        KEPT,
        ("no space", b"content-length:15\r\n"),
        ("spaces", b"CONTENT-LENGTH: \t 15 \t \r\n"),
        ("zeros", b"Content-Length: " + b"0" * 38 + b"15\r\n"),
        ("a space before the colon", b"Content-Length : 15\r\n"),
        ("spaces before the colon", b"Content-Length  : 15\r\n"),
        ("a fold before the length", b"Content-Length:\r\n 15\r\n"),
        ("folds before the length", b"Content-Length:\r\n \r\n 15\r\n"),
    ),
    *_fields(
        INVALID,
        ("two lengths", LENGTH + b"Content-Length: 16\r\n"),
        ("the same length twice", LENGTH * 2),
        ("the same length written otherwise", LENGTH + b"Content-Length: 015\r\n"),
        ("a list of lengths", b"Content-Length: 15, 15\r\n"),
        ("a list of one length", b"Content-Length: 15,\r\n"),
        ("a sign", b"Content-Length: +15\r\n"),
        ("a negative length", b"Content-Length: -1\r\n"),
        ("another base", b"Content-Length: 0x0f\r\n"),
        ("other digits", b"Content-Length: \xd9\xa1\xd9\xa5\r\n"),
        ("an empty length", b"Content-Length:\r\n"),
        ("a length beyond all bounds", b"Content-Length: " + b"1" * 30 + b"\r\n"),
        ("a length of 65 bits", b"Content-Length: 18446744073709551616\r\n"),
        ("a letter behind", b"Content-Length: 15a\r\n"),
        ("a space in it", b"Content-Length: 1 5\r\n"),
        ("a fold in it", b"Content-Length: 1\r\n 5\r\n"),
        ("a fold behind it", LENGTH + b" folded\r\n"),
        ("an empty fold behind it", LENGTH + b" \r\n"),
        ("a tab before the colon", b"Content-Length\t: 15\r\n"),
    ),
    *_fields(TOO_LARGE, ("a length of 64 bits", b"Content-Length: 18446744073709551615\r\n")),
    Row("no length", OK + b"\r\n" + ANSWER, CLOSED, ends=True),
]

CODINGS: Final = [
    *_codings(
        KEPT,
        ("chunks", CHUNKED),
        ("chunks in capitals", b"TRANSFER-ENCODING: Chunked\r\n"),
        ("`chunked` on two lines", CHUNKED * 2),
        ("`chunked` twice on one line", b"Transfer-Encoding: chunked, chunked\r\n"),
        ("a fold before `chunked`", b"Transfer-Encoding:\r\n chunked\r\n"),
        ("a space before the colon of the coding", b"Transfer-Encoding : chunked\r\n"),
    ),
    Row("chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + CHUNKS, CLOSED),
    *_codings(
        INVALID,
        ("a length, then chunks", LENGTH + CHUNKED),
        ("chunks, then a length", CHUNKED + LENGTH),
        ("another coding before chunks", b"Transfer-Encoding: gzip, chunked\r\n"),
        ("another coding on the line before", b"Transfer-Encoding: gzip\r\n" + CHUNKED),
        ("another coding after chunks", b"Transfer-Encoding: chunked, gzip\r\n"),
        ("another coding on the line after", CHUNKED + b"Transfer-Encoding: gzip\r\n"),
        ("identity after chunks", CHUNKED + b"Transfer-Encoding: identity\r\n"),
        ("another word", b"Transfer-Encoding: xchunked\r\n"),
        ("a parameter", b"Transfer-Encoding: chunked;q=1\r\n"),
        ("a comma behind", b"Transfer-Encoding: chunked,\r\n"),
        ("a comma before", b"Transfer-Encoding: , chunked\r\n"),
        ("a space before a comma", b"Transfer-Encoding: chunked , chunked\r\n"),
        ("a fold in the coding", b"Transfer-Encoding: chun\r\n ked\r\n"),
        ("a fold between codings", b"Transfer-Encoding: chunked\r\n , chunked\r\n"),
    ),
    Row("a fold behind the coding", OK + b"Transfer-Encoding: chunked\r\n \r\n\r\n" + CHUNKS, INVALID, ends=True),
    *_fields(
        INVALID,
        ("identity", b"Transfer-Encoding: identity\r\n"),
        ("an empty coding", b"Transfer-Encoding: \r\n"),
        ("an empty coding and a length", b"Transfer-Encoding: \r\n" + LENGTH),
        ("another coding and a length", b"Transfer-Encoding: gzip\r\n" + LENGTH),
    ),
]

CONNECTIONS: Final = [
    *_fields(
        KEPT,
        ("keep-alive", b"Connection: keep-alive\r\n" + LENGTH),
        ("a word like close", b"Connection: closed\r\n" + LENGTH),
        ("an upgrade that is offered", b"Connection: upgrade\r\nUpgrade: h2c\r\n" + LENGTH),
    ),
    *_fields(
        CLOSED,
        ("close", b"Connection: Close\r\n" + LENGTH),
        ("close in a list", b"Connection: keep-alive, Close\r\n" + LENGTH),
        ("close on a second line", b"Connection: keep-alive\r\nConnection: close\r\n" + LENGTH),
        ("close on a first line", b"Connection: close\r\nConnection: keep-alive\r\n" + LENGTH),
        ("close behind a fold", b"Connection: keep-alive,\r\n close\r\n" + LENGTH),
        ("a space before the colon of close", b"Connection : close\r\n" + LENGTH),
    ),
    Row("keep-alive in HTTP/1.0", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + LENGTH + b"\r\n" + ANSWER, CLOSED),
]

FIELDS: Final = [
    *_fields(
        KEPT,
        ("names of all characters", TOKEN_CHARACTERS + b": x\r\n" + LENGTH),
        ("empty values", b"X:\r\nY: \r\nZ:\t \r\n" + LENGTH),
        ("values of any characters", b"X: y, n: r \xff\x01\x7f\r\n" + LENGTH),
        ("a field twice", b"X: a\r\nX: b\r\nDate: a\r\nDate: b\r\n" + LENGTH),
        ("a line feed alone behind a field", b"X: y\n" + LENGTH),
        ("a line feed alone behind all", LENGTH.replace(b"\r\n", b"\n")),
        ("a fold", b"X: a\r\n b\r\n" + LENGTH),
        ("a fold with a tab", b"X: a\r\n\t\t b\r\n" + LENGTH),
        ("a fold behind a line feed", b"X: a\n b\r\n" + LENGTH),
        ("an empty fold", b"X: a\r\n \r\n" + LENGTH),
        ("a fold of an empty value", b"X:\r\n b\r\n" + LENGTH),
        ("two folds", b"X: a\r\n b\r\n c\r\n" + LENGTH),
        ("a fold that looks like a field", b"X: a\r\n Content-Length: 3\r\n" + LENGTH),
        ("128 fields", b"X: y\r\n" * 127 + LENGTH),
        ("64 KiB in one field", b"X: " + b"x" * (65_536 - 17) + b"\r\n" + LENGTH),
        ("64 KiB in two fields", (b"X: " + b"x" * 32_000 + b"\r\n") * 2 + LENGTH),
    ),
    Row("a line feed alone behind the head", OK + LENGTH + b"\n" + ANSWER, KEPT),
    *_fields(
        INVALID,
        ("129 fields", b"X: y\r\n" * 128 + LENGTH),
        ("a field beyond 64 KiB", b"X: " + b"x" * 65_536 + b"\r\n" + LENGTH),
        ("fields beyond 64 KiB", (b"X: " + b"x" * 33_000 + b"\r\n") * 2 + LENGTH),
        ("a fold beyond 64 KiB", b"X: " + b"x" * 33_000 + b"\r\n " + b"x" * 33_000 + b"\r\n" + LENGTH),
        ("a long name", b"X" * 70_000 + b": y\r\n" + LENGTH),
        ("no colon", b"nonsense\r\n" + LENGTH),
        ("no name", b": x\r\n" + LENGTH),
        ("a space in a name", b"a b: x\r\n" + LENGTH),
        ("a space before another colon", b"X : y\r\n" + LENGTH),
        ("a tab before another colon", b"X\t: y\r\n" + LENGTH),
        ("a fold of nothing", b" x\r\n" + LENGTH),
        ("a carriage return in a value", b"X: a\rContent-Length: 15\r\n" + LENGTH),
        ("two carriage returns behind a value", b"X: y\r\r\n" + LENGTH),
        ("a null character in a value", b"X: a\0b\r\n" + LENGTH),
        *(
            (f"{bytes([other])!r} in a name", b"a%cb: x\r\n" % other + LENGTH)
            for other in b'\0\x01\x1f"(),/;<=>?@[\\]{}\x7f\x80\xff'
        ),
    ),
    Row("a carriage return behind the head", OK + LENGTH + b"\r" + ANSWER, INVALID, ends=True),
    Row("two carriage returns behind the head", OK + LENGTH + b"\r\r\n" + ANSWER, INVALID),
    *_but(
        _fields(INVALID, ("a space before the first field", b" X: y\r\n" + LENGTH)),
        KEPT,
        "aiohttp's parser takes one space before the first field away, and tells nobody",
    ),
]

ENCODINGS: Final = [
    *_fields(
        KEPT,
        ("an empty encoding", b"Content-Encoding:\r\n" + LENGTH),
        ("the encoding identity", b"Content-Encoding: Identity\r\n" + LENGTH),
    ),
    *_fields(
        ENCODED,
        *((encoding, b"Content-Encoding: %b\r\n" % encoding.encode() + LENGTH) for encoding in ("gzip", "BR", "x-odd")),
        ("gzip in a list", b"Content-Encoding: identity, gzip\r\n" + LENGTH),
        ("gzip on a second line", b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n" + LENGTH),
    ),
]

CHUNK_SIZES: Final = [
    *_sized(
        KEPT,
        ("a capital letter", b"F\r\n"),
        ("a zero before the size", b"0f\r\n"),
        ("zeros before the size", b"0" * 39 + b"f\r\n"),
        ("a space behind the size", b"f \r\n"),
        ("spaces behind the size", b"f \t \r\n"),
        ("an extension", b"f;a\r\n"),
        ("an extension with a value", b"f;a=b\r\n"),
        ("an extension with an empty value", b"f;a=\r\n"),
        ("extensions", b'f;a;b=c;d="e;\\"f\xff";g\r\n'),
        ("a space before an extension", b"f ;a\r\n"),
        ("a line feed alone behind an extension", b"f;a\n"),
        ("a long extension", b"f;" + b"x" * 60_000 + b"\r\n"),
    ),
    *_sized(
        INVALID,
        ("a line feed alone behind the size", b"f\n"),
        ("a line feed alone behind a space", b"f \n"),
        *(
            (f"{size!r} for a size", size + b"\r\n")
            for size in (b"-f", b"+f", b"0xf", b"0_f", b" f", b"", b"g", b"f f", b"f\r")
        ),
        ("a size of 68 bits", b"1" * 17 + b"\r\n"),
        ("an extension without a name", b"f;\r\n"),
        ("a space in an extension", b"f; a\r\n"),
        ("a space behind an extension", b"f;a=b \r\n"),
        ("words for an extension", b"f;in other order\r\n"),
        ("a quoted name", b'f;"a"\r\n'),
        ("an open quote", b'f;a="b\r\n'),
        ("something behind a quote", b'f;a="b"x\r\n'),
        ("another character in an extension", b"f;a=\xff\r\n"),
        ("a carriage return in an extension", b"f;a\rb\r\n"),
    ),
    *_chunks(
        KEPT,
        ("two chunks", b"5\r\n" + ANSWER[:5] + b"\r\na\r\n" + ANSWER[5:] + b"\r\n0\r\n\r\n"),
        ("chunks of a byte", b"".join(b"1\r\n%c\r\n" % byte for byte in ANSWER) + b"0\r\n\r\n"),
        ("zeros for the last size", b"f\r\n" + ANSWER + b"\r\n00000\r\n\r\n"),
        ("an extension of the last chunk", b"f\r\n" + ANSWER + b"\r\n0;x\r\n\r\n"),
        ("a line feed alone behind a chunk", b"f\r\n" + ANSWER + b"\n0\r\n\r\n"),
    ),
    *_chunks(
        INVALID,
        ("something else behind a chunk", b"f\r\n" + ANSWER + b"XX0\r\n\r\n"),
        ("nothing behind a chunk", b"f\r\n" + ANSWER + b"0\r\n\r\n"),
        ("a carriage return behind a chunk", b"f\r\n" + ANSWER + b"\r0\r\n\r\n"),
        ("two carriage returns behind a chunk", b"f\r\n" + ANSWER + b"\r\r\n0\r\n\r\n"),
    ),
]

TRAILERS: Final = [
    *_trailers(
        KEPT,
        ("a trailer", b"T: x\r\n\r\n"),
        ("trailers", b"T: x\r\nU: y\r\n\r\n"),
        ("a trailer and a fold", b"T: x\r\n y\r\n\r\n"),
        ("a trailer behind a line feed", b"T: x\n\n"),
        ("no trailer and a line feed", b"\n"),
        ("100 trailers", b"T: x\r\n" * 100 + b"\r\n"),
        ("a trailer that says close", b"Connection: close\r\n\r\n"),
        ("a trailer with a coding", b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"),
        ("a trailer with a length in a fold", b"T: x\r\n Content-Length: 3\r\n\r\n"),
    ),
    *_trailers(
        INVALID,
        ("a trailer that is no field", b"nonsense\r\n\r\n"),
        ("a trailer with a space in its name", b"T : x\r\n\r\n"),
        ("a trailer with a control character in its name", b"T\x01: x\r\n\r\n"),
        ("a trailer that begins with a space", b" T: x\r\n\r\n"),
        ("a trailer with a length", b"Content-Length: 15\r\n\r\n"),
        ("200 trailers", b"T: x\r\n" * 200 + b"\r\n"),
        ("a trailer beyond 64 KiB", b"T: " + b"x" * 65_536 + b"\r\n\r\n"),
    ),
    *_but(
        _trailers(
            INVALID,
            ("trailers beyond 64 KiB together", (b"T: " + b"x" * 40_000 + b"\r\n") * 2 + b"\r\n"),
            ("a null character in the last trailer", b"T: a\0b\r\n\r\n"),
        ),
        KEPT,
        "aiohttp drops trailers without looking at them together, or into the last one",
    ),
]

ENDS: Final = [
    *_cut(NOTHING, b""),
    *_cut(
        BROKEN,
        b"H",
        b"HTTP/1.1",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r",
        OK,
        OK + b"X",
        OK + LENGTH,
        OK + LENGTH + b"\r",
        OK + b"X: " + b"x" * 60_000,
        OK + LENGTH + b"\r\n",
        OK + LENGTH + b"\r\n" + ANSWER[:-1],
        OK + CHUNKED + b"\r\n",
        OK + CHUNKED + b"\r\nf",
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER[:-1],
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER,
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER + b"\r\n",
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER + b"\r\n0",
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER + b"\r\n0\r\n",
        OK + CHUNKED + b"\r\nf\r\n" + ANSWER + b"\r\n0\r\nT: x\r\n",
        b"HTTP/1.1 103 Early\r\n\r\n" + OK,
    ),
    *_cut(INVALID, b"\x15\x03\x01", b"SSH", b"http/1.1", b"nonsense"),
    *_but(
        _cut(INVALID, b"HTTP/2", OK + CHUNKED + b"\r\n" + b"0" * 200_000),
        BROKEN,
        "aiohttp's parser waits for the rest: an error, and another one",
    ),
    Row(
        "an answer in front of another one",
        _PLAIN + _PLAIN,
        KEPT,
        differs={ASYNC: (CLOSED, "the other one is dropped with the buffer, or with the connection: never used")},
    ),
    Row("an answer in front of many others", _PLAIN * 500, CLOSED),
    Row(
        "an answer in front of something else",
        _PLAIN + b"x" * 20_000,
        CLOSED,
        differs={ASYNC: (INVALID, "aiohttp parses all that comes together before the answer is used")},
    ),
]

ROWS: Final = [
    *STATUS_LINES,
    *INTERIM,
    *LENGTHS,
    *CODINGS,
    *CONNECTIONS,
    *FIELDS,
    *ENCODINGS,
    *CHUNK_SIZES,
    *TRAILERS,
    *ENDS,
]
