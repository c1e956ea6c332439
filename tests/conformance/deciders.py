"""The deciders of one rule set, asked the same questions and compared with the reference.

A question is a `Request` with claims, type and resource in canonical text. Each way to ask an engine answers all of
them in a batch, and as many as wanted one at a time through the public entrypoints `decision` and `allow`, and those
that share their claims through `decisions`.
"""

from __future__ import annotations

import base64
import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance import tally
from conformance.committed_vectors import shown
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge import reference
from bridge.engines import OpaEngine, WasmEngine
from bridge.opa import OpaClient
from bridge.policy import PolicySettings
from bridge.rendering import RuleSet, TokenChecks, build_wasm, prebuilt_wasm
from bridge.resource import Resource, parse_resource
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import pytest

    from bridge.decision import Request

OTHER: Final = PolicySettings(
    claim='https://example.com/"policy"/{{ claim }}~1',
    types=("agents", "Call-Logs_2", "devices"),
    require_policy=True,
    versions=frozenset({2, 3}),
)
"""Other names than the default ones, `require_policy`, and both versions."""

_HEADER: Final = base64.urlsafe_b64encode(b'{"alg":"EdDSA"}').rstrip(b"=").decode("ascii")
_PATIENCE: Final = 600.0  # seconds for an answer to a thousand questions: the machine may be busy
_EXPIRY: Final = b'"exp":4102444800'  # in 2100

Stored: TypeAlias = "dict[str, dict[bytes, bytes]]"
"""What is stored: canonical texts by resource type and the text of the id."""

Answers: TypeAlias = "Iterator[tuple[str, Sequence[int], Sequence[object]]]"
"""A decider's name, which questions it was asked, and what it answered: decisions, or verdicts of `allow`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer that is not the reference's.

    Attributes:
        decider: Who gave it.
        question: What was asked.
        reference: The reference's decision.
        answer: What was answered: a decision, or a verdict of `allow`.
    """

    decider: str
    question: Request
    reference: dict[str, object]
    answer: object

    @property
    def wanted(self) -> object:
        return self.reference["allow"] if self.decider.endswith("/allow") else self.reference

    def __str__(self) -> str:
        text = self.question.text.decode("utf-8")
        return f"{self.decider} on {text}:\n  wanted {shown(self.wanted)}\n  given  {shown(self.answer)}"


class DifferenceError(AssertionError):
    """Deciders differ from the reference.

    Attributes:
        settings: What the rule set was rendered for.
        differences: All of them, the shortest question first.
    """

    def __init__(self, settings: PolicySettings, differences: Iterable[Difference]) -> None:
        self.settings = settings
        self.differences = sorted(differences, key=lambda difference: difference.question.size)
        shortest = "\n".join(map(str, self.differences[:10]))
        super().__init__(f"{len(self.differences)} answers differ from the reference's ({settings}):\n{shortest}")


class Decider:
    """A way to ask an engine.

    Args:
        name: What its answers are called.
        engine: The engine.
        evaluate: Gives the value of an entrypoint, by its name, for an input.
    """

    def __init__(self, name: str, engine: OpaEngine | WasmEngine, evaluate: Callable[[str, bytes], object]) -> None:
        self.name = name
        self.engine = engine
        self._evaluate = evaluate

    def ask(self, questions: Sequence[Request], alone: int) -> Answers:
        """The answers to all questions; the first `alone` of them are asked one at a time as well."""
        return self._answers(range(len(questions)), questions, alone)

    def _answers(self, indexes: Sequence[int], requests: Sequence[Request], alone: int) -> Answers:
        yield self.name, indexes, [decision.as_dict() for decision in self.engine.decide(requests)]
        singly = [(index, request) for index, request in zip(indexes, requests, strict=True) if index < alone]
        few = [index for index, _ in singly]
        yield f"{self.name}/decision", few, [self._evaluate("decision", request.text) for _, request in singly]
        yield f"{self.name}/allow", few, [self._evaluate("allow", request.text) for _, request in singly]
        for _, grouped in itertools.groupby(singly, key=_subject):
            group = list(grouped)
            if len(group) > 1:
                answer = self._evaluate("decisions", _shared([request for _, request in group]))
                yield (
                    f"{self.name}/decisions",
                    [index for index, _ in group],
                    answer if isinstance(answer, list) else [],
                )


class StoredDecider(Decider):
    """Resources are stored first and asked by id; those that share an id in rounds, one after the other.

    What is no resource, or of no known type, cannot be stored, and is asked as it is.
    """

    def ask(self, questions: Sequence[Request], alone: int) -> Answers:
        for stored, requests in rounds(questions, self.engine.rule_set.policy.types):
            for type_, resources in stored.items():
                self.engine.store.replace(type_, resources)
            yield from self._answers(list(requests), list(requests.values()), alone)


class TokenDecider(Decider):
    """OPA is given the raw token, and verifies it by itself.

    Claims that are no object cannot be in a token. The bridge would send them as they are; at the public entrypoints,
    which take no claims in such a rule set, there is then no token.
    """

    def __init__(
        self, name: str, engine: OpaEngine, evaluate: Callable[[str, bytes], object], key: Ed25519PrivateKey
    ) -> None:
        super().__init__(name, engine, evaluate)
        self._key = key
        self._tokens: dict[bytes, bytes] = {}

    def ask(self, questions: Sequence[Request], alone: int) -> Answers:
        if len(self._tokens) > 10_000:
            self._tokens.clear()
        return super().ask([self.with_token(question) for question in questions], alone)

    def with_token(self, question: Request) -> Request:
        """The question with a token in place of its claims."""
        claims = question.claims
        assert claims is not None
        if not claims.startswith(b"{"):
            return question
        token = self._tokens.get(claims)
        if token is None:
            token = self._tokens[claims] = encode(self._signed(claims))
        return question._replace(claims=None, token=token)

    def _signed(self, claims: bytes) -> str:
        """A token over just that text, so that its numbers stay canonical; `exp` is added, which it must have."""
        payload = b"{" + _EXPIRY + (b"" if claims == b"{}" else b",") + claims[1:]
        message = f"{_HEADER}.{_base64url(payload)}"
        return f"{message}.{_base64url(self._key.sign(message.encode()))}"


class Panel:
    """All deciders of one rule set; the modules are installed in roots of their own on two servers, or one."""

    def __init__(self, opa_urls: tuple[str, str], settings: PolicySettings, folder: Path) -> None:
        self.settings = settings
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
        name = f"conformance_{secrets.token_hex(6)}"
        plain = RuleSet(policy=settings, package_root=f"{name}_plain", data_root=f"{name}_plain_data")
        raw = RuleSet(
            policy=settings,
            package_root=f"{name}_raw",
            data_root=f"{name}_raw_data",
            token=TokenChecks(public, algorithms=("EdDSA",)),
        )
        self.opa, self.opa_raw = (
            OpaEngine(OpaClient(url, deadline=_PATIENCE), rule_set)
            for url, rule_set in zip(opa_urls, (plain, raw), strict=True)
        )
        self.wasm = _wasm(settings, folder)
        for engine in (self.opa, self.opa_raw):
            engine.install()
        self.token = TokenDecider("opa-token", self.opa_raw, _over_http(self.opa_raw), key)
        self.ways: tuple[Decider, ...] = (
            Decider("opa", self.opa, _over_http(self.opa)),
            StoredDecider("opa-stored", self.opa, _over_http(self.opa)),
            self.token,
            Decider("wasm", self.wasm, _in_wasm(self.wasm)),
        )
        self._threads = ThreadPoolExecutor(len(self.ways))

    def compare(self, questions: Sequence[Request], *, alone: int, layer: str | None = None) -> None:
        """Ask every decider, and count what was compared.

        Args:
            questions: The questions.
            alone: How many of them, from the first on, are asked one at a time as well.
            layer: What the answers are counted for, if they are.

        Raises:
            DifferenceError: An answer is not the reference's.
        """
        wanted = [self.reference(question) for question in questions]
        differences = []
        for answers in self._threads.map(lambda way: list(way.ask(questions, alone)), self.ways):
            for decider, indexes, results in answers:
                if layer is not None:
                    tally.count(layer, decider, len(indexes))
                # Too few answers, or too many, are no answer to any of the questions.
                fitting = results if len(results) == len(indexes) else [results] * len(indexes)
                for index, answer in zip(indexes, fitting, strict=True):
                    difference = Difference(decider, questions[index], wanted[index], answer)
                    if shown(answer) != shown(difference.wanted):
                        differences.append(difference)
        if differences:
            raise DifferenceError(self.settings, differences)

    def reference(self, question: Request) -> dict[str, object]:
        """The answer of the definition."""
        texts = {"claims": question.claims, "type": question.type, "resource": question.resource}
        value = {name: parse(text) for name, text in texts.items() if text is not None}
        return reference.decide(value, self.settings).as_dict()

    def close(self) -> None:
        self._threads.shutdown()
        for engine in (self.opa, self.opa_raw):
            engine.uninstall()
            engine.close()
        self.wasm.close()


class Panels(dict[str, Panel]):
    """Panels by name, each made when a test asks for it, on two servers of its own where servers can be started.

    Args:
        settings: What the rule set of each panel is rendered for.
        another_opa_url: Starts a server and returns its address.
        folders: Makes the folders for the Wasm.
    """

    def __init__(
        self,
        settings: dict[str, PolicySettings],
        another_opa_url: Callable[[], str],
        folders: pytest.TempPathFactory,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._another_opa_url = another_opa_url
        self._folders = folders

    def __missing__(self, name: str) -> Panel:
        urls = self._another_opa_url(), self._another_opa_url()
        panel = self[name] = Panel(urls, self._settings[name], self._folders.mktemp("wasm"))
        return panel

    def close(self) -> None:
        for panel in self.values():
            panel.close()


def rounds(questions: Sequence[Request], types: Sequence[str]) -> list[tuple[Stored, dict[int, Request]]]:
    """What to store in each round, and what to ask then, by the number of the question."""
    known = {encode(type_): type_ for type_ in types}
    all_rounds: list[tuple[Stored, dict[int, Request]]] = [({}, {})]
    layers: dict[tuple[bytes, bytes], dict[bytes, int]] = {}
    for index, question in enumerate(questions):
        assert question.resource is not None
        assert question.type is not None
        resource = parse_resource(parse(question.resource))
        if question.type not in known or not isinstance(resource, Resource):
            all_rounds[0][1][index] = question
            continue
        id_ = encode(resource.id)
        layer = layers.setdefault((question.type, id_), {})
        number = layer.setdefault(question.resource, len(layer))
        if number == len(all_rounds):
            all_rounds.append(({}, {}))
        all_rounds[number][0].setdefault(known[question.type], {})[id_] = question.resource
        all_rounds[number][1][index] = question._replace(resource=None, id=id_)
    return all_rounds


def _subject(numbered: tuple[int, Request]) -> tuple[bytes | None, ...]:
    """What questions must share to be asked in one query of `decisions`, and whether they are asked by id."""
    request = numbered[1]
    return request.claims, request.token, request.type, None if request.resource is None else b"inline"


def _shared(requests: Sequence[Request]) -> bytes:
    first = requests[0]
    members = first._replace(resource=None, id=None).text[1:-1]
    items = b",".join([request.resource or request.id or b"" for request in requests])
    name = b'"ids"' if first.resource is None else b'"resources"'
    return b"{%b%b%b:[%b]}" % (members, members and b",", name, items)


def _over_http(engine: OpaEngine) -> Callable[[str, bytes], object]:
    root = engine.rule_set.package_root.split(".")
    return lambda name, text: engine.opa.query((*root, name), b'{"input":' + text + b"}").result


def _in_wasm(engine: WasmEngine) -> Callable[[str, bytes], Any]:
    root = engine.rule_set.package_root.replace(".", "/")
    return lambda name, text: engine._pool.evaluate(f"{root}/{name}", text)


def _wasm(settings: PolicySettings, folder: Path) -> WasmEngine:
    """The build that comes with the package, where its settings are these."""
    if prebuilt_wasm(RuleSet(policy=settings)) is not None:
        return WasmEngine(RuleSet(policy=settings))
    rule_set = RuleSet(policy=settings, package_root="other.rules", data_root="other.resources")
    path = folder / "policy.wasm"
    path.write_bytes(build_wasm(rule_set))
    return WasmEngine(rule_set, wasm=path)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
