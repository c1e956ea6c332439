"""A slice of the small scope that `make exhaustive` compares whole, another one each day."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from conformance import tally
from conformance.exhaustive import Scope, compare, resources, subjects, subjects_of_versions

if TYPE_CHECKING:
    from conformance.deciders import Panel

SUBJECTS = 80
RESOURCES = 60
ALONE = 300


def test_every_decider_gives_the_answers_of_the_reference(panels: dict[str, Panel]) -> None:
    chosen = random.Random(tally.seed()).sample(subjects(), SUBJECTS)
    scope = Scope(panels["default"], chosen, resources(), layer="exhaustive slice")
    assert scope.pairs >= 50_000
    compare(scope, alone=ALONE, seed=tally.seed())


def test_every_decider_gives_the_answers_of_the_reference_for_both_versions(panels: dict[str, Panel]) -> None:
    chosen = random.Random(tally.seed())
    some_subjects, some_resources = (
        chosen.sample(subjects_of_versions(), SUBJECTS),
        chosen.sample(resources(), RESOURCES),
    )
    scope = Scope(panels["versions"], some_subjects, some_resources, layer="exhaustive slice, both versions")
    compare(scope, alone=ALONE, seed=tally.seed())


def test_the_whole_scope_is_of_a_million_different_pairs() -> None:
    all_subjects, all_resources = subjects(), resources()
    assert len(set(all_subjects)) == len(all_subjects)
    assert len(set(all_resources)) == len(all_resources)
    assert len(all_subjects) * len(all_resources) >= 1_000_000
