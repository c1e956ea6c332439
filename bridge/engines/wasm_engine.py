"""Decide by the rules' Wasm build in this process.

`wasmtime` is used directly (see docs/decisions/wasm-in-process.md), and imported with the first engine only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Final

from bridge.decision import Decision, PartialResultError, Request
from bridge.engines import wasm_batch
from bridge.engines.base import PageRequest, PageResponse
from bridge.engines.codec import input_for, read_answer, result_of
from bridge.engines.local_listing import local_pages, refuse_never_pushed
from bridge.engines.wasm_trimming import TINY_BYTES, Trimming, is_light
from bridge.errors import ConfigurationError, UsageError
from bridge.files import INPUT_BYTES, read_file
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet, entrypoints, fingerprint, prebuilt_wasm
from bridge.store import MemoryStore
from bridge.strict_json import Memo, Value

DEADLINE: Final = 10.0
"""The default of the seconds that one evaluation may take."""

_DAY: Final = 86_400
_ANY: Final = Request(claims=None, type=None)


class WasmEngine(ProcessBound):
    """Decides by the Wasm build of the rules, without a server; this is the default.

    Threads may share an engine: each evaluation has its own Wasm instance. A forked child compiles the build again.

    Args:
        rule_set: The settings that the build was rendered for.
        wasm: The file of the build; the default is a build of the package, which has one for each `require_policy` and
            `versions` with default values of the other settings.
        deadline: The seconds, to a tenth, that all requests of one call may take in Wasm. If some of several requests
            fail, they are tried again in smaller parts, for the same time once more.

    Raises:
        ConfigurationError: There is no build for these settings (`jwt-bridge render --wasm` makes one), or the rule set
            verifies raw tokens, which only an OPA server can do.
        EngineError: The file is not a Wasm build of such rules.
        RulesMismatchError: The build has other settings, or another release of the rules.
    """

    name = "wasm"
    batch_bytes = 4 * 1024 * 1024

    def __init__(
        self, rule_set: RuleSet | None = None, *, wasm: str | PathLike[str] | None = None, deadline: float = DEADLINE
    ) -> None:
        self.rule_set: RuleSet = RuleSet.or_default(rule_set)
        self.rule_set.refuse_token_checks(self.name)
        path = prebuilt_wasm(self.rule_set) if wasm is None else wasm
        if path is None:
            raise ConfigurationError(
                "the package has Wasm builds only for the default claim, resource types and roots: make one for these "
                "settings with `jwt-bridge render --wasm`, and name its file (`wasm=`, or --wasm FILE)"
            )
        self._fingerprint = fingerprint(self.rule_set)
        self._entrypoints = {path.rsplit("/", 1)[-1]: path for path in entrypoints(self.rule_set)}
        self._answer = self._entrypoints["answer"]
        self._store = MemoryStore(self.rule_set.policy.types)
        if not 0 < deadline <= _DAY:
            raise ConfigurationError("`deadline` must be a number of seconds, more than 0 and at most a day")
        self._deadline = deadline
        # Many replies are equal, and a decision is immutable.
        self._decisions = Memo(lambda reply: self._read(reply, 1)[0])
        try:
            build = read_file(path, limit=INPUT_BYTES, what="a Wasm build")
        except OSError as error:
            raise ConfigurationError(
                f"the Wasm file `{path}` cannot be read ({(error.strerror or '').lower()}): name another one, or make "
                "one with `jwt-bridge render --wasm`"
            ) from None
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        from bridge.engines.wasm_pool import Pool  # noqa: PLC0415 - wasmtime is large

        self._pool = Pool(build, deadline)
        self.install()

    @property
    def store(self) -> MemoryStore:
        """Return the pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Return exactly one decision for each request, in the same order.

        Raises:
            ResourcesMissingError: One of them is by id, and nothing was ever pushed for its type.
            PartialResultError: There are decisions for some of them; the error has these.
            EngineError: There is no decision for any of them.
        """
        if len(requests) == 1:
            return [self.explain(requests[0])[0]]
        if not requests:
            return []
        stored = [self._store.find(request) for request in requests]
        trimming = Trimming(self.rule_set.policy)
        light, decided, details = trimming.apart(
            [_with_resource(request, text) for request, (text, _) in zip(requests, stored, strict=True)]
        )
        most = wasm_batch.most_together(details)
        decisions, fault = wasm_batch.ask(light, most, self._evaluate, self._deadline)
        if decided:
            by_wasm = iter(decisions)
            decisions = [decided[place] if place in decided else next(by_wasm) for place in range(len(requests))]
        for request, decision, (_, revision) in zip(requests, decisions, stored, strict=True):
            if decision is not None:
                refuse_never_pushed(request, decision, revision)
        known = [
            _with_revision(decision, revision)
            for decision, (_, revision) in zip(decisions, stored, strict=True)
            if decision is not None
        ]
        if fault is None or len(known) == len(requests):
            return known
        if not known:
            raise fault
        each = iter(known)
        raise PartialResultError(fault, tuple(None if decision is None else next(each) for decision in decisions))

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """Return the decision, and the stored resource that a request by id is about, in canonical text, or None.

        Raises:
            ResourcesMissingError: The request is by id, and nothing was ever pushed for its type.
            EngineError: There is no decision.
        """
        text, revision = self._store.find(request)
        request_ = _with_resource(request, text)
        input_ = request_.text
        if len(input_) > TINY_BYTES and not is_light(input_):
            light = Trimming(self.rule_set.policy).light(request_)
            if isinstance(light, Decision):
                refuse_never_pushed(request, light, revision)
                return _with_revision(light, revision), text
            input_ = light.text
        reply = self._pool.reply(self._answer, input_)
        decision = self._decisions(reply)
        if decision is None:
            [decision] = self._read(reply, 1)
        refuse_never_pushed(request, decision, revision)
        return _with_revision(decision, revision), text

    def list_pages(self, request: PageRequest) -> PageResponse:
        """Return pages of a list.

        Raises:
            ResourcesMissingError: Nothing was ever pushed for the type.
            EngineError: There is no list.
        """
        try:
            return local_pages(request, self.decide, self._store, self.rule_set.policy)
        except PartialResultError as partial:  # a part of a list is not a list
            raise partial.fault from partial

    def query(self, entrypoint: str, input_: bytes) -> Value:
        """Return the value of a public entrypoint, such as `decision`, for an input in canonical text.

        Raises:
            EngineError: The evaluation failed.
        """
        value: Value = self._pool.evaluate(self._entrypoints[entrypoint], input_)
        return value

    def install(self) -> None:
        """Make sure that the build has the rules of the settings; there is nothing to install."""
        read_answer(self.query("answer", b"{}"), [_ANY], fingerprint=self._fingerprint, engine=self.name)

    def close(self) -> None:
        """Free the instances."""
        self._pool.close()

    def _evaluate(self, requests: Sequence[Request], seconds: float) -> list[Decision]:
        return self._read(self._pool.reply(self._answer, input_for(requests), seconds), len(requests))

    def _read(self, reply: bytes, count: int) -> list[Decision]:
        return read_answer(result_of(reply), [_ANY] * count, fingerprint=self._fingerprint, engine=self.name)


def _with_resource(request: Request, stored: bytes | None) -> Request:
    """Return the request with the stored resource that it is about.

    The resource was checked by the push, and found by the type and the id by which the rules would find it.
    """
    return request if stored is None else request._replace(resource=stored)


def _with_revision(decision: Decision, revision: str | None) -> Decision:
    return decision if revision is None else replace(decision, revision=revision)
