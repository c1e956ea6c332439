"""A response on a connection: a strict reader of its head and of its body."""

from __future__ import annotations

import re
from http.client import BadStatusLine, HTTPException, HTTPMessage, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Final

from bridge.http.framing import MAX_FIELDS, MAX_HEAD, framing, is_interim

_LINE: Final = 2 * MAX_HEAD
_PIECE: Final = 1 << 20
_HTTP: Final = b"HTTP/1."
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: ([^\r\n]*))?\r?\n")
# A space before the colon is accepted where aiohttp accepts it: at the fields that its parser interprets.
_SPACED: Final = rb"(?i:content-length|transfer-encoding|connection|proxy-connection|upgrade) +"
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"|" + _SPACED + rb"):([^\r\n\0]*)\r?\n")
_FOLDED: Final = re.compile(rb"[ \t]([^\r\n\0]*)\r?\n")
_QUOTED: Final = rb'"(?:[^"\\\r\n\0-\x08\x0b-\x1f\x7f]|\\[\t !-~\x80-\xff])*"'
_EXTENSION: Final = rb"(?:;" + _TOKEN + rb"(?:=(?:" + _QUOTED + rb"|(?:" + _TOKEN + rb")?))?)+"
_CHUNK: Final = re.compile(rb"0*([0-9A-Fa-f]{1,16})[ \t]*(?:\r\n|" + _EXTENSION + rb"\r?\n)")


class StrictResponse(HTTPResponse):
    """A response of HTTP/1.0 or 1.1.

    `http.client` reads the head with a parser of e-mails, which takes longer than the rest of the call. It also takes
    102 and 103 for the final response, and accepts lengths that contradict each other.

    Attributes:
        fields: Names and values of the head.
    """

    status: int
    code: int
    reason: str
    fields: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    chunk_left: int
    will_close: bool
    is_whole: bool

    def begin(self) -> None:
        """Read the head of the final response.

        Raises:
            RemoteDisconnected: The connection ended before the head.
            IncompleteRead: The connection ended in the head.
            HTTPException: The head is not valid HTTP/1.
            OSError: The connection broke, or the deadline has passed.
        """
        while True:
            self.status, is_1_0 = self._status()
            self.fields = self._fields()
            length, self.chunked, self.will_close = framing(self.status, self.fields, is_1_0=is_1_0)
            if not is_interim(self.status):
                break
        self.code, self.version, self.reason = self.status, 10 if is_1_0 else 11, ""
        self.length, self.chunk_left = length, 0
        self.is_whole = length == 0

    def read(self, amt: int | None = None) -> bytes:
        """Return at most `amt` bytes of the body, fewer only at its end; raise the errors of `body`."""
        if not self.chunked or self.fp is None:
            data = super().read(amt)
            self.is_whole = self.is_whole or self.length == 0
            return data
        pieces: list[bytes] = []
        while (amt is None or amt > 0) and (self.chunk_left or self._next_chunk()):
            piece = self.fp.read(min(self.chunk_left, _PIECE if amt is None else amt))
            if not piece:
                raise IncompleteRead(b"")
            pieces.append(piece)
            self.chunk_left -= len(piece)
            amt = None if amt is None else amt - len(piece)
            if not self.chunk_left:
                self._end_chunk()
        return b"".join(pieces)

    def body(self, limit: int) -> bytes | None:
        """Return the whole body, or None where it has more than `limit` bytes.

        Raises:
            IncompleteRead: The connection ended in the body.
            HTTPException: The chunks are malformed.
            OSError: The connection broke, or the deadline has passed.
        """
        if self.length is not None and self.length > limit:  # refuse it before it comes
            return None
        pieces: list[bytes] = []
        while piece := self.read(_PIECE):
            limit -= len(piece)
            if limit < 0:
                return None
            pieces.append(piece)
        if self.length:
            raise IncompleteRead(b"")
        return b"".join(pieces)

    def _status(self) -> tuple[int, bool]:
        """Return the status, and whether the response is HTTP/1.0."""
        line = self.fp.readline(_LINE)
        while line and not line.strip(b"\r\n"):  # RFC 9112 2.2, and as aiohttp does
            line = self.fp.readline(_LINE)
        line = line.lstrip(b"\r")
        match = _STATUS.fullmatch(line)
        if match is not None and len(match[3] or b"") <= MAX_HEAD:
            return int(match[2]), match[1] == b"0"
        if not line:
            raise RemoteDisconnected("nothing came")
        raise _malformed(line) if _HTTP.startswith(line[: len(_HTTP)]) else BadStatusLine("no status line")

    def _fields(self) -> list[tuple[bytes, bytes]]:
        fields: list[tuple[bytes, bytes]] = []
        size = 0
        while (line := self.fp.readline(_LINE)) not in (b"\r\n", b"\n"):
            if match := _FIELD.fullmatch(line):
                name, value = match[1], match[2].strip(b" \t")
                size += len(name)
            elif fields and (match := _FOLDED.fullmatch(line)):
                name, before = fields.pop()
                more = match[1].strip(b" \t")
                value = b"%b %b" % (before, more) if before else more
                size -= len(before)
            else:
                raise _malformed(line)
            fields.append((name, value))
            size += len(value)
            if len(fields) > MAX_FIELDS or size > MAX_HEAD:
                raise HTTPException("the head is too large")
        return fields

    def _next_chunk(self) -> bool:
        """Read the size of the next chunk, and return whether there is one; the body ends after the last chunk."""
        line = self.fp.readline(MAX_HEAD)
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise _malformed(line)
        self.chunk_left = int(match[1], 16)
        if not self.chunk_left:
            if any(name.lower() == b"content-length" for name, _ in self._fields()):
                raise HTTPException("a length behind chunks")
            self.is_whole = True
            self.close()
        return self.chunk_left > 0

    def _end_chunk(self) -> None:
        end = self.fp.readline(3)
        if end not in (b"\r\n", b"\n"):
            raise IncompleteRead(b"") if end in (b"", b"\r") else HTTPException("a chunk that goes on")


class SessionResponse(StrictResponse):
    """A strict response with the head in the form that `requests` and urllib3 need."""

    headers: HTTPMessage
    msg: HTTPMessage

    def begin(self) -> None:
        """Read the head of the final response; raises the errors of `StrictResponse.begin`."""
        super().begin()
        self.headers = self.msg = HTTPMessage()
        for name, value in self.fields:
            self.msg[name.decode("ascii").rstrip(" ")] = value.decode("iso-8859-1")


def _malformed(line: bytes) -> HTTPException:
    if line.endswith(b"\n") or len(line) >= MAX_HEAD or b"\r" in line[:-1]:
        return HTTPException("a line that is none of HTTP")
    return IncompleteRead(b"")
