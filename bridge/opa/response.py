"""The head of an answer, read strictly, and its body, read by `http.client`."""

from __future__ import annotations

import re
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Final

_LONGEST_LINE: Final = 65_536
_MOST_LINES: Final = 100
_PIECE: Final = 1 << 20
_HTTP: Final = b"HTTP/1."
_STATUS: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: [^\r\n]*)?\r?\n")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))


class Response(HTTPResponse):
    """An answer of HTTP/1.0 or 1.1.

    `http.client` gives the head to the parser of e-mails, which takes longer than the rest of a call together, and
    lets lengths pass that contradict each other. Here a head is three fields, and what is not plain is refused: who
    reads it otherwise than the peer meant would take a piece of one answer for the answer to another call.
    """

    def begin(self) -> None:
        """Read the head.

        Raises:
            RemoteDisconnected: Nothing came.
            IncompleteRead: The connection ended in the head.
            HTTPException: It is no head of HTTP/1.
            OSError: The connection broke, or the deadline has passed.
        """
        status, is_1_0 = self._status()
        fields = self._fields()
        while status == HTTPStatus.CONTINUE:
            status, is_1_0 = self._status()
            fields = self._fields()
        self.status = status
        coding = fields.get(b"transfer-encoding")
        length = fields.get(b"content-length")
        if coding is not None and (coding.lower() != b"chunked" or length is not None):
            raise HTTPException("a transfer coding that is not understood")
        if length is not None and not _LENGTH.fullmatch(length):
            raise HTTPException("a length that is none")
        self.chunked = coding is not None
        self.chunk_left = None
        self.length = None if length is None else int(length)
        if status < HTTPStatus.OK or status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.chunked, self.length = False, 0
        self.will_close = (
            is_1_0
            or b"close" in fields.get(b"connection", b"").lower()
            or not (self.chunked or self.length is not None)
        )

    def body(self, most: int) -> bytes | None:
        """The body, however it is framed, or None where it has more than so many bytes.

        Raises:
            IncompleteRead: The connection ended in it.
            HTTPException: It is not framed as HTTP demands.
            OSError: The connection broke, or the deadline has passed.
        """
        if self.length is not None and self.length > most:  # as announced; it need not come first
            return None
        pieces: list[bytes] = []
        while piece := self.read(_PIECE):
            most -= len(piece)
            if most < 0:
                return None
            pieces.append(piece)
        if self.length:
            raise IncompleteRead(b"")
        return b"".join(pieces)

    def _status(self) -> tuple[int, bool]:
        """The status, and whether it is of HTTP/1.0."""
        line = self.fp.readline(_LONGEST_LINE)
        match = _STATUS.fullmatch(line)
        if match is not None:
            return int(match[2]), match[1] == b"0"
        if not line:
            raise RemoteDisconnected("nothing came")
        raise _why_not(line) if _HTTP.startswith(line[: len(_HTTP)]) else BadStatusLine("no status line")

    def _fields(self) -> dict[bytes, bytes]:
        """What the head says about where the answer ends."""
        fields: dict[bytes, bytes] = {}
        for _ in range(_MOST_LINES):
            line = self.fp.readline(_LONGEST_LINE)
            if line in (b"\r\n", b"\n"):
                return fields
            match = _FIELD.fullmatch(line)
            if match is None:
                raise _why_not(line)
            name = match[1].lower()
            if name in _FRAMING and fields.setdefault(name, match[2]) != match[2]:
                raise HTTPException("two fields that contradict each other")
        raise HTTPException("too many header fields")

    def _read_next_chunk_size(self) -> int:
        # http.client's own takes `-5`, and says the same of `zz` and of a connection that ended.
        line = self.fp.readline(_LONGEST_LINE)
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise _why_not(line)
        return int(match[1], 16)


def _why_not(line: bytes) -> HTTPException:
    if line.endswith(b"\n") or len(line) == _LONGEST_LINE:
        return HTTPException("a line that is none of HTTP")
    return IncompleteRead(b"")
