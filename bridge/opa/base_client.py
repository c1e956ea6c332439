"""The base classes of the clients of OPA: the settings that both share, and the synchronous calls."""

from __future__ import annotations

from http import HTTPStatus
from typing import Self

from bridge.errors import OpaStatusError, UsageError
from bridge.http import HttpRequestError, HttpSettings, Reply
from bridge.http.credentials import Token
from bridge.http.settings import DEADLINE, MAX_ANSWER, MAX_BODY, MAX_IDLE, checked_deadline
from bridge.http.tls import ClientCertificate, Path
from bridge.opa.opa_errors import call_error, status_error
from bridge.opa.queries import RulesQuery, checked_body, require_ok
from bridge.process_bound import ProcessBound


class BaseOpaClient(ProcessBound):
    """A client for one OPA.

    `OpaClient` describes the arguments.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        ca: Path | None = None,
        client_certificate: ClientCertificate | None = None,
        deadline: float = DEADLINE,
        max_answer: int = MAX_ANSWER,
        max_idle: float = MAX_IDLE,
        max_body: int = MAX_BODY,
    ) -> None:
        settings = HttpSettings.checked(
            url,
            token=token,
            ca=ca,
            client_certificate=client_certificate,
            deadline=deadline,
            max_answer=max_answer,
            max_idle=max_idle,
            max_body=max_body,
        )
        self._open(settings)

    @classmethod
    def of(cls, settings: HttpSettings) -> Self:
        """Make a client with settings that have been checked."""
        client = cls.__new__(cls)
        client._open(settings)  # noqa: SLF001 - its own
        return client

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _open(self, settings: HttpSettings) -> None:
        self.url: str = str(settings.address)
        self.deadline: float = settings.deadline
        self.max_body: int = settings.max_body
        self._settings = settings

    def _seconds(self, deadline: float | None) -> float:
        return self.deadline if deadline is None else checked_deadline(deadline)


class OpaCalls(BaseOpaClient):
    """A client for one OPA with synchronous calls, whose failures are errors of the bridge."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _open(self, settings: HttpSettings) -> None:
        from bridge.http.session import HttpClient  # noqa: PLC0415 - `requests` takes long to import

        super()._open(settings)
        self._http = HttpClient(settings)

    def _call(
        self,
        method: str,
        target: str,
        body: bytes | RulesQuery | None,
        deadline: float | None,
        *,
        is_read: bool,
        if_absent: bool = False,
        is_query: bool = False,
        fresh: bool = False,
    ) -> Reply:
        seconds = self._seconds(deadline)
        try:
            if is_query or fresh or isinstance(body, RulesQuery):
                return self._http.query(method, target, body, seconds=seconds, fresh=fresh)
            headers = {"If-None-Match": "*"} if if_absent else None
            return self._http.request(method, target, body, seconds=seconds, is_read=is_read, headers=headers)
        except HttpRequestError as error:
            failure = error
        raise call_error(failure, f"{method} {target}", self._settings.address)

    def _read(
        self, method: str, target: str, body: bytes | None, deadline: float | None, *, fresh: bool = False
    ) -> Reply:
        reply = self._call(method, target, body, deadline, is_read=True, fresh=fresh)
        return require_ok(reply, f"{method} {target}", self._settings)

    def _write(self, method: str, target: str, body: bytes | None, deadline: float | None) -> None:
        sent = None if body is None else checked_body(body)
        self._require_written(self._call(method, target, sent, deadline, is_read=False), f"{method} {target}")

    def _require_written(self, reply: Reply, what: str) -> None:
        if reply.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise status_error(reply, what, self._settings)

    def _delete(self, target: str, deadline: float | None) -> bool:
        try:
            self._write("DELETE", target, None, deadline)
        except OpaStatusError as error:
            if is_not_found(error):
                return False
            raise
        return True


def encoded(text: str, what: str) -> bytes:
    """Return a text in UTF-8, or raise `UsageError`."""
    try:
        return text.encode()
    except (UnicodeEncodeError, AttributeError):
        raise UsageError(f"{what} must be text without unpaired surrogates") from None


def is_not_found(error: OpaStatusError) -> bool:
    """Return whether OPA itself answered 404; a gateway that does not know the path does so as well."""
    return error.status == 404 and error.opa_code == "resource_not_found"  # noqa: PLR2004
