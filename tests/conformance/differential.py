"""Random questions, asked of all deciders in batches; a counterexample is shrunk."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import hypothesis
from conformance.deciders import DifferenceError
from conformance.strategies import questions
from hypothesis import HealthCheck, Phase
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.deciders import Panel
    from conformance.strategies import Questions
    from hypothesis.strategies import SearchStrategy

    from bridge.decision import Request
    from bridge.policy import PolicySettings

BATCH: Final = 1_000
_OF_EACH_REASON: Final = 5
MOST_EXAMPLES: Final = 20_000  # Hypothesis remembers every example of a run


class _Repeatable(HypothesisProvider):
    """Draws by the seed and by nothing else.

    Hypothesis itself also draws constants that it reads in the source of all modules that happen to be loaded, so that
    a seed would mean something else after each change, and with each choice of tests.
    """

    def _maybe_draw_constant(self, *_: Any, **__: Any) -> None:
        return None


_BACKEND: Final = "repeatable"
AVAILABLE_PROVIDERS[_BACKEND] = f"{__name__}.{_Repeatable.__name__}"


def drawn(settings: PolicySettings, *, seed: int, examples: int) -> list[Request]:
    """Different questions, the same ones for the same seed."""
    requests_by_text: dict[bytes, Request] = {}

    def collect(example: Questions) -> None:
        requests_by_text.update((request.text, request) for request in example.requests)

    each_example(collect, questions(settings), Phase.generate, seed=seed, examples=examples)
    return list(requests_by_text.values())


def search(panel: Panel, *, seed: int, examples: int, alone: int, layer: str) -> int:
    """Compare the deciders on random questions; gives how many there were.

    Args:
        panel: The deciders.
        seed: What the questions are drawn by.
        examples: How many examples Hypothesis makes; each is one question to three, hardly any of them twice.
        alone: How many questions of each batch are asked one at a time as well.
        layer: What the answers are counted for.

    Raises:
        DifferenceError: Deciders differ; the question is shrunk.
        BridgeError: One of them failed; the question is shrunk, and stands in a note of the error.
    """
    requests = drawn(panel.settings, seed=seed, examples=examples)
    for start in range(0, len(requests), BATCH):
        batch = _every_reason_first(panel, requests[start : start + BATCH])
        try:
            panel.compare(batch, alone=alone, layer=layer)
        except DifferenceError as differs:
            suspects = {difference.question.text for difference in differs.differences}
            _shrink(panel, suspects, seed=seed, examples=examples)
            raise  # only in that batch
        except BridgeError:
            _shrink(panel, {question.text for question in batch}, seed=seed, examples=examples)
            raise
    return len(requests)


def _every_reason_first(panel: Panel, batch: Sequence[Request]) -> list[Request]:
    """The same questions, but a few of each reason first, so that those are asked one at a time."""
    seen: Counter[object] = Counter()
    places = []
    for question in batch:
        reason = panel.reference(question)["reason"]
        places.append(seen[reason] // _OF_EACH_REASON)
        seen[reason] += 1
    return [batch[index] for index in sorted(range(len(batch)), key=places.__getitem__)]


def _shrink(panel: Panel, suspects: set[bytes], *, seed: int, examples: int) -> None:
    """Draw the same examples again up to the first that fails alone, and raise what is left when it is shrunk."""
    is_found = False

    def agree(example: Questions) -> None:
        nonlocal is_found
        requests = list(dict.fromkeys(example.requests))
        if is_found or any(question.text in suspects for question in requests):
            try:
                panel.compare(requests, alone=len(requests))
            except (DifferenceError, BridgeError):
                is_found = True
                raise

    each_example(agree, questions(panel.settings), Phase.generate, Phase.shrink, seed=seed, examples=examples)


def each_example(
    test: Callable[[Any], None], strategy: SearchStrategy[Any], *phases: Phase, seed: int, examples: int
) -> None:
    """Call `test` with each example that a seed gives, and with no others."""
    hypothesis.seed(seed)(
        hypothesis.settings(
            max_examples=examples,
            phases=phases,
            database=None,
            deadline=None,
            backend=_BACKEND,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        )(hypothesis.given(strategy)(test))
    )()
