"""The vectors on the reference engine only: they judge its mutants without an OPA."""

from __future__ import annotations

import json

import pytest
from conformance.committed_vectors import FILES, cases

from bridge import reference
from bridge.errors import MalformedInputError
from bridge.strict_json import parse

_INPUT_DEPTH = 68  # a resource in an array in the input


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_reference_answers_as_the_vectors_say(path):
    # The answers as the file has them: a mutant must not write what it is compared with.
    wanted = {case["name"]: case["expect"] for case in json.loads(path.read_text(encoding="ascii"))["cases"]}
    for case in cases(path):
        if case.refused is not None:
            continue
        text = case.request().text if case.input is None else case.input
        stored: dict[str, dict[str, object]] = {}
        for (type_, id_), resource in case.stored.items():
            if resource is not None:
                stored.setdefault(type_, {})[id_] = parse(resource)
        decision = reference.decide(parse(text, max_depth=_INPUT_DEPTH), case.settings, stored)
        assert decision.as_dict() == wanted[case.name], case.name
        assert bool(decision) is wanted[case.name]["allow"], case.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_the_vectors_refuse_is_refused(path):
    for case in cases(path):
        if case.refused is None:
            continue
        rule, what = case.refused
        with pytest.raises(MalformedInputError) as refusal:
            case.canonical(what)
        assert refusal.value.rule == rule, case.name
        for other in {"claims", "resource", "type", "id"} - {what}:
            case.canonical(other)
