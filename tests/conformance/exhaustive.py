"""Small scope, exhaustively: `make exhaustive`.

All policies and all resources up to a small size over a small alphabet of awkward values, each of the one with each of
the other: on the reference, on OPA with the resource inline, stored, and with a raw token (one a policy), and in Wasm,
in batches; a sample of them also one at a time through `decision` and `allow`. Ends with 1 where deciders differ.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance import tally
from conformance.deciders import Difference, DifferenceError, Panel, rounds
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bridge import reference
from bridge.decision import Request
from bridge.opa import ManagedOpa
from bridge.policy import PolicySettings
from bridge.resource import Resource, parse_resource
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bridge.decision import Decision
    from bridge.engines import OpaEngine, WasmEngine

SETTINGS: Final = PolicySettings()
VERSIONS: Final = (PolicySettings(versions=frozenset({3})), PolicySettings(versions=frozenset({2, 3})))
"""The other versions, of which only what `subjects_of_versions` gives is asked."""
ALONE: Final = 50_000
_STORED_AT_ONCE: Final = 2_000  # requests in one query
_ALONE_AT_ONCE: Final = 500
_EVERY: Final = 50  # of the rounds of stored resources that are asked subject by subject
_THREADS: Final = 4
_BATCHED: Final = 4  # deciders that are asked all pairs

_GONE: Final = object()
VALUES: Final[tuple[Any, ...]] = (_GONE, None, True, 0, 1, 2**53, 2**53 + 1, "", "1", "a", [], [1], {}, {"a": 1})
NAMES: Final = ("a", "~/")
WANTED_IDS: Final = (_GONE, "a", "A", "")
IDS: Final = ("a", "A", "a ")

ProgressCallback: TypeAlias = "Callable[[int], object]"
Work: TypeAlias = "Callable[[], list[Difference]]"


@dataclass(frozen=True, slots=True)
class Subject:
    """Claims and a type, in canonical text."""

    claims: bytes
    type: bytes


def _objects(members: dict[str, Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """All objects whose members have one of these values each, or are not there."""
    for chosen in itertools.product(*members.values()):
        yield {name: value for name, value in zip(members, chosen, strict=True) if value is not _GONE}


def _custom_data() -> list[Any]:
    return [_GONE, *_objects(dict.fromkeys(NAMES, VALUES))]


def subjects() -> list[Subject]:
    """All claims, each with the types that are worth asking with them.

    Valid policies whose description of devices is all there is; and, asked for both types, policies that are odd in
    their version, their descriptions or their members; and claims that are odd in the policy claim; and odd types.
    """
    devices = encode("devices")
    all_subjects = [
        Subject(encode({"policy": {"version": 2, "devices": description}}), devices)
        for description in _objects({"id": WANTED_IDS, "custom_data": _custom_data()})
    ]
    odd = _objects(
        {
            "version": (2, _GONE, "2", True),
            "devices": (
                _GONE,
                {},
                None,
                [],
                "",
                {"id": 1},
                {"id": None},
                {"custom_data": None},
                {"custom_data": []},
                {"user_id": "a"},
                {"id": 1, "custom_data": 0, "x/~": 0},
            ),
            "sessions": (_GONE, {}, {"id": "a"}, {"custom_data": {"a": 1}, "": 0}, False),
            "device": (_GONE, {}),
        }
    )
    policies = [*odd, None, True, 0, 2, "", "a", [], [{"version": 2}], {}, {"version": 2, "~/": 1, "": 2, "/": 3}]
    versions: tuple[Any, ...] = (1, 3, 20, -2, 2.5, Decimal("2.0000000000000001"), None, [2], "2.0", {})
    policies += [{"version": version, "devices": {}} for version in versions]
    claims = [encode({"policy": policy}) for policy in policies]
    others: tuple[Any, ...] = ({}, {"Policy": {"version": 2}}, {"sub": "a"}, None, [], "policy", 1)
    claims += map(encode, others)
    all_subjects += [Subject(text, encode(type_)) for text in claims for type_ in SETTINGS.types]
    all_subjects += subjects_of_versions()
    matching = encode({"policy": {"version": 2, "devices": {}, "sessions": {}}})
    strange: tuple[Any, ...] = (
        "",
        "device",
        "Devices",
        "devices ",
        "version",
        "policy",
        None,
        0,
        True,
        [],
        ["devices"],
        {},
    )
    all_subjects += [Subject(matching, encode(type_)) for type_ in strange]
    return list(dict.fromkeys(all_subjects))


def subjects_of_versions() -> list[Subject]:
    """Claims of each version, with what may stand beside the types in version 3; asked for a type, and for that."""
    policies = _objects(
        {
            "version": (2, 3, _GONE, "3"),
            "devices": (_GONE, {}, {"id": "a"}, {"permissions": []}),
            "push": (_GONE, {}, {"id": 1}, [], None),
            "features": (_GONE, {}, False),
        }
    )
    claims = [encode({"policy": policy}) for policy in policies]
    return [Subject(text, encode(type_)) for text in claims for type_ in ("devices", "push")]


def resources() -> list[bytes]:
    """All resources: ids with all custom data, and what is no resource."""
    combinations = list(_objects({"id": IDS, "custom_data": _custom_data()}))
    combinations += _objects({"id": (_GONE, None, 1, "", True, [], ["a"], {}), "custom_data": (_GONE, {}, {"a": 1})})
    combinations += _objects({"id": IDS, "custom_data": (None, [], "", 0, False, [{"a": 1}])})
    odd = [None, True, 0, "", "a", [], [{"id": "a"}], {"ID": "a"}, {"id": "a", "a": 1, "~/": 1, "customData": {"a": 1}}]
    return [encode(resource) for resource in [*combinations, *odd]]


class Scope:
    """Subjects and resources, and the reference's decision for each of the one with each of the other.

    Args:
        panel: The deciders.
        subjects_: The claims and types.
        resources_: The resources, in canonical text.
        layer: What the answers are counted for.
        on_progress: Called with the number of answers that were compared, again and again.
    """

    def __init__(
        self,
        panel: Panel,
        subjects_: Sequence[Subject],
        resources_: Sequence[bytes],
        *,
        layer: str,
        on_progress: ProgressCallback = lambda _: None,
    ) -> None:
        self.panel = panel
        self.subjects = subjects_
        self.resources = resources_
        self.layer = layer
        self.on_progress = on_progress
        values = [parse(text) for text in resources_]
        # The rules compare resources that all are proper ones in a way of their own.
        self.proper = [number for number, value in enumerate(values) if isinstance(parse_resource(value), Resource)]
        same: dict[Decision, Decision] = {}
        self.wanted = [
            [same.setdefault(decision, decision) for decision in self._decided(subject, values)]
            for subject in subjects_
        ]

    @property
    def pairs(self) -> int:
        return len(self.subjects) * len(self.resources)

    def _decided(self, subject: Subject, values: Iterable[Any]) -> Iterator[Decision]:
        claims_and_type = {"claims": parse(subject.claims), "type": parse(subject.type)}
        return (reference.decide({**claims_and_type, "resource": value}, self.panel.settings) for value in values)

    def in_batches(self) -> Iterator[Work]:
        """Every pair, in a batch of every decider; the stores are filled one after the other."""
        engines: tuple[tuple[str, OpaEngine | WasmEngine], ...] = (
            ("opa", self.panel.opa),
            ("opa-token", self.panel.opa_raw),
            ("wasm", self.panel.wasm),
        )
        yield self._stored
        for number in range(len(self.subjects)):
            for name, engine in engines:
                yield partial(self._row, name, engine, number)

    def _row(self, name: str, engine: OpaEngine | WasmEngine, number: int) -> list[Difference]:
        """One subject with all resources in one query, and with all that are proper ones in another."""
        subject = self.subjects[number]
        requests = [Request(subject.claims, subject.type, resource) for resource in self.resources]
        sent = [self.panel.token.with_token(one) for one in requests] if name == "opa-token" else requests
        differences = self._differences(name, requests, self.wanted[number], engine.decide(sent))
        proper, wanted = ([row[place] for place in self.proper] for row in (requests, self.wanted[number]))
        answers = engine.decide([sent[place] for place in self.proper])
        return differences + self._differences(name, proper, wanted, answers, layer=f"{self.layer}, proper resources")

    def _stored(self) -> list[Difference]:
        """Resources that share an id are stored one after the other; all subjects ask about each layer."""
        types = self.panel.settings.types
        engine = self.panel.opa
        any_subject = Request(b"{}", encode(types[0]))
        layers = rounds([any_subject._replace(resource=resource) for resource in self.resources], types)
        known = {encode(type_) for type_ in types}
        differences = []
        for layer, (stored, at) in enumerate(layers):
            for type_ in types:
                engine.store.replace(type_, stored[types[0]])
            triples: list[tuple[Request, Request, Decision]] = []
            for subject, row in zip(self.subjects, self.wanted, strict=True):
                for number, request in at.items():
                    inline = Request(subject.claims, subject.type, self.resources[number])
                    by_id = (
                        inline if subject.type not in known else Request(subject.claims, subject.type, *_item(request))
                    )
                    triples.append((inline, by_id, row[number]))
            for start in range(0, len(triples), _STORED_AT_ONCE):
                inlines, by_ids, wanted = zip(*triples[start : start + _STORED_AT_ONCE], strict=True)
                differences += self._differences("opa-stored", inlines, wanted, engine.decide(by_ids))
            if layer % _EVERY == 1:
                differences += self._stored_alone(triples)
        return differences

    def _stored_alone(self, triples: Iterable[tuple[Request, Request, Decision]]) -> list[Difference]:
        """Each subject with what is stored of its type, in one query."""
        differences = []
        for _, group in itertools.groupby(triples, key=lambda one: (one[1].claims, one[1].type, one[1].id is None)):
            inlines, by_ids, wanted = zip(*group, strict=True)
            answers = self.panel.opa.decide(by_ids)
            layer = f"{self.layer}, proper resources"
            differences += self._differences("opa-stored", inlines, wanted, answers, layer=layer)
        return differences

    def _differences(
        self,
        name: str,
        requests: Sequence[Request],
        wanted: Sequence[Decision],
        decisions: Sequence[Decision],
        *,
        layer: str | None = None,
    ) -> list[Difference]:
        tally.count(layer or self.layer, name, len(decisions))
        if layer is None:
            self.on_progress(len(decisions))
        return [
            Difference(name, question, right.as_dict(), answer.as_dict())
            for question, right, answer in zip(requests, wanted, decisions, strict=True)
            if _outcome(right) != _outcome(answer)
        ]

    def one_at_a_time(self, pairs: int, seed: int) -> Iterator[Work]:
        """Pairs chosen at random, in batches and through `decision` and `allow`."""
        chosen = random.Random(seed).sample(range(self.pairs), pairs)
        # Neighbours have the same resource, so that few stores have to be filled.
        chosen.sort(key=lambda number: number % len(self.resources))
        for start in range(0, pairs, _ALONE_AT_ONCE):
            requests = []
            for number in chosen[start : start + _ALONE_AT_ONCE]:
                subject, resource = divmod(number, len(self.resources))
                requests.append(
                    Request(self.subjects[subject].claims, self.subjects[subject].type, self.resources[resource])
                )
            yield partial(self._alone, requests)

    def _alone(self, requests: Sequence[Request]) -> list[Difference]:
        self.on_progress(len(requests))
        try:
            self.panel.compare(requests, alone=len(requests), layer=f"{self.layer}, one at a time")
        except DifferenceError as differs:
            return differs.differences
        return []


def _item(request: Request) -> tuple[bytes | None, bytes | None]:
    return request.resource, request.id


def _outcome(decision: Decision) -> tuple[object, ...]:
    return decision.allow, decision.reason, decision.violations, decision.failures


def compare(scope: Scope, *, alone: int, seed: int) -> None:
    """Compare all pairs in batches, then so many of them one at a time.

    Args:
        scope: What to compare.
        alone: How many pairs are asked one at a time.
        seed: What these are chosen by.

    Raises:
        DifferenceError: Deciders differ.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        differences = [*itertools.chain.from_iterable(threads.map(_done, scope.in_batches()))]
    # One after the other: they fill the stores, and each has threads of its own.
    for work in scope.one_at_a_time(alone, seed):
        differences += work()
    if differences:
        raise DifferenceError(scope.panel.settings, differences)


def _done(work: Work) -> list[Difference]:
    return work()


def main() -> int:
    """Compare everything; 0 when no two deciders differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alone", type=int, default=ALONE, help="pairs that are asked one at a time as well")
    parser.add_argument("--seed", type=int, default=tally.seed(), help="what those are chosen by")
    chosen = parser.parse_args()
    console = Console(soft_wrap=True)
    began = time.monotonic()
    for settings in (SETTINGS, *VERSIONS):
        # What a version allows has little to do with resources, so a tenth of them does.
        usual = settings == SETTINGS
        subjects_, resources_ = (subjects(), resources()) if usual else (subjects_of_versions(), resources()[::10])
        pairs = len(subjects_) * len(resources_)
        # As many one at a time of each settings as its share of the pairs.
        alone = chosen.alone * len(subjects_) // len(subjects())
        console.print(
            f"versions {sorted(settings.versions)}: {len(subjects_):,} claims and types x {len(resources_):,} "
            f"resources = {pairs:,} pairs; {alone:,} of them one at a time, chosen by seed {chosen.seed}",
            highlight=False,
        )
        if not _agree(settings, subjects_, resources_, alone=alone, seed=chosen.seed, console=console):
            return 1
    for line in tally.lines():
        console.print(line, highlight=False)
    console.print(f"0 differences, {time.monotonic() - began:,.0f} s", highlight=False)
    return 0


def _agree(
    settings: PolicySettings,
    subjects_: Sequence[Subject],
    resources_: Sequence[bytes],
    *,
    alone: int,
    seed: int,
    console: Console,
) -> bool:
    """Compare all pairs of one rule set; whether no two deciders differ."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("answers"), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        tempfile.TemporaryDirectory() as folder,
        ManagedOpa() as opa,
        closing(Panel((opa.url, opa.url), settings, Path(folder))) as panel,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=len(subjects_) * len(resources_) * _BATCHED + alone)
        scope = Scope(panel, subjects_, resources_, layer="exhaustive", on_progress=partial(progress.advance, task))
        try:
            compare(scope, alone=alone, seed=seed)
        except DifferenceError as differs:
            console.print(str(differs), markup=False, highlight=False)
            return False
    reasons = Counter(decision.reason for row in scope.wanted for decision in row)
    console.print(", ".join(f"{reason} {number:,}" for reason, number in reasons.most_common()), highlight=False)
    return True


if __name__ == "__main__":
    sys.exit(main())
