"""OPA's REST API."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

from bridge.errors import InvalidResponseError, OpaStatusError, UsageError
from bridge.http import HttpClient, HttpFailure, HttpSettings
from bridge.http.settings import DEADLINE, MAX_ANSWER, MAX_BODY, MAX_IDLE, checked_deadline
from bridge.opa.answer import Answer
from bridge.opa.parsed import stored_policy
from bridge.opa.paths import data_path, policy_path, quoted_path
from bridge.opa.queries import Queries, provenance_of, read, sendable
from bridge.opa.question import RulesQuery
from bridge.opa.refusal import fault, refusal
from bridge.opa.replies import CompileReply, Health, MemoryUsage, QueryReply, StoredPolicy
from bridge.opa.version import require
from bridge.process_bound import ProcessBound
from bridge.strict_json import ABSENT, Absent, scan_leniently, sorted_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.http.credentials import Token
    from bridge.http.tls import ClientCertificate, Path
    from bridge.strict_json import Value

_TREE_DEPTH: Final = 10_000
"""OPA answers a policy with its syntax tree as well, which nests as deep as the policy pleases."""

_METRIC: Final = re.compile(r"^(go_memstats_heap_inuse_bytes|go_gc_gomemlimit_bytes) (\S+)$", re.MULTILINE)
_NO_LIMIT: Final = 2**62
"""What Go says where there is none is a little below 2**63."""

_RESULT: Final = re.compile(r'\{(?:"decision_id":"[^"\\]*",)?"result":')
_DECODER: Final = json.JSONDecoder()  # it only tells where a value ends

_NO_INPUT: Final = b'{"input":{}}'


class OpaClient(ProcessBound):
    """Speaks to one OPA; threads and forked children may share it.

    Every call may be given a `deadline` of its own: seconds for the whole of it, from the connection to the last
    byte of the answer, repetitions included. Calls that only read are repeated, at most twice, when a connection
    breaks; calls that write never are. Redirects are not followed; no proxy, `.netrc` or certificate authority is
    taken from the environment.

    Every call raises, besides what it says itself:

    - `EngineUnreachableError`: no connection, or it broke, or TLS failed;
    - `EngineTimeoutError`: no whole answer in time;
    - `OpaStatusError`: an error status, with OPA's code and message;
    - `InvalidResponseError`: an answer that is not what OPA's API promises;
    - `UsageError`: a path, an id or a deadline that makes no sense, or a call after `close`.

    No text of an error holds the token, or a body that was sent.

    Args:
        url: Where OPA is: such as `http://127.0.0.1:8181`, `https://gateway.example/opa` behind a gateway, or
            `unix:///run/opa.sock`.
        token: The bearer token: a text; a file (`pathlib.Path`), read again when it changes; or a function that returns
            it, called for each request. Both are asked again, once, when OPA answers 401.
        ca: PEM file of the only certificate authorities to trust; without one, those that `requests` brings.
        client_certificate: PEM files of a certificate and its key, for an OPA that asks who is there. These files and
            `ca` are read again for new connections when they change.
        deadline: Seconds for a call that is not given a deadline of its own.
        max_answer: The size of the largest answer to accept, in bytes.
        max_idle: Seconds for which a connection that nobody uses is kept; less than what stands in between keeps it.
        max_body: The size of a part of a push and of a batch, in bytes, as far as it can be chosen. Parts and batches
            that are still too large for OPA, or for a proxy before it, are halved.

    Raises:
        ConfigurationError: One of these cannot be used.
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
        self._begin(settings)

    @classmethod
    def of(cls, settings: HttpSettings) -> Self:
        """A client with settings that were found usable."""
        client = cls.__new__(cls)
        client._begin(settings)  # noqa: SLF001 - its own
        return client

    def _begin(self, settings: HttpSettings) -> None:
        self.url = str(settings.address)
        self.deadline = settings.deadline
        self.max_body = settings.max_body
        self._settings = settings
        self._queries = Queries(settings)
        self._http = HttpClient(settings)

    def __repr__(self) -> str:
        return f"OpaClient({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def query(
        self,
        path: Sequence[str],
        body: bytes | RulesQuery,
        *,
        provenance: bool = False,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> QueryReply:
        """Ask for a document, by POST: what `data.NAME.NAME...` is for an input.

        Args:
            path: The names from the root down; none for all documents.
            body: JSON, an object with the member `input`; or a question, whose nonce the reply tells.
            provenance: Ask for OPA's version and its bundles' revisions as well, and refuse an OPA that is too old.
            deadline: Seconds.
            fresh: Ask on a new connection, so that whoever spreads connections over several OPAs chooses anew.

        Raises:
            UnsupportedOpaVersionError: Provenance was asked for, and OPA is older than 1.20.1.
        """
        target = self._queries.target(path, provenance=provenance)
        answer = self._call("POST", target, body, deadline, is_read=True, is_query=True, fresh=fresh)
        return self._queries.reply(answer, target, provenance=provenance)

    def get_data(self, path: Sequence[str], *, deadline: float | None = None, fresh: bool = False) -> Value | Absent:
        """A document, rules evaluated without an input, or `ABSENT`.

        Args:
            path: The names from the root down; none for all documents.
            deadline: Seconds.
            fresh: Ask on a new connection, as for `query`.
        """
        target = data_path(path, root=True)
        answer = self._read("GET", target, None, deadline, fresh=fresh)
        return _result(answer, target)

    def get_data_text(self, path: Sequence[str], *, deadline: float | None = None) -> str | Absent:
        """A document's JSON text, as OPA writes it where that can be told, or `ABSENT`; it may break R12.

        Args:
            path: The names from the root down; none for all documents.
            deadline: Seconds.
        """
        target = data_path(path, root=True)
        answer = self._read("GET", target, None, deadline)
        with suppress(ValueError, RecursionError):  # then what is wrong is said below
            text = answer.body.decode("utf-8")
            if (head := _RESULT.match(text)) is not None:
                end = _DECODER.raw_decode(text, head.end())[1]
                if text[end:].strip() == "}":
                    return text[head.end() : end]
        value = _result(answer, target)
        return value if isinstance(value, Absent) else sorted_text(value).decode("utf-8")

    def put_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> None:
        """Make a document, in place of what there may be.

        Args:
            path: The names from the root down, at least one.
            body: The document, in JSON.
            deadline: Seconds.
        """
        self._write("PUT", data_path(path), body, deadline)

    def create_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> bool:
        """Make a document where there is none; gives whether it was made.

        Args:
            path: The names from the root down, at least one.
            body: The document, in JSON.
            deadline: Seconds.
        """
        target = data_path(path)
        answer = self._call("PUT", target, body, deadline, is_read=False, if_absent=True)
        if answer.status == HTTPStatus.NOT_MODIFIED:
            return False
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            raise refusal(answer, f"PUT {target}", self._settings)
        return True

    def patch_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> None:
        """Change a document: all of the operations are done, or none.

        Args:
            path: The names from the root down, at least one.
            body: Operations as of JSON Patch (RFC 6902), of which OPA knows `add`, `remove` and `replace`.
            deadline: Seconds.
        """
        self._write("PATCH", data_path(path), body, deadline)

    def delete_data(self, path: Sequence[str], *, quoted: bool = False, deadline: float | None = None) -> bool:
        """Take a document away; gives whether it was there.

        Args:
            path: The names from the root down, at least one.
            quoted: The names may be made of anything, as those of others are.
            deadline: Seconds.
        """
        return self._delete(quoted_path("data", path) if quoted else data_path(path), deadline)

    def put_policy(self, policy_id: str, text: str, *, deadline: float | None = None) -> None:
        """Install a module, in place of the one of that id; OPA compiles it with all others or refuses it.

        Args:
            policy_id: Simple names joined by `/`, such as `jwt_policy/decision.rego`.
            text: Its Rego.
            deadline: Seconds.
        """
        self._write("PUT", policy_path(policy_id), _encoded(text, "a policy"), deadline)

    def get_policy(self, policy_id: str, *, deadline: float | None = None) -> StoredPolicy | Absent:
        """The module of that id, or `ABSENT`."""
        target = policy_path(policy_id)
        try:
            answer = self._read("GET", target, None, deadline)
        except OpaStatusError as error:
            if _is_not_found(error):
                return ABSENT
            raise
        return stored_policy(_with_trees(answer, f"GET {target}").get("result"), f"GET {target}")

    def list_policies(self, *, deadline: float | None = None) -> tuple[StoredPolicy, ...]:
        """All modules, ordered by id."""
        what = "GET /v1/policies"
        found = _with_trees(self._read("GET", "/v1/policies", None, deadline), what).get("result")
        if not isinstance(found, list):
            raise InvalidResponseError(f"`{what}`: the answer's `result` is no array")
        return tuple(sorted((stored_policy(each, what) for each in found), key=lambda policy: policy.id))

    def delete_policy(self, policy_id: str, *, quoted: bool = False, deadline: float | None = None) -> bool:
        """Take the module of that id away; gives whether it was there.

        Args:
            policy_id: Simple names joined by `/`.
            quoted: The id may be made of anything, as those of others are.
            deadline: Seconds.
        """
        return self._delete(quoted_path("policies", [policy_id]) if quoted else policy_path(policy_id), deadline)

    def kind(self, path: Sequence[str], *, deadline: float | None = None) -> str | None:
        """What JSON type a document has, such as `object`, without reading it; None where there is none.

        Args:
            path: The names from the root down, at least one.
            deadline: Seconds.
        """
        found = self._found(f"found := type_name({_reference(path)})", deadline)
        return found if isinstance(found, str) else None

    def names(self, path: Sequence[str], *, deadline: float | None = None) -> list[str]:
        """The names of an object's members in code point order, without the values, which may be large.

        Args:
            path: The names of an object from the root down, at least one.
            deadline: Seconds.
        """
        found = self._found(f"found := object.keys({_reference(path)})", deadline)
        names = [name for name in found if isinstance(name, str)] if isinstance(found, list) else None
        if names is None or not isinstance(found, list) or len(names) != len(found):
            raise InvalidResponseError("`POST /v1/query`: the answer holds no names")
        return sorted(names)

    def compile(
        self,
        query: str,
        *,
        unknowns: Sequence[str] = ("input",),
        input_: bytes | None = None,
        deadline: float | None = None,
    ) -> CompileReply:
        """Work a query out as far as it can be without the unknowns.

        Args:
            query: Rego.
            unknowns: References, such as `input.resource`.
            input_: What is known of the input, in JSON.
            deadline: Seconds.
        """
        what = "POST /v1/compile"
        members = {"query": query, "unknowns": list(unknowns)}
        body = _encoded(json.dumps(members, ensure_ascii=False), "a query")
        if input_ is not None:
            body = body.removesuffix(b"}") + b', "input": ' + input_ + b"}"
        answer = self._read("POST", "/v1/compile", body, deadline)
        result = answer.members(what, _TREE_DEPTH).get("result")
        if not isinstance(result, dict):
            raise InvalidResponseError(f"`{what}`: the answer has no `result` that is an object")
        parts = [result.get(name, []) for name in ("queries", "support")]
        queries, support = (part if isinstance(part, list) else None for part in parts)
        if queries is None or support is None:
            raise InvalidResponseError(f"`{what}`: `queries` or `support` is no array")
        return CompileReply(tuple(queries), tuple(support))

    def health(self, *, bundles: bool = False, plugins: bool = False, deadline: float | None = None) -> Health:
        """Whether OPA says that it is ready.

        Args:
            bundles: Not before all bundles are active.
            plugins: Not before all plugins are ready.
            deadline: Seconds.
        """
        wanted = [name for name, is_wanted in (("bundles", bundles), ("plugins", plugins)) if is_wanted]
        target = "/health" + ("?" + "&".join(wanted) if wanted else "")
        answer = self._call("GET", target, None, deadline, is_read=True)
        if answer.status == 500:  # noqa: PLR2004 - how OPA says that it is not ready
            return Health(ok=False, message=str(refusal(answer, f"GET {target}", self._settings)))
        if answer.status != 200:  # noqa: PLR2004 - and so that it is
            raise refusal(answer, f"GET {target}", self._settings)
        answer.members(f"GET {target}")
        return Health(ok=True)

    def memory(self, *, deadline: float | None = None) -> MemoryUsage | None:
        """How much memory OPA's process uses and may use, as its metrics tell; None where they cannot be had.

        Args:
            deadline: Seconds.
        """
        answer = self._call("GET", "/metrics", None, deadline, is_read=True)
        if answer.status != 200:  # noqa: PLR2004 - whoever may write data need not be allowed to read them
            return None
        found = dict(_METRIC.findall(answer.body.decode(errors="replace")))
        try:
            used, limit = (float(found[f"go_{name}"]) for name in ("memstats_heap_inuse_bytes", "gc_gomemlimit_bytes"))
        except (KeyError, ValueError):
            return None
        return MemoryUsage(int(used), int(limit) if limit < _NO_LIMIT else None)

    def version(self, path: Sequence[str] = ("system", "version"), *, deadline: float | None = None) -> str:
        """OPA's version, such as `1.20.2`.

        It comes with the answer to any query, so the right to make one is enough.

        Args:
            path: A document that this client may ask for; it need not be there.
            deadline: Seconds.
        """
        target = data_path(path, root=True) + "?provenance=true"
        answer = self._read("POST", target, _NO_INPUT, deadline)
        return provenance_of(answer.members(f"POST {target}"), f"POST {target}")[0]

    def require_version(self, path: Sequence[str] = ("system", "version"), *, deadline: float | None = None) -> str:
        """Refuse an OPA that is too old; `query` with provenance does so by itself, at each answer.

        Args:
            path: A document that this client may ask for; it need not be there.
            deadline: Seconds.

        Returns:
            Its version, such as `1.20.2`.

        Raises:
            UnsupportedOpaVersionError: It is older than 1.20.1.
        """
        version = self.version(path, deadline=deadline)
        require(version)
        return version

    def _found(self, query: str, deadline: float | None) -> Value:
        """What a query binds to `found`; None where it does not hold."""
        what = "POST /v1/query"
        body = _encoded(json.dumps({"query": query}), "a query")
        bindings = self._read("POST", "/v1/query", body, deadline).members(what).get("result", [])
        if not isinstance(bindings, list):
            raise InvalidResponseError(f"`{what}`: the answer's `result` is no array")
        return next((each.get("found") for each in bindings if isinstance(each, dict)), None)

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
    ) -> Answer:
        sent = sendable(body)
        seconds = self.deadline if deadline is None else checked_deadline(deadline)
        http = self._http
        try:
            if is_query or fresh or isinstance(sent, RulesQuery):
                reply = http.query(method, target, sent, seconds=seconds, fresh=fresh)
            else:
                headers = {"If-None-Match": "*"} if if_absent else None
                reply = http.request(method, target, sent, seconds=seconds, is_read=is_read, headers=headers)
        except HttpFailure as error:
            failure = error
        else:
            return Answer(reply.status, reply.body, reply.nonce)
        raise fault(failure, f"{method} {target}", self._settings.address)

    def _read(
        self, method: str, target: str, body: bytes | None, deadline: float | None, *, fresh: bool = False
    ) -> Answer:
        answer = self._call(method, target, body, deadline, is_read=True, fresh=fresh)
        return read(answer, f"{method} {target}", self._settings)

    def _write(self, method: str, target: str, body: bytes | None, deadline: float | None) -> None:
        answer = self._call(method, target, body, deadline, is_read=False)
        if answer.status not in (200, 204):
            raise refusal(answer, f"{method} {target}", self._settings)

    def _delete(self, target: str, deadline: float | None) -> bool:
        try:
            self._write("DELETE", target, None, deadline)
        except OpaStatusError as error:
            if _is_not_found(error):
                return False
            raise
        return True


def _with_trees(answer: Answer, what: str) -> dict[str, Value]:
    """An answer with syntax trees, where other people's policies may hold numbers that R12.5 does not know."""
    try:
        return answer.members(what, _TREE_DEPTH)
    except InvalidResponseError:
        value = scan_leniently(answer.body.decode(errors="replace"))
        if isinstance(value, dict):
            return value
        raise


def _encoded(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except (UnicodeEncodeError, AttributeError):
        raise UsageError(f"{what} must be text without unpaired surrogates") from None


def _reference(path: Sequence[str]) -> str:
    """A document as Rego names it; the names are simple, as those in a URL are."""
    data_path(path)
    return "data" + "".join(f"[{json.dumps(name)}]" for name in path)


def _result(answer: Answer, target: str) -> Value | Absent:
    return answer.members(f"GET {target}").get("result", ABSENT)


def _is_not_found(error: OpaStatusError) -> bool:
    """Whether OPA itself says so: a gateway that knows no such path answers 404 as well."""
    return error.status == 404 and error.opa_code == "resource_not_found"  # noqa: PLR2004
