"""Random questions blown up beyond what Wasm is given whole: every decider gives the reference's answers.

The Wasm engine is asked as always, where it trims them or leaves them to the reference, and its module with the whole.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from colliding_names import colliding
from conformance import tally
from conformance.deciders import OTHER, Panel
from conformance.differential import drawn

from bridge.decision import Request
from bridge.engines import wasm_trimming
from bridge.engines.wasm_trimming import Trimming, is_light
from bridge.policy import PolicySettings
from bridge.strict_json import encode, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.strict_json import Value

SETTINGS = {"default": PolicySettings(), "other": OTHER}
EXAMPLES = 150
MORE: tuple[Value, ...] = ("x" * 5_000, dict.fromkeys(colliding(30_000)[:60], 1), [["x" * 4_500], {}, None])
"""What makes any text heavy: by its length, or by its names."""


def blown_up(question: Request, chance: random.Random) -> Request:
    """The question with much more in its claims, its resource, or both."""
    claims, resource = parse(question.claims or b""), parse(question.resource or b"")
    if chance.random() < 0.6:
        claims = _with_more(claims, chance)
    if chance.random() < 0.8 or claims == parse(question.claims or b""):
        resource = _with_more(resource, chance)
        if isinstance(resource, dict) and chance.random() < 0.7 and "custom_data" in resource:
            resource["custom_data"] = _with_more(resource["custom_data"], chance)
            if not isinstance(resource["custom_data"], dict) and chance.random() < 0.5:
                resource["custom_data"] = [resource["custom_data"], chance.choice(MORE)]
        if isinstance(resource, dict) and chance.random() < 0.1:
            resource["id"] = chance.choice(([], [MORE[0]], MORE[1], "x" * 5_000, "", None))
    return Request(encode(claims), question.type, encode(resource))


def _with_more(value: Value, chance: random.Random) -> Value:
    """More members, before and behind those that are there; of an array more items."""
    if isinstance(value, list):
        return [*value, chance.choice(MORE)]
    if not isinstance(value, dict):
        return value
    more: dict[str, Any] = {f"more {number}": chance.choice(MORE) for number in range(chance.choice((1, 1, 3)))}
    return {**more, **value} if chance.random() < 0.5 else {**value, **more}


def all_blown_up(settings: PolicySettings, seed: int) -> list[Request]:
    chance = random.Random(seed)
    return [blown_up(question, chance) for question in drawn(settings, seed=seed, examples=EXAMPLES)]


@pytest.mark.parametrize("name", SETTINGS)
def test_large_questions_get_the_answers_of_the_reference(panels: dict[str, Panel], name: str) -> None:
    questions = all_blown_up(SETTINGS[name], tally.seed())
    panels[name].compare(questions, alone=100, layer=f"large, {name} rule set")


@pytest.mark.parametrize("name", SETTINGS)
def test_the_trimmed_and_the_whole_get_the_same_answer_in_wasm(panels: dict[str, Panel], name: str) -> None:
    panel, settings = panels[name], SETTINGS[name]
    root = panel.wasm.rule_set.package_root.replace(".", "/")
    for question in all_blown_up(settings, tally.seed() + 1):
        trimmed = Trimming(settings).light(question)
        wanted = panel.reference(question)
        if isinstance(trimmed, Request):
            assert panel.wasm._pool.evaluate(f"{root}/decision", trimmed.text) == wanted, question
        else:
            assert trimmed.as_dict() == wanted
        assert panel.wasm._pool.evaluate(f"{root}/decision", question.text) == wanted, question


@pytest.mark.parametrize("name", SETTINGS)
def test_any_small_question_may_be_trimmed(
    panels: dict[str, Panel], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is light, all are trimmed; what is left goes to Wasm all the same."""
    panel, settings = panels[name], SETTINGS[name]
    root = panel.wasm.rule_set.package_root.replace(".", "/")
    questions = drawn(settings, seed=tally.seed() + 2, examples=EXAMPLES)
    for question in questions:
        seen: list[bytes] = []

        def is_light_at_last(text: bytes, seen: list[bytes] = seen, question: Request = question) -> bool:
            """Not the whole, but whatever is made of it."""
            seen.append(text)
            return text is not question.resource and text is not question.claims

        monkeypatch.setattr(wasm_trimming, "is_light", is_light_at_last)
        trimmed = Trimming(settings).light(question)
        assert isinstance(trimmed, Request)
        assert panel.wasm._pool.evaluate(f"{root}/decision", trimmed.text) == panel.reference(question), question


@pytest.mark.parametrize("name", SETTINGS)
def test_the_questions_are_trimmed_in_every_way(name: str) -> None:
    settings = SETTINGS[name]
    questions = all_blown_up(settings, 0)
    assert sum(not is_light(question.resource or b"") for question in questions) > len(questions) / 3
    assert sum(not is_light(question.claims or b"") for question in questions) > len(questions) / 4
    trimmed = [Trimming(settings).light(question) for question in questions]
    assert {isinstance(one, Request) for one in trimmed} == {True, False}
    kinds = {parse(one.resource or b"") == 0 for one in trimmed if isinstance(one, Request)}
    assert kinds == {True, False}
    assert len(_reasons(settings, questions)) >= 6


def _reasons(settings: PolicySettings, questions: Sequence[Request]) -> set[object]:
    from bridge import reference  # noqa: PLC0415 - the deciders are what is tested, and this only counts

    return {
        reference.decide(
            {
                "claims": parse(one.claims or b""),
                "type": parse(one.type or b""),
                "resource": parse(one.resource or b""),
            },
            settings,
        ).reason
        for one in questions
    }
