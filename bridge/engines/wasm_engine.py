"""The rules' Wasm build, run in this process.

`wasmtime` is used directly: see docs/decisions/wasm-in-process.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.decision import Decision, PartialResultError, Request
from bridge.engines import wasm_batch
from bridge.engines.codec import input_for, read_answer
from bridge.engines.local_listing import local_pages, refuse_never_pushed
from bridge.engines.wasm_pool import DEADLINE, Pool, result_of
from bridge.engines.wasm_trimming import TINY_BYTES, Trimming, is_light
from bridge.errors import ConfigurationError, UsageError
from bridge.files import INPUT_BYTES, read_file
from bridge.process_bound import ProcessBound
from bridge.rendering import RuleSet, entrypoints, fingerprint, prebuilt_wasm
from bridge.store import MemoryStore
from bridge.strict_json import Memo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.engines.pages import PageRequest, PageResponse
    from bridge.strict_json import Value

_DAY: Final = 86_400
_ANY: Final = Request(claims=None, type=None)


class WasmEngine(ProcessBound):
    """Decides with the Wasm build of the rules: no server, the default.

    Threads may share one; each evaluation has an instance of its own. A forked child makes its own as well.

    Args:
        rule_set: The settings that the build was rendered for.
        wasm: The file of the build; by default one that comes with the package: for each `require_policy` and
            `versions`, where the other settings are the default ones.
        deadline: Seconds that a question, or all questions of one call of `decide`, may take in Wasm, to a tenth; what
            failed of many is asked again in smaller parts for as long once more.

    Raises:
        ConfigurationError: There is no build of these settings: `jwt-bridge render --wasm` makes one; or the rule set
            verifies raw tokens, which runs on an OPA server only.
        EngineError: The file is no Wasm build of such rules.
        RulesMismatchError: The build is of other settings, or of another release of the rules.
    """

    name = "wasm"
    batch_bytes = 4 * 1024 * 1024

    def __init__(
        self, rule_set: RuleSet | None = None, *, wasm: Path | None = None, deadline: float = DEADLINE
    ) -> None:
        self.rule_set = RuleSet.given(rule_set)
        self.rule_set.refuse_token_checks(self.name)
        path = wasm or prebuilt_wasm(self.rule_set)
        if path is None:
            raise ConfigurationError(
                "no Wasm build of these settings comes with the package, only those of the default claim, resource "
                "types and roots: make one of yours with `jwt-bridge render --wasm`, and name its file"
            )
        self._fingerprint = fingerprint(self.rule_set)
        self._entrypoints = {path.rsplit("/", 1)[-1]: path for path in entrypoints(self.rule_set)}
        self._answer = self._entrypoints["answer"]
        self._store = MemoryStore(self.rule_set.policy.types)
        if not 0 < deadline <= _DAY:
            raise ConfigurationError("the deadline must be a number of seconds, more than 0 and at most a day")
        self._deadline = deadline
        # Few replies are different, and a decision cannot be changed.
        self._decisions = Memo(lambda reply: self._read(reply, 1)[0])
        try:
            self._policy = Pool(read_file(path, limit=INPUT_BYTES, what="a Wasm build"), deadline)
        except OSError as error:
            raise ConfigurationError(
                f"the Wasm file `{path}` cannot be read: {(error.strerror or '').lower()}"
            ) from None
        except UsageError as error:
            raise ConfigurationError(str(error)) from None
        self.install()

    @property
    def store(self) -> MemoryStore:
        """The pushed resources."""
        return self._store

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        """Exactly one decision for each request, in the same order.

        Raises:
            ResourcesMissingError: One of them is by id, and nothing was ever pushed for its type.
            PartialResultError: There are decisions for some of them; it has those.
            EngineError: There is no decision for any of them.
        """
        if len(requests) == 1:
            return [self.explain(requests[0])[0]]
        if not requests:
            return []
        found = [self._store.find(request) for request in requests]
        trimming = Trimming(self.rule_set.policy)
        light, decided, details = trimming.apart(
            [_asked(request, text) for request, (text, _) in zip(requests, found, strict=True)]
        )
        most = wasm_batch.most_together(details)
        answers, fault = wasm_batch.ask(light, most, self._answered, self._deadline)
        if decided:
            answer = iter(answers)
            answers = [decided[place] if place in decided else next(answer) for place in range(len(requests))]
        for request, decision, (_, revision) in zip(requests, answers, found, strict=True):
            if decision is not None:
                refuse_never_pushed(request, decision, revision)
        known = [
            _of(decision, revision)
            for decision, (_, revision) in zip(answers, found, strict=True)
            if decision is not None
        ]
        if fault is None or len(known) == len(requests):
            return known
        if not known:
            raise fault
        each = iter(known)
        raise PartialResultError(fault, tuple(None if decision is None else next(each) for decision in answers))

    def explain(self, request: Request) -> tuple[Decision, bytes | None]:
        """The decision, and the stored resource it is about, in canonical text, where it was asked by id and known.

        Raises:
            ResourcesMissingError: It is asked by id, and nothing was ever pushed for its type.
            EngineError: There is no decision.
        """
        text, revision = self._store.find(request)
        asked = _asked(request, text)
        question = asked.text
        if len(question) > TINY_BYTES and not is_light(question):
            light = Trimming(self.rule_set.policy).light(asked)
            if isinstance(light, Decision):
                refuse_never_pushed(request, light, revision)
                return _of(light, revision), text
            question = light.text
        reply = self._policy.reply(self._answer, question)
        decision = self._decisions(reply)
        if decision is None:
            [decision] = self._read(reply, 1)
        refuse_never_pushed(request, decision, revision)
        return _of(decision, revision), text

    def list_pages(self, request: PageRequest) -> PageResponse:
        """A pages of a list.

        Raises:
            ResourcesMissingError: Nothing was ever pushed for the type.
            EngineError: There is no list.
        """
        try:
            return local_pages(request, self.decide, self._store, self.rule_set.policy)
        except PartialResultError as partial:  # a list of some of what is allowed is none
            raise partial.fault from partial

    def query(self, entrypoint: str, input_: bytes) -> Value:
        """What a public entrypoint, such as `decision`, is for an input in canonical text; nothing is stored there.

        Raises:
            EngineError: There is no answer.
        """
        value: Value = self._policy.evaluate(self._entrypoints[entrypoint], input_)
        return value

    def install(self) -> None:
        """Nothing to install; make sure that the rules are those of the settings, and answer."""
        read_answer(self.query("answer", b"{}"), [_ANY], fingerprint=self._fingerprint, engine=self.name)

    def close(self) -> None:
        """Let go of the instances."""
        self._policy.close()

    def _answered(self, requests: Sequence[Request], seconds: float) -> list[Decision]:
        return self._read(self._policy.reply(self._answer, input_for(requests), seconds), len(requests))

    def _read(self, reply: bytes, count: int) -> list[Decision]:
        return read_answer(result_of(reply), [_ANY] * count, fingerprint=self._fingerprint, engine=self.name)


def _asked(request: Request, stored: bytes | None) -> Request:
    """The request with the stored resource that it is about.

    That one was checked when it was pushed, and was looked up by the same type and id as the rules would.
    """
    return request if stored is None else request._replace(resource=stored)


def _of(decision: Decision, revision: str | None) -> Decision:
    return decision if revision is None else replace(decision, revision=revision)
