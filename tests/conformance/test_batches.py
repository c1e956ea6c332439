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
    asked = drawn(panel.settings, seed=seed, examples=examples)
    for (claims, type_), group in itertools.groupby(asked, key=lambda request: (request.claims, request.type)):
        texts = [request.resource for request in group]
        proper = [text for text in texts if text and isinstance(parse_resource(parse(text)), Resource)]
        if proper:
            # Twice, so that there are several, and not all different.
            yield [Request(claims, type_, text) for text in proper * 2]


def agree(
    layer: str, decider: str, engine: Engine, asked: Sequence[Request], expected: Sequence[str], sent: list[Request]
) -> None:
    decisions = engine.decide(sent)
    tally.count(layer, decider, len(decisions))
    assert [shown(decision.as_dict()) for decision in decisions] == expected, asked


def decided(panel: Panel, asked: Sequence[Request]) -> list[str]:
    return [shown(panel.reference(question)) for question in asked]


@pytest.mark.parametrize("name", SETTINGS)
def test_resources_that_are_compared_at_once(panels: dict[str, Panel], name: str) -> None:
    panel, layer = panels[name], f"batches, {name} rule set"
    odd = itertools.cycle(ODD)
    for number, batch in enumerate(batches(panel, EXAMPLES, tally.seed())):
        place = number % (len(batch) + 1)
        one = Request(batch[0].claims, batch[0].type, next(odd))
        for asked in (batch, [*batch[:place], one, *batch[place:]]):
            expected = decided(panel, asked)
            agree(layer, "opa", panel.opa, asked, expected, asked)
            agree(layer, "wasm", panel.wasm, asked, expected, asked)
            tokens = [panel.token.with_token(each) for each in asked]
            agree(layer, "opa-token", panel.opa_raw, asked, expected, tokens)


@pytest.mark.parametrize("name", SETTINGS)
def test_stored_resources_that_are_compared_at_once(panels: dict[str, Panel], name: str) -> None:
    panel, layer = panels[name], f"batches, {name} rule set"
    for batch in batches(panel, EXAMPLES_STORED, tally.seed() + 1):
        for stored, requests in rounds(batch, panel.settings.types):
            for engine in (panel.opa, panel.wasm):
                for type_ in panel.settings.types:
                    engine.store.replace(type_, stored.get(type_, {}))
            asked = [batch[index] for index in requests]
            expected = decided(panel, asked)
            for decider, engine in (("opa-stored", panel.opa), ("wasm-stored", panel.wasm)):
                agree(layer, decider, engine, asked, expected, list(requests.values()))
