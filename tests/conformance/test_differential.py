"""Random questions that aim at trouble: every decider gives the reference's answers, alone and in batches.

`make conformance-long` asks many more of them.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from conformance import tally
from conformance.committed_vectors import SCHEMA, cases
from conformance.counterexamples import write_vector
from conformance.deciders import OTHER, Decider, Difference, DifferenceError
from conformance.differential import drawn, search

from bridge.decision import Reason
from bridge.errors import InvalidResponseError
from bridge.policy import PolicySettings
from bridge.tokens import may_be_sent_raw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from conformance.deciders import Answers, Panel

    from bridge.decision import Request

EXAMPLES = 5_000
ALONE = 60

SETTINGS = {"default": PolicySettings(), "other": OTHER}
REASONS = set(Reason) - {Reason.INVALID_TOKEN, Reason.ENGINE_UNAVAILABLE, Reason.UNKNOWN_RESOURCE}
CODES = {
    "not_an_object",
    "version_missing",
    "version_unsupported",
    "unknown_resource_type",
    "unknown_field",
    "not_a_string",
    "missing",
    "different",
}


WAYS = {
    f"{way}{entrypoint}"
    for way in ("opa", "opa-stored", "opa-token", "wasm")
    for entrypoint in ("", "/decision", "/allow", "/decisions")
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_decider_gives_the_answers_of_the_reference(panels: dict[str, Panel], name: str) -> None:
    layer = f"differential, {name} rule set"
    search(panels[name], seed=tally.seed(), examples=EXAMPLES, alone=ALONE, layer=layer)
    assert set(tally.COMPARED[layer]) == WAYS


@pytest.mark.parametrize("name", SETTINGS)
def test_the_questions_reach_every_reason_and_code(panels: dict[str, Panel], name: str) -> None:
    answers: list[dict[str, Any]] = [
        panels[name].reference(question) for question in drawn(SETTINGS[name], seed=0, examples=1_000)
    ]
    left = Reason.UNRESTRICTED if SETTINGS[name].require_policy else Reason.POLICY_REQUIRED
    assert {answer["reason"] for answer in answers} == REASONS - {left}
    codes = {
        detail["code"] for answer in answers for what in ("violations", "failures") for detail in answer.get(what, [])
    }
    assert codes == CODES


@pytest.mark.parametrize("name", SETTINGS)
def test_tokens_are_such_as_the_bridge_sends_raw(panels: dict[str, Panel], name: str) -> None:
    for question in drawn(SETTINGS[name], seed=1, examples=200):
        request = panels[name].token.with_token(question)
        assert question.claims is not None
        assert (request.token is None) is not question.claims.startswith(b"{")
        assert request.token is None or may_be_sent_raw(json.loads(request.token))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_seed_draws_the_same_questions_again(name: str) -> None:
    once, again = (drawn(SETTINGS[name], seed=7, examples=50) for _ in range(2))
    assert once == again
    assert once != drawn(SETTINGS[name], seed=8, examples=50)


def test_a_seed_draws_the_same_questions_in_another_process() -> None:
    program = """
from conformance.differential import drawn
from bridge.policy import PolicySettings
print([question.text for question in drawn(PolicySettings(), seed=7, examples=300)])
"""
    path = os.pathsep.join(sys.path)
    there = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=True,
        text=True,
    )
    here = [question.text for question in drawn(PolicySettings(), seed=7, examples=300)]
    assert there.stdout == f"{here}\n"


# What happens when deciders do differ.


class Liar(Decider):
    """Takes true for 1 in claims; or fails where it sees a NUL, if it is one of that kind."""

    def __init__(self, way: Decider, *, fails: bool = False) -> None:
        super().__init__("liar", way.engine, way._evaluate)
        self._fails = fails

    def ask(self, questions: Sequence[Request], alone: int) -> Answers:
        if self._fails and any(b"u0000" in question.text for question in questions):
            raise InvalidResponseError("a NUL")
        lies = [one._replace(claims=(one.claims or b"").replace(b":true", b":1")) for one in questions]
        return super().ask(lies, alone)


def with_liar(panel: Panel, *, fails: bool = False) -> Panel:
    panel_with_liar = copy.copy(panel)
    panel_with_liar.ways = (Liar(panel.ways[-1], fails=fails),)
    return panel_with_liar


def test_a_difference_is_shrunk(panels: dict[str, Panel]) -> None:
    with pytest.raises(DifferenceError) as raised:
        search(with_liar(panels["default"]), seed=1, examples=500, alone=0, layer="shrinking")
    del tally.COMPARED["shrinking"]
    shortest = raised.value.differences[0]
    assert shortest.question.size < 120
    assert shortest.wanted != shortest.answer
    assert b":true" in shortest.question.text
    assert shortest.question.text.decode() in str(raised.value)


def test_a_question_that_makes_a_decider_fail_is_shrunk(panels: dict[str, Panel]) -> None:
    with pytest.raises(InvalidResponseError) as raised:
        search(with_liar(panels["default"], fails=True), seed=1, examples=500, alone=0, layer="shrinking")
    note = "".join(raised.value.__notes__)
    assert "x00" in note
    assert len(note) < 300


@pytest.mark.parametrize("name", SETTINGS)
def test_a_difference_is_written_as_a_vector(panels: dict[str, Panel], name: str, tmp_path: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    reasons = set()
    for question in drawn(SETTINGS[name], seed=2, examples=60):
        answer = panels[name].reference(question)
        path = write_vector(SETTINGS[name], Difference("opa", question, answer, None), tmp_path)
        jsonschema.validate(json.loads(path.read_text(encoding="ascii")), schema)
        case, beside = cases(path)
        assert case.request() == question
        assert case.settings == SETTINGS[name] == beside.settings
        assert case.expected == answer
        assert panels[name].reference(beside.request()) == beside.expected
        assert beside.expected["allow"] is not answer["allow"]
        assert case.is_accepted
        reasons.add(answer["reason"])
    assert len(reasons) >= 5
