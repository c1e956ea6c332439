"""Batches about proper resources alone, which the rules compare at once: random ones, and with one odd among them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from conformance import tally
from conformance.deciders import rounds, shown
from conformance.differential import drawn
from conformance.test_differential import SETTINGS

from bridge.decision import Request
from bridge.resource import Resource, parse_resource
from bridge.strict_json import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.deciders import Panel

    from bridge.engines import Engine

EXAMPLES = 1_000
EXAMPLES_STORED = 150
ODD = (b"null", b"{}", b'{"id":""}', b'{"id":1}', b'{"id":"a","custom_data":[]}', b'[{"id":"a"}]', b'"a"')


def batches(panel: Panel, examples: int, seed: int) -> Iterator[list[Request]]:
    """Questions about proper resources, those together that have the same claims and type."""
    requests = drawn(panel.settings, seed=seed, examples=examples)
    for (claims, type_), group in itertools.groupby(requests, key=lambda request: (request.claims, request.type)):
        texts = [request.resource for request in group]
        proper = [text for text in texts if text and isinstance(parse_resource(parse(text)), Resource)]
        if proper:
            # Twice, so that there are several, and not all different.
            yield [Request(claims, type_, text) for text in proper * 2]


def agree(
    layer: str, decider: str, engine: Engine, requests: Sequence[Request], expected: Sequence[str], sent: list[Request]
) -> None:
    decisions = engine.decide(sent)
    tally.count(layer, decider, len(decisions))
    assert [shown(decision.as_dict()) for decision in decisions] == expected, requests


def decided(panel: Panel, requests: Sequence[Request]) -> list[str]:
    return [shown(panel.reference(question)) for question in requests]


@pytest.mark.parametrize("name", SETTINGS)
def test_resources_that_are_compared_at_once(panels: dict[str, Panel], name: str) -> None:
    panel, layer = panels[name], f"batches, {name} rule set"
    odd = itertools.cycle(ODD)
    for number, batch in enumerate(batches(panel, EXAMPLES, tally.seed())):
        place = number % (len(batch) + 1)
        one = Request(batch[0].claims, batch[0].type, next(odd))
        for requests in (batch, [*batch[:place], one, *batch[place:]]):
            expected = decided(panel, requests)
            agree(layer, "opa", panel.opa, requests, expected, requests)
            agree(layer, "wasm", panel.wasm, requests, expected, requests)
            tokens = [panel.token.with_token(each) for each in requests]
            agree(layer, "opa-token", panel.opa_raw, requests, expected, tokens)


@pytest.mark.parametrize("name", SETTINGS)
def test_stored_resources_that_are_compared_at_once(panels: dict[str, Panel], name: str) -> None:
    panel, layer = panels[name], f"batches, {name} rule set"
    for batch in batches(panel, EXAMPLES_STORED, tally.seed() + 1):
        for stored, requests in rounds(batch, panel.settings.types):
            for engine in (panel.opa, panel.wasm):
                for type_ in panel.settings.types:
                    engine.store.replace(type_, stored.get(type_, {}))
            inline_requests = [batch[index] for index in requests]
            expected = decided(panel, inline_requests)
            for decider, engine in (("opa-stored", panel.opa), ("wasm-stored", panel.wasm)):
                agree(layer, decider, engine, inline_requests, expected, list(requests.values()))
