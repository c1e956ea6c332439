"""OPA's REST API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from bridge.errors import InvalidResponseError, OpaStatusError
from bridge.opa.base_client import OpaCalls, encoded, is_not_found
from bridge.opa.opa_errors import status_error
from bridge.opa.paths import data_path, data_reference, policy_path, quoted_path
from bridge.opa.queries import RulesQuery, checked_body, provenance_of, query_reply, query_target, require_ok
from bridge.opa.replies import (
    CompileReply,
    Health,
    MemoryUsage,
    QueryReply,
    StoredPolicy,
    compile_reply,
    json_object,
    memory_usage,
    result_of,
    result_text,
    stored_policy,
    tree_object,
)
from bridge.opa.version import require
from bridge.strict_json import ABSENT, Absent, Value

_NO_INPUT: Final = b'{"input":{}}'
_VERSION_PATH: Final = ("system", "version")


class OpaClient(OpaCalls):
    """A synchronous client for one OPA; threads and forked children may share it.

    Every call takes a `deadline` in seconds for the whole of it, with all retries. Calls that only read are retried at
    most twice when a connection breaks, or when a gateway answers 502, 503 or 504. Calls that write are never retried.
    The client follows no redirects, and takes no proxy, `.netrc` or certificate authority from the environment.

    Every call raises, besides its own errors:

    - `EngineUnreachableError`: no connection, a broken one, a failure of TLS, or a token or certificate file that
      cannot be read any more;
    - `EngineTimeoutError`: no whole response within the deadline;
    - `OpaStatusError`: an error status, with OPA's code and message;
    - `InvalidResponseError`: a response that breaks OPA's API;
    - `UsageError`: a malformed path, id or deadline, or a call after `close`.

    No error text holds the token or the body of a request.

    Args:
        url: The address of OPA, such as `http://127.0.0.1:8181`, `https://gateway.example/opa` behind a gateway, or
            `unix:///run/opa.sock`.
        token: The bearer token: a text; a file (`pathlib.Path`), read again when it changes; or a function that returns
            it, called for each request. After a 401 the client reads the file, or calls the function, once more.
        ca: PEM file with the only certificate authorities to trust; by default those that `requests` brings.
        client_certificate: PEM files of a certificate and its key, for an OPA that asks for one. When these files or
            `ca` change, new connections use the new files.
        deadline: The deadline of a call, in seconds, unless the call sets its own.
        max_answer: The largest response body to accept, in bytes.
        max_idle: Seconds for which an idle connection is kept; set it below the limit of every balancer in between.
        max_body: The size of a part of a push and of a batch, in bytes. Parts and batches that are still too large for
            OPA, or for a proxy before it, are halved.

    Raises:
        ConfigurationError: A setting cannot be used.
    """

    def query(
        self,
        path: Sequence[str],
        body: bytes | RulesQuery,
        *,
        provenance: bool = False,
        deadline: float | None = None,
        fresh: bool = False,
    ) -> QueryReply:
        """Query a document by POST: `data.NAME.NAME...` for an input.

        Args:
            path: The names from the root down; none for all documents.
            body: A JSON object with the member `input`, or a `RulesQuery`, whose nonce the reply holds.
            provenance: Ask also for OPA's version and its bundles' revisions, and refuse an OPA that is too old.
            deadline: Seconds.
            fresh: Use a new connection, so that a balancer in between chooses an OPA again.

        Raises:
            UnsupportedOpaVersionError: The query asked for provenance, and OPA is older than 1.20.1.
        """
        target = query_target(path, provenance=provenance)
        reply = self._call("POST", target, checked_body(body), deadline, is_read=True, is_query=True, fresh=fresh)
        return query_reply(reply, target, self._settings, provenance=provenance)

    def get_data(self, path: Sequence[str], *, deadline: float | None = None, fresh: bool = False) -> Value | Absent:
        """Return a document, with rules evaluated without an input, or `ABSENT`.

        Args:
            path: The names from the root down; none for all documents.
            deadline: Seconds.
            fresh: Use a new connection, as for `query`.
        """
        target = data_path(path, root=True)
        return result_of(self._read("GET", target, None, deadline, fresh=fresh), f"GET {target}")

    def get_data_text(self, path: Sequence[str], *, deadline: float | None = None) -> str | Absent:
        """Return a document's JSON text, in OPA's own spelling if possible, or `ABSENT`; it may break R12.

        Args:
            path: The names from the root down; none for all documents.
            deadline: Seconds.
        """
        target = data_path(path, root=True)
        return result_text(self._read("GET", target, None, deadline), f"GET {target}")

    def put_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> None:
        """Write a document, in place of the old one if there is one.

        Args:
            path: The names from the root down, at least one.
            body: The document, in JSON.
            deadline: Seconds.
        """
        self._write("PUT", data_path(path), body, deadline)

    def create_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> bool:
        """Create a document unless there is one, and return whether it was created.

        Args:
            path: The names from the root down, at least one.
            body: The document, in JSON.
            deadline: Seconds.
        """
        target = data_path(path)
        reply = self._call("PUT", target, checked_body(body), deadline, is_read=False, if_absent=True)
        if reply.status == HTTPStatus.NOT_MODIFIED:
            return False
        self._require_written(reply, f"PUT {target}")
        return True

    def patch_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> None:
        """Change a document: OPA applies all operations or none.

        Args:
            path: The names from the root down, at least one.
            body: Operations of JSON Patch (RFC 6902); OPA supports `add`, `remove` and `replace`.
            deadline: Seconds.
        """
        self._write("PATCH", data_path(path), body, deadline)

    def delete_data(self, path: Sequence[str], *, quoted: bool = False, deadline: float | None = None) -> bool:
        """Delete a document, and return whether it was there.

        Args:
            path: The names from the root down, at least one.
            quoted: Allow any characters in the names, for documents of others.
            deadline: Seconds.
        """
        return self._delete(quoted_path("data", path) if quoted else data_path(path), deadline)

    def put_policy(self, policy_id: str, text: str, *, deadline: float | None = None) -> None:
        """Install a module, in place of the one with this id; OPA compiles it with all others or refuses it.

        Args:
            policy_id: Simple names joined by `/`, such as `jwt_policy/decision.rego`.
            text: The Rego.
            deadline: Seconds.
        """
        self._write("PUT", policy_path(policy_id), encoded(text, "a policy"), deadline)

    def get_policy(self, policy_id: str, *, deadline: float | None = None) -> StoredPolicy | Absent:
        """Return the module with this id, or `ABSENT`."""
        target = policy_path(policy_id)
        try:
            reply = self._read("GET", target, None, deadline)
        except OpaStatusError as error:
            if is_not_found(error):
                return ABSENT
            raise
        return stored_policy(tree_object(reply, f"GET {target}").get("result"), f"GET {target}")

    def list_policies(self, *, deadline: float | None = None) -> tuple[StoredPolicy, ...]:
        """Return all modules, ordered by id."""
        what = "GET /v1/policies"
        modules = tree_object(self._read("GET", "/v1/policies", None, deadline), what).get("result")
        if not isinstance(modules, list):
            raise InvalidResponseError(f"`{what}`: the answer's `result` is not an array")
        return tuple(sorted((stored_policy(module, what) for module in modules), key=lambda policy: policy.id))

    def delete_policy(self, policy_id: str, *, quoted: bool = False, deadline: float | None = None) -> bool:
        """Delete the module with this id, and return whether it was there.

        Args:
            policy_id: Simple names joined by `/`.
            quoted: Allow any characters in the id, for modules of others.
            deadline: Seconds.
        """
        return self._delete(quoted_path("policies", [policy_id]) if quoted else policy_path(policy_id), deadline)

    def kind(self, path: Sequence[str], *, deadline: float | None = None) -> str | None:
        """Return the JSON type of a document, such as `object`, without reading it; None if there is no document."""
        name = self._evaluated(f"type_name({data_reference(path)})", deadline)
        return name if isinstance(name, str) else None

    def names(self, path: Sequence[str], *, deadline: float | None = None) -> list[str]:
        """Return the names of an object's members in code point order, without reading the values, which may be large.

        Args:
            path: The names of an object from the root down, at least one.
            deadline: Seconds.
        """
        keys = self._evaluated(f"object.keys({data_reference(path)})", deadline)
        names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else None
        if names is None or not isinstance(keys, list) or len(names) != len(keys):
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
        """Evaluate a query partially, as far as it does not depend on the unknowns.

        Args:
            query: Rego.
            unknowns: References, such as `input.resource`.
            input_: The known part of the input, in JSON.
            deadline: Seconds.
        """
        members = {"query": query, "unknowns": list(unknowns)}
        body = encoded(json.dumps(members, ensure_ascii=False), "a query")
        if input_ is not None:
            body = body.removesuffix(b"}") + b', "input": ' + input_ + b"}"
        return compile_reply(self._read("POST", "/v1/compile", body, deadline), "POST /v1/compile")

    def health(self, *, bundles: bool = False, plugins: bool = False, deadline: float | None = None) -> Health:
        """Return whether OPA reports that it is ready.

        Args:
            bundles: Require that all bundles are active.
            plugins: Require that all plugins are ready.
            deadline: Seconds.
        """
        required = [name for name, is_required in (("bundles", bundles), ("plugins", plugins)) if is_required]
        target = "/health" + ("?" + "&".join(required) if required else "")
        reply = self._call("GET", target, None, deadline, is_read=True)
        if reply.status == HTTPStatus.INTERNAL_SERVER_ERROR:  # OPA is not ready
            return Health(ok=False, message=str(status_error(reply, f"GET {target}", self._settings)))
        json_object(require_ok(reply, f"GET {target}", self._settings), f"GET {target}")
        return Health(ok=True)

    def memory(self, *, deadline: float | None = None) -> MemoryUsage | None:
        """Return the memory of OPA's process by its metrics; None if OPA does not give them."""
        return memory_usage(self._call("GET", "/metrics", None, deadline, is_read=True))

    def version(self, path: Sequence[str] = _VERSION_PATH, *, deadline: float | None = None) -> str:
        """Return OPA's version, such as `1.20.2`.

        Every response to a query holds it, so a token that may make one query is enough.

        Args:
            path: A document that this client may query; it need not exist.
            deadline: Seconds.
        """
        target = query_target(path, provenance=True)
        reply = self._read("POST", target, _NO_INPUT, deadline)
        return provenance_of(json_object(reply, f"POST {target}"), f"POST {target}")[0]

    def require_version(self, path: Sequence[str] = _VERSION_PATH, *, deadline: float | None = None) -> str:
        """Refuse an OPA that is too old, and return its version; `query` with provenance does so for each response.

        Args:
            path: A document that this client may query; it need not exist.
            deadline: Seconds.

        Raises:
            UnsupportedOpaVersionError: OPA is older than 1.20.1.
        """
        version = self.version(path, deadline=deadline)
        require(version)
        return version

    def _evaluated(self, term: str, deadline: float | None) -> Value:
        """Return the value of a term of Rego; None where it is undefined."""
        what = "POST /v1/query"
        body = encoded(json.dumps({"query": f"value := {term}"}), "a query")
        bindings = json_object(self._read("POST", "/v1/query", body, deadline), what).get("result", [])
        if not isinstance(bindings, list):
            raise InvalidResponseError(f"`{what}`: the answer's `result` is not an array")
        return next((binding.get("value") for binding in bindings if isinstance(binding, dict)), None)
